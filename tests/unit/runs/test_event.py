"""How a wait ended: what a trigger tells, what the task makes of it, and that JSON between them loses nothing."""

import json
import typing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api import errors
from flora_provider.api.models import Run
from flora_provider.runs.error_codes import RetryAdvice
from flora_provider.runs.errors import WaitRefused
from flora_provider.runs.event import Limit, RunEvent
from flora_provider.runs.ref import RunRef
from tests.support.strategies import texts

SIGNED = "https://media.flora.ai/1.png?sig=secret"
OUTPUT = {"output_id": "output_1", "type": "imageUrl", "url": SIGNED}


def run(status="completed", **members):
    outputs = {"outputs": [OUTPUT]} if status == "completed" else {}
    return Run.read({"run_id": "run_1", "status": status, **outputs, **members})


def failed(code=None, message=None):
    return RunEvent.ended(run("failed", error_code=code, error_message=message))


maybe_texts = st.none() | texts()
outputs = st.lists(
    st.fixed_dictionaries({"output_id": texts(), "type": st.sampled_from(["imageUrl", "text", "x"]), "url": texts()})
)
runs = st.builds(
    run,
    st.sampled_from(["completed", "failed"]),
    outputs=outputs,
    error_code=maybe_texts,
    error_message=maybe_texts,
    charged_cost=st.none() | st.floats(0, 1000),
    created_at=st.none() | st.integers(0, 4_000_000_000_000),
)
refs = st.builds(RunRef, texts(), st.none() | texts())
ways = (
    st.builds(RunEvent.ended, runs)
    | st.builds(
        lambda run_id, text: RunEvent.timed_out(RunRef(run_id), last_error=errors.FloraError(text)), texts(), texts()
    )
    | st.builds(lambda run_id, text: RunEvent.refused(RunRef(run_id), errors.FloraError(text)), texts(), texts())
)
events = st.builds(lambda event, limit: replace(event, limit=limit), ways, st.sampled_from(typing.get_args(Limit)))


def test_completed_run_is_returned_as_a_plain_dict():
    event = RunEvent.ended(run(charged_cost=0.04, created_at=1_750_000_000_000))
    assert event.succeeded
    assert event.result() == {
        "run_id": "run_1",
        "status": "completed",
        "outputs": [{"run_id": "run_1", **OUTPUT}],
        "charged_cost": 0.04,
        "created_at": "2025-06-15T15:06:40+00:00",
        "started_at": None,
        "completed_at": None,
    }


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        ("SERVER_ERROR", None, RetryAdvice.RETRY_NOW),
        ("LLM_REFUSAL", "No.", RetryAdvice.MODERATED),
        ("GPU_PROVIDER_ERROR", "blocked by our safety system", RetryAdvice.MODERATED),
        (None, None, RetryAdvice.RETRY_NOW),
    ],
)
def test_failed_run_is_raised_with_what_can_help(code, message, advice):
    with pytest.raises(errors.RunFailed) as caught:
        failed(code, message).result()
    error = caught.value
    assert (error.run_id, error.code, error.reason, error.advice) == ("run_1", code, message, advice)
    assert not failed(code, message).succeeded


def test_failed_run_fails_even_with_outputs_and_full_progress():
    event = RunEvent.ended(run("failed", progress=100, outputs=[OUTPUT], completed_at=1_750_000_000_000))
    with pytest.raises(errors.RunFailed):
        event.result()


DOWN = errors.FloraServerError("Down.", status=503)
NOT_FOUND = errors.FloraNotFoundError("No such run.", status=404)
REF = RunRef("run_1")


@pytest.mark.parametrize(
    ("event", "error", "message"),
    [
        (RunEvent.timed_out(REF), errors.RunTimedOut, r"run_1 was not finished in time\. It cannot be cancelled"),
        (RunEvent.timed_out(REF, last_error=DOWN), errors.RunTimedOut,
         r"was not finished in time; the last poll failed: FLORA answered 503: Down\."),
        (RunEvent.timed_out(REF, last_error=NOT_FOUND, seen=False), errors.RunTimedOut,
         "run_1 was never seen in time; the last poll failed: FLORA answered 404"),
        (RunEvent.timed_out(REF, last_error=NOT_FOUND, seen=True), errors.RunTimedOut, "was not finished in time"),
        (RunEvent.timed_out(REF, last_error=DOWN, seen=False), errors.RunTimedOut, "was not finished in time"),
        (RunEvent.invalid(RunRef(None), "run_id is None, but such an id starts with 'run_'"), errors.FloraInputError,
         "run_id is None"),
        (RunEvent.refused(REF, errors.FloraPermissionError("Forbidden.", status=403)), WaitRefused,
         "FLORA run run_1 cannot be polled, and may go on and be billed: FLORA answered 403"),
    ],
)  # fmt: skip
def test_event_without_a_finished_run_raises_what_happened(event, error, message):
    with pytest.raises(error, match=message):
        event.result()


def test_run_that_completed_without_an_output_is_an_error_that_a_retry_may_cure():
    event = RunEvent.ended(run(outputs=[]))
    assert not event.succeeded
    with pytest.raises(errors.RunError, match="run_1 completed without an output") as caught:
        event.result()
    assert not isinstance(caught.value, errors.RunFailed | errors.RunOutcomeUnknown)


@given(events)
def test_event_survives_json(event):
    assert RunEvent.from_payload(json.loads(json.dumps(event.to_payload()))) == event


@given(events)
def test_event_either_succeeds_or_raises_an_error_of_ours(event):
    again = RunEvent.from_payload(event.to_payload())
    try:
        result = again.result()
    except errors.FloraError:
        assert not again.succeeded
    else:
        assert again.succeeded
        assert result == event.run


@pytest.mark.parametrize("event", [RunEvent.ended(run()), RunEvent.timed_out(RunRef("run_1"))])
def test_repr_of_an_event_shows_no_signed_url(event):
    assert "secret" not in repr(event)
    assert "run_1" in repr(event)
