"""The tree of errors as drawn, and how its sentences read."""

import copy
import inspect
import pickle
import re

import pytest

from flora_provider.api import errors
from flora_provider.api.text import MAX_MESSAGE
from flora_provider.api.urls import redact_urls, without_signatures
from flora_provider.runs.error_codes import RetryAdvice
from flora_provider.runs.errors import LedgerUnavailable, LedgerUnreadable, WaitRefused

CLASSES = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}


def drawn_tree():
    """Name to parent, as the module's docstring draws them."""
    parents, stack = {"FloraError": "Exception"}, [(4, "FloraError")]
    for line in errors.__doc__.splitlines():
        found = re.match(r"([\s│]*)[├└]── (\w+)", line)
        if found:
            depth = len(found[1])
            while len(stack) > 1 and stack[-1][0] >= depth + 4:
                stack.pop()
            parents[found[2]] = stack[-1][1]
            stack.append((depth + 4, found[2]))
    return parents


def test_docstring_draws_the_tree_of_errors():
    assert drawn_tree() == {name: kind.__bases__[0].__name__ for name, kind in CLASSES.items()}


RUN = {"run_id": "run_1"}
STATUS = {
    "status": 429,
    "code": "rate_limited",
    "fields": [errors.FieldError("prompt", "Required")],
    "request_id": "req_1",
    "retry_after": 2.5,
    "should_retry": True,
    "replayed": True,
}
MADE = [
    *(kind("m", **STATUS) for kind in CLASSES.values() if issubclass(kind, errors.FloraStatusError)),
    *(
        kind("m", may_retry=True, retry_after=3.0)
        for kind in CLASSES.values()
        if issubclass(kind, errors.FloraFileError)
    ),
    errors.FloraError("m"),
    errors.FloraInputError(["a", "b"]),
    errors.FloraConnectionError("m", ambiguous=False),
    errors.FloraTimeoutError("m"),
    errors.FloraAnswerError("m", request_id="req_1"),
    errors.FloraStorageError("m"),
    errors.FloraWebhookError("m"),
    errors.RunError("m", **RUN),
    errors.RunFailed(code="SERVER_ERROR", reason="Down.", advice=RetryAdvice.RETRY_NOW, **RUN),
    errors.RunTimedOut(waited="after 5 s", **RUN),
    errors.RunOutcomeUnknown("m", run_id=None),
    errors.RunOutcomeOpen("m", run_id=None),
    errors.RequestChanged("m", run_id="run_1"),
    WaitRefused(detail="FLORA answered 403", **RUN),
    LedgerUnavailable("m", run_id="run_1"),
    LedgerUnreadable("m"),
]


def by_pickle(error):
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - our own


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("sent", [copy.copy, copy.deepcopy, by_pickle])
def test_error_reaches_another_process_as_it_was(error, sent):
    error.add_note("seen by worker 3")
    arrived = sent(error)
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.args) == (str(error), error.args)
    assert vars(arrived) == vars(error)


def test_every_error_has_an_example():
    assert {type(error) for error in MADE} == {*CLASSES.values(), WaitRefused, LedgerUnavailable, LedgerUnreadable}


def test_input_error_is_also_a_value_error_and_keeps_all_problems():
    error = errors.FloraInputError(["a is 1: give 2", "b is 3: give 4"])
    assert isinstance(error, ValueError)
    assert error.problems == ("a is 1: give 2", "b is 3: give 4")
    assert str(error) == "a is 1: give 2; b is 3: give 4"
    assert errors.FloraInputError("one").problems == ("one",)


@pytest.mark.parametrize(
    ("said", "read_aloud"),
    [
        ("Insufficient credits.", "Insufficient credits. Nothing was started"),
        ("Insufficient credits", "Insufficient credits. Nothing was started"),
        ("Insufficient credits…", "Insufficient credits… Nothing was started"),
        ("Insufficient credits!", "Insufficient credits! Nothing was started"),
        ("Insufficient credits...", "Insufficient credits. Nothing was started"),
    ],
)
def test_sentences_are_separated_by_one_punctuation_mark(said, read_aloud):
    assert read_aloud in str(errors.FloraPaymentError(said, status=402))


