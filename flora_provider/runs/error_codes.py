"""Why a run failed, and whether another try can help.

`error_code` is an open string with some forty known values in three vocabularies; the codes of FLORA's HTTP errors are
a fourth. Two codes that read like the provider's trouble often hide a refusal of the prompt, so the message is read as
well.
"""

from __future__ import annotations

import re
from enum import Enum


class RetryAdvice(Enum):
    """What to do after a failed run. `may_retry` tells the machine, `sentence` tells the person."""

    # Not whether a retry starts another run: only who raises it knows whether it starts runs at all.
    RETRY_NOW = (True, "This usually passes: another run may succeed, and is billed then")
    RETRY_LATER = (True, "FLORA or the model's provider is overloaded: a later run may succeed, and is billed then")
    CHANGE_INPUT = (False, "No retry can help: change the prompt, the model, its params or its inputs")
    MODERATED = (False, "No retry can help: moderation has refused it, so change the prompt, the seed or the inputs")
    NEVER = (False, "No retry can help: check the workspace's credits, plan and permissions")

    def __init__(self, may_retry: bool, sentence: str) -> None:
        self.may_retry = may_retry
        self.sentence = sentence


_KNOWN = {
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
        insufficient_credits unauthorized invalid_api_key forbidden paid_plan_required
    """,
}
_ADVICE = {code.upper(): advice for advice, codes in _KNOWN.items() for code in codes.split()}

# For codes that nobody has listed yet, by their words. The first that matches wins.
_FAMILIES = (
    (re.compile(r"^(BILLING|ACCESS)\b|\bENTITLEMENT REQUIRED$|\bCANCELL?ED\b|\bNOT PAID\b"), RetryAdvice.NEVER),
    (
        re.compile(r"\bINVALID (PARAM|INPUT|URL|PROMPT|IMAGE|VIDEO|AUDIO)|\bVALIDATION\b|\bNOT SUPPORTED\b"),
        RetryAdvice.CHANGE_INPUT,
    ),
    (re.compile(r"\b(QUEUE|OVERLOAD|CIRCUIT|RATE LIMIT|BUSY|UNAVAILABLE|DOWNSTREAM)"), RetryAdvice.RETRY_LATER),
)
_REFUSAL = re.compile(
    r"safety|unsafe|moderat(ion|ed)|refus|polic(y|ies)|nsfw|prohibited content|content (filter|block)", re.IGNORECASE
)
_SEARCHED = 10_000  # characters of a code and of a message; what speaks of a refusal does so at once
# The same words, said of connections and retries: the provider's trouble, and no judgement of the prompt. Each word is
# bounded: a message may be one of `connectconnect…`, and a search from each of them to its end is quadratic.
_TECHNICAL = re.compile(
    r"connect\w{0,30}:?( \S{1,200}){0,2} refus\w{0,30}|refus\w{0,30}( \w{1,30}){1,2} ?connect"
    r"|econnrefused|(retry|timeout) polic(y|ies)",
    re.IGNORECASE,
)


def advice_for(code: str | None, message: str | None) -> RetryAdvice:
    """Classify a failed run.

    A code or a message that speaks of safety, moderation, refusal or policy wins over a code that reads like a
    passing trouble; FLORA does not say whether it was the prompt or the output that was refused. An unknown code is
    taken by family, and otherwise as passing: a failed run costs nothing, and the task's `retries` bound how often it
    is tried.

    Args:
        code: FLORA's `error_code`, any case; None when absent.
        message: FLORA's `error_message`; None when absent.
    """
    name = (code or "")[:_SEARCHED].strip().upper()
    words = re.sub(r"[\W_]+", " ", name)
    advice = _ADVICE.get(name) or next((a for pattern, a in _FAMILIES if pattern.search(words)), RetryAdvice.RETRY_NOW)
    if advice.may_retry and _REFUSAL.search(_TECHNICAL.sub("", f"{words}. {(message or '')[:_SEARCHED]}")):
        return RetryAdvice.MODERATED
    return advice
