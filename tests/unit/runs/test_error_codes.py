"""Why a run failed and what can help: every code that FLORA is known to send, and those it is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.runs.error_codes import RetryAdvice, advice_for
from tests.support.strategies import texts

KNOWN = {
    RetryAdvice.RETRY_NOW: """
        provider_error model_timeout internal_error
        GENERATION_PROVIDER_TIMEOUT GPU_PROVIDER_ERROR GENERATION_GENERIC_ERROR SERVER_ERROR
        GENERATION_PREGENERATION_FAILED GENERATION_POSTGENERATION_FAILED GENERATION_MAP_AFTER_REQUEST_FAILED
        GENERATION_FAILED_TO_START GENERATION_FAILED_TO_UPLOAD GENERATION_FAILED_TO_UPDATE GENERATION_FAILED_TO_GET
    """,
    RetryAdvice.RETRY_LATER: """
        GENERATION_DOWNSTREAM_SERVICE_ERROR GENERATION_INVALID_PROVIDER_RESPONSE GENERATION_NO_RESULT
        GENERATION_MODAL_POLL_ERROR GENERATION_PROVIDER_FAILED_TO_GET_STATUS GENERATION_QUEUE_TOO_LARGE
        GENERATION_QUEUE_NOT_MOVING GENERATION_CIRCUIT_BREAKER_OPEN AUDIO_GENERATION_ERROR
        rate_limited service_unavailable
    """,
    RetryAdvice.CHANGE_INPUT: """
        input_unreachable
        GENERATION_INPUT_VALIDATION GENERATION_INVALID_PARAMS
        GENERATION_INVALID_URL GENERATION_ENDPOINT_NOT_FOUND GENERATION_MAP_BEFORE_REQUEST_FAILED
        GENERATION_PROVIDER_NOT_SUPPORTED
        input_validation_error not_found
    """,
    RetryAdvice.MODERATED: """
        safety_blocked GENERATION_PROMPT_MODERATED LLM_REFUSAL
    """,
    RetryAdvice.NEVER: """
        BILLING_NOT_ENOUGH_CREDITS BILLING_WOULD_EXCEED_LIMIT BILLING_CREDITS_LIMIT_EXCEEDED
        BILLING_FAILED_TO_RESERVE_CREDITS GENERATION_NOT_PAID GENERATION_CANCELLED
        ACCESS_DENIED ACCESS_MODEL_NOT_IN_PLAN VIDEO_ENTITLEMENT_REQUIRED
        insufficient_credits unauthorized invalid_api_key forbidden paid_plan_required
    """,
}
CODES = [(code, advice) for advice, codes in KNOWN.items() for code in codes.split()]

REFUSALS = [
    "Your prompt was flagged by our safety system.",
    "Content moderation blocked this request",
    "The model refused to answer.",
    "This violates the provider's policies",
    "against our usage POLICY",
    "NSFW content detected",
    "prohibited content",
    "The image was flagged as unsafe",
    "content filter triggered",
    "output was moderated",
    "The connection is fine, but the model refused",
]
# Of the network and of machines; no judgement of the prompt.
TECHNICAL = [
    "Connection refused",
    "connect ECONNREFUSED 10.0.0.7:443",
    "connect: refused",
    "connection to 10.0.0.7:443 refused",
    "dial tcp: connection refused by upstream",
    "The provider refused the connection",
    "upstream refused to connect",
    "exceeded retry policy",
    "timeout policies of the gateway",
    "under moderate load",
]


@pytest.mark.parametrize(("code", "advice"), CODES)
def test_every_documented_code_has_its_advice_in_any_case(code, advice):
    assert [advice_for(spelled, None) for spelled in (code, code.lower(), f" {code.upper()} ")] == [advice] * 3


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("BILLING_CARD_EXPIRED", RetryAdvice.NEVER),
        ("AUDIO_ENTITLEMENT_REQUIRED", RetryAdvice.NEVER),
        ("RUN_CANCELED", RetryAdvice.NEVER),
        ("IMAGE_MODERATED", RetryAdvice.MODERATED),
        ("content_policy_violation", RetryAdvice.MODERATED),
        ("INVALID_INPUT", RetryAdvice.CHANGE_INPUT),
        ("GENERATION_INVALID_IMAGE", RetryAdvice.CHANGE_INPUT),
        ("GENERATION_REFUSED", RetryAdvice.MODERATED),
        ("CONTENT_BLOCKED", RetryAdvice.MODERATED),
        ("NSFW", RetryAdvice.MODERATED),
        ("CONTENT-FILTER", RetryAdvice.MODERATED),
        ("ASPECT_RATIO_NOT_SUPPORTED", RetryAdvice.CHANGE_INPUT),
        ("model_overloaded", RetryAdvice.RETRY_LATER),
        ("PROVIDER_RATE_LIMIT", RetryAdvice.RETRY_LATER),
        ("QUEUE_FULL", RetryAdvice.RETRY_LATER),
        ("PROVIDER_UNAVAILABLE", RetryAdvice.RETRY_LATER),
        ("CANNOT_GENERATE", RetryAdvice.RETRY_NOW),
        ("INACCURATE_CLOCK", RetryAdvice.RETRY_NOW),
        ("PROVIDER_CONNECTION_REFUSED", RetryAdvice.RETRY_NOW),
        ("RETRY_POLICY_EXHAUSTED", RetryAdvice.RETRY_NOW),
        ("INVALID_UPSTREAM_ANSWER", RetryAdvice.RETRY_NOW),
        ("COSMIC_RAY", RetryAdvice.RETRY_NOW),
        ("", RetryAdvice.RETRY_NOW),
        (None, RetryAdvice.RETRY_NOW),
    ],
)
def test_undocumented_code_is_classified_by_its_words(code, advice):
    assert advice_for(code, None) is advice


@pytest.mark.parametrize("said", REFUSALS)
@pytest.mark.parametrize("code", ["GPU_PROVIDER_ERROR", "GENERATION_NO_RESULT", "COSMIC_RAY", None])
def test_refusal_under_a_transient_code_is_not_retried(code, said):
    assert advice_for(code, said) is RetryAdvice.MODERATED


@pytest.mark.parametrize("said", TECHNICAL)
def test_message_about_a_connection_is_no_refusal_of_the_prompt(said):
    assert advice_for("GPU_PROVIDER_ERROR", said) is RetryAdvice.RETRY_NOW


@pytest.mark.parametrize(("code", "advice"), [pair for pair in CODES if not pair[1].may_retry])
def test_message_never_makes_a_permanent_error_transient(code, advice):
    assert [advice_for(code, said) for said in (*REFUSALS, "Please try again")] == [advice] * (len(REFUSALS) + 1)


# With a pattern of words without a bound each of these took minutes.
@pytest.mark.parametrize(
    "said", ["connect", "refusa", "connect a ", "refus a ", "retry ", "connect: ", "polic", " ", "_"]
)
def test_message_of_a_megabyte_is_classified_at_once(said):
    long = said * (1_000_000 // len(said))
    assert advice_for("COSMIC_RAY", f"{long}!") in RetryAdvice
    assert advice_for(long, None) in RetryAdvice


@given(st.none() | texts(), st.none() | texts())
def test_any_code_and_any_message_have_an_advice(code, message):
    advice = advice_for(code, message)
    assert isinstance(advice, RetryAdvice)
    assert advice.sentence
    assert not advice.sentence.endswith("."), "errors put their own full stop"


@given(st.sampled_from(CODES), st.text(alphabet="0123456789 äöü.,!?"))
def test_message_without_meaning_changes_nothing(known, message):
    code, advice = known
    assert advice_for(code, message) is advice


@given(st.none() | texts(), texts(), st.sampled_from(REFUSALS), texts())
def test_refusal_is_recognized_whatever_surrounds_it_and_under_any_code(code, before, said, after):
    assert not advice_for(code, f"{before}. {said}. {after}").may_retry


@given(st.lists(st.text("BDFGHJKZ", min_size=1), max_size=4), st.sampled_from(["_", "-", " ", "."]))
def test_code_of_unknown_words_may_be_retried(words, mark):
    assert advice_for(mark.join(words), None) is RetryAdvice.RETRY_NOW


def test_advice_may_retry_for_transient_errors_only():
    assert {advice for advice in RetryAdvice if advice.may_retry} == {RetryAdvice.RETRY_NOW, RetryAdvice.RETRY_LATER}