@pytest.mark.parametrize(
    "signed", ["?X-Goog-Signature=secret", "#secret", "?a=b&sig=secret", "?secret=1#x", "?a='secret'"]
)
@pytest.mark.parametrize("scope", ["https://s.example/a.png", "https://ann:secret@s.example/a.png", "ws://s.example"])
def test_messages_show_no_signature_of_a_url(scope, signed):
    said = f"could not load {scope}{signed}, sorry"
    seen = f"could not load {scope.replace('ann:secret@', '')}?…"
    for error in (
        errors.FloraRequestError(said, status=400, fields=[errors.FieldError("source", said)]),
        errors.FloraInputError([f"inputs[0] is {[{'a': scope + signed}]}: give a dict", said]),
        errors.RunFailed(code=None, reason=said, advice=RetryAdvice.CHANGE_INPUT, **RUN),
    ):
        assert "secret" not in str([error, getattr(error, "problems", None)])
        assert seen in str(error)


@pytest.mark.parametrize("said", ["://", "://?", "://a@", "https://a?", "?.", "a", "a b ", "://@#"])
def test_message_of_300_kilobytes_is_shown_in_part(said):
    long = f"it says {said * (300_000 // len(said))}"
    for error in (
        errors.FloraError(long),
        errors.FloraInputError([long, "b is wrong"]),
        errors.FloraRequestError(long, status=400),
        errors.RunFailed(code=long, reason=long, advice=RetryAdvice.NEVER, **RUN),
    ):
        assert len(str(error)) <= MAX_MESSAGE
        assert str(error).endswith("b is wrong") or "… (cut)" in str(error)
    assert str(errors.RunFailed(code="c", reason=long, advice=RetryAdvice.NEVER, **RUN)).endswith(
        RetryAdvice.NEVER.sentence
    )
    assert redact_urls(long).startswith("it says ")


def test_message_is_fit_for_every_log_and_database():
    error = errors.RunFailed(code="c\x00", reason="half \ud83d", advice=RetryAdvice.NEVER, **RUN)
    assert str(error).startswith("FLORA run run_1 failed: c\ufffd: half \ufffd. ")
    assert errors.FloraInputError("a\udfff").problems == ("a\ufffd",)


@pytest.mark.parametrize("said", ["https://app.flora.ai/api/v1 cannot be reached", "What? Is it https://a/b? No: a@b"])
def test_url_and_text_without_a_secret_are_shown_unchanged(said):
    assert str(errors.FloraError(said)) == said


@pytest.mark.parametrize("kind", [kind for kind in CLASSES.values() if getattr(kind, "remedy", "")])
def test_remedy_is_right_in_a_script_too(kind):
    assert "run the task" not in kind.remedy
    assert "the connection's" not in kind.remedy.replace("(the connection's password, or FLORA_API_KEY)", "")


def test_failed_run_names_its_cause_and_the_remedy():
    def reported(code, reason):
        return str(errors.RunFailed(run_id="run_1", code=code, reason=reason, advice=RetryAdvice.CHANGE_INPUT))

    remedy = "No retry can help: change the prompt, the model, its params or its inputs"
    assert reported("safety_blocked", "Blocked.") == f"FLORA run run_1 failed: safety_blocked: Blocked. {remedy}"
    assert reported("safety_blocked", None) == f"FLORA run run_1 failed: safety_blocked. {remedy}"
    assert reported(None, None) == f"FLORA run run_1 failed: FLORA gave no reason. {remedy}"


def test_wait_that_ended_says_what_becomes_of_the_run():
    error = errors.RunTimedOut(run_id="run_1", waited="after 5 minutes")
    assert error.run_id == "run_1"
    assert str(error) == (
        "FLORA run run_1 was not finished after 5 minutes. It cannot be cancelled: it goes on and will be billed. "
        "FloraRunSensor(run_id='run_1') picks it up again; a larger timeout avoids this"
    )
    assert errors.RunOutcomeUnknown("which one?", run_id=None).run_id is None


def test_signatures_are_left_out_of_a_value_at_any_depth():
    signed = "https://a.example/b?sig=1"
    value = {"a": [signed, {"b": (signed, 1)}], "c": None}
    assert without_signatures(value) == {"a": ["https://a.example/b?…", {"b": ["https://a.example/b?…", 1]}], "c": None}
