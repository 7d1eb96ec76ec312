"""Waiting for one run: what a poll means, when the wait ends, and that nothing else ends it."""

import logging
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraConnectionError, FloraInputError, FloraTimeoutError, RunTimedOut
from flora_provider.api.http.flow import FlowContext, Response
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.runs.poll_policy import PollPolicy
from flora_provider.runs.polling import wait_for_run
from flora_provider.runs.tolerance import NOT_FOUND_GRACE
from tests.support.polling_simulator import (
    BEGIN,
    DONE,
    LATENCY,
    RUNNING,
    PollRecorder,
    poll,
    run_response,
    script,
    until,
)
from tests.support.responses import response


@pytest.mark.parametrize("progress", [0, 100])
def test_status_alone_ends_a_wait(progress):
    event, polls = poll(
        script(run_response("queued", 100), run_response("running", 100), run_response("failed", progress))
    )
    assert (event.kind, event.run["status"], len(polls.times)) == ("ended", "failed", 3)


def test_completed_run_is_reported_with_its_outputs():
    event, _ = poll(script(RUNNING, DONE))
    assert event.succeeded
    assert event.result()["outputs"][0]["output_id"] == "output_1"


def test_failed_run_is_reported_with_its_reason():
    event, _ = poll(script(run_response("failed", 100, error_code="SERVER_ERROR", error_message="Oh.")))
    assert (event.error_code, event.error_message) == ("SERVER_ERROR", "Oh.")


@pytest.mark.parametrize(
    "outage",
    [
        response(429, retry_after=2),
        response(408),
        response(500),
        response(501),
        response(502),
        response(503, x_should_retry="false"),
        response(520),
        response(599),
        FloraConnectionError("broke"),
        FloraConnectionError("refused", ambiguous=False),
        FloraTimeoutError("late"),
        Response(200, {}, b"<html>"),
        Response(200, {}, b"{}"),
        Response(200, {}, b""),
    ],
    ids=repr,
)
def test_outage_is_waited_out_however_long_it_lasts(outage):
    event, polls = poll(until(4000, outage))
    assert event.succeeded
    assert len(polls.times) < 4000 / 25, "and FLORA is not made worse"


@pytest.mark.parametrize(("before", "deadline"), [([], 100), ([RUNNING], 50)])
@pytest.mark.parametrize(
    ("outage", "reported"),
    [(503, "FLORA answered 503"), (401, "FLORA answered 401"), (FloraConnectionError("broke"), "broke")],
    ids=repr,
)
def test_outage_or_refusal_ends_at_the_deadline_and_is_reported(before, deadline, outage, reported):
    outage = response(outage) if isinstance(outage, int) else outage
    event, polls = poll(script(*before, then=outage), deadline=deadline)
    assert (event.kind, event.run_id, event.unseen) == ("timed_out", "run_1", False)
    assert f"the last poll failed: {reported}" in event.detail
    assert polls.times[-1] == pytest.approx(deadline)


@pytest.mark.parametrize("seen", [True, False])
def test_run_that_flora_never_showed_is_distinguished_from_one_that_it_lost(seen):
    event, _ = poll(script(*[RUNNING] * seen, then=response(404)), deadline=20)
    assert (event.kind, event.unseen) == ("timed_out", not seen)


def test_run_that_flora_does_not_show_yet_is_waited_for():
    event, _ = poll(until(NOT_FOUND_GRACE, response(404)))
    assert event.succeeded


def test_run_that_flora_never_knew_is_given_up_after_a_minute():
    event, polls = poll(lambda _: response(404))
    assert event.kind == "refused"
    assert NOT_FOUND_GRACE <= polls.times[-1] - polls.times[0] <= NOT_FOUND_GRACE + 40


def test_run_may_be_not_found_more_than_once():
    event, _ = poll(lambda at: DONE if at > 400 else response(404) if at % 80 > 40 else RUNNING)
    assert event.succeeded


@pytest.mark.parametrize("before", [response(503), RUNNING], ids=repr)
def test_one_404_after_minutes_without_a_successful_poll_does_not_end_the_wait(before):
    seldom = PollPolicy(interval=200, max_interval=200)
    event, _ = poll(script(before, response(404), DONE), policy=seldom)
    assert event.succeeded


def test_not_found_since_counts_from_before_the_wait():
    event, polls = poll(lambda _: response(404), not_found_since=BEGIN - NOT_FOUND_GRACE)
    assert (event.kind, len(polls.times)) == ("refused", 1)


def test_run_id_that_cannot_be_asked_for_is_refused_not_raised():
    event, polls = poll(lambda _: DONE, run_id="..")
    assert (event.kind, polls.times, polls.now) == ("invalid", [], BEGIN)


def wait_for(run_id="run_1", *responses, **options):
    polls = PollRecorder(script(*responses, then=DONE))
    return polls.run(wait_for_run(run_id, FlowContext(RetryPolicy(), lambda: polls.now, lambda: 0.5), **options)), polls


@pytest.mark.parametrize("interval", [7, timedelta(seconds=7)])
def test_wait_for_run_returns_the_finished_run(interval):
    run, polls = wait_for("run_1", RUNNING, poll_interval=interval)
    assert (run["status"], [output["output_id"] for output in run["outputs"]]) == ("completed", ["output_1"])
    assert polls.now - BEGIN >= 7


def test_wait_for_run_raises_after_its_timeout():
    with pytest.raises(RunTimedOut, match="run_1 was not finished in time"):
        wait_for("run_1", *[RUNNING] * 100, timeout=30)


WRONG = [("run_id", None), ("timeout", -1), ("timeout", "9"), ("timeout", True), ("poll_interval", 0)]
WRONG += [("started_at", "now"), ("estimated_seconds", "30")]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wait_for_run_refuses_an_invalid_argument_by_name(name, value):
    with pytest.raises(FloraInputError, match=f"{name} is "):
        wait_for(**{name: value})


def test_run_is_polled_once_more_at_the_deadline():
    event, polls = poll(until(50, RUNNING), deadline=50)
    assert event.succeeded
    assert polls.times[-1] == pytest.approx(50)


def test_deadline_that_has_passed_before_the_first_poll_allows_one_poll():
    assert poll(lambda _: DONE, deadline=-5)[0].succeeded
    event, polls = poll(lambda _: RUNNING, deadline=-5)
    assert (event.kind, event.detail, len(polls.times)) == ("timed_out", "", 1)


def test_run_is_not_polled_at_the_deadline_if_flora_asked_for_silence_until_later():
    event, polls = poll(script(RUNNING, response(429, retry_after=200)), deadline=100)
    assert event.kind == "timed_out"
    assert "the last poll failed: FLORA answered 429" in event.detail
    assert len(polls.times) == 2
    assert polls.now - BEGIN == pytest.approx(100)


def test_run_is_polled_at_the_deadline_if_the_silence_ends_before_it():
    event, polls = poll(script(RUNNING, response(429, retry_after=21)), deadline=40, random=lambda: 0.99)
    assert event.kind == "timed_out"
    assert polls.times[-1] == pytest.approx(40)


@pytest.mark.parametrize("header", ["1787000000", "999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "31536000"], ids=str)
@pytest.mark.parametrize("name", ["retry_after", "retry_after_ms"])
@pytest.mark.parametrize("status", [429, 503, 401])
def test_wait_polls_again_within_minutes_whatever_time_a_header_names(status, name, header):
    event, polls = poll(script(RUNNING, response(status, **{name: header}), DONE))
    assert event.succeeded
    assert polls.times[-1] - polls.times[-2] <= 340


TERMINAL = [DONE, run_response("failed", 100), run_response("completed")]
ON = [
    RUNNING,
    run_response("pending"),
    run_response("running", 100),
    run_response("paused", 50),
    run_response("running", -5, created_at="never"),
    run_response("running", 1e300, created_at=-1e300),
    response(429, retry_after=7),
    response(429, retry_after=500),
    response(500),
    response(503),
    response(404),
    response(401),
    response(403),
    Response(200, {}, b'{"run_id": 5}'),
    Response(200, {}, b"\xff"),
    FloraConnectionError("broke"),
]


@given(
    st.lists(st.sampled_from(ON), max_size=12),
    st.sampled_from(TERMINAL + ON),
    st.none() | st.floats(0, 600),
    st.none() | st.floats(0, 1e4),
    st.none() | st.just(BEGIN) | st.floats(0, BEGIN),
    st.floats(0, 1, exclude_max=True),
)
@example([], RUNNING, 0.0, None, None, 0.0)
def test_wait_ends_with_its_run_or_at_its_deadline(responses, last, deadline, estimate, started_at, random):
    sequence = [*responses, last]
    if deadline is None and last in ON:
        sequence.append(DONE)
    sent = []

    def answer(_):
        sent.append(sequence.pop(0) if len(sequence) > 1 else sequence[0])
        return sent[-1]

    event, polls = poll(
        answer,
        random=lambda: random,
        deadline=deadline,
        estimated_seconds=estimate,
        started_at=started_at,
        policy=PollPolicy(),
    )
    if event.kind == "timed_out":
        assert deadline - 1e-3 <= polls.now - BEGIN <= deadline + LATENCY + 1e-3
    elif event.kind == "refused":
        assert sent[-1].status in (401, 403, 404)
        assert polls.now - BEGIN > NOT_FOUND_GRACE
    else:
        assert sent[-1] in TERMINAL
    assert not [seen for seen in sent[:-1] if seen in TERMINAL]


def test_end_of_a_run_its_progress_once_a_minute_and_failures_are_logged(caplog):
    caplog.set_level(logging.INFO)
    _, polls = poll(script(*(run_response("running", n) for n in range(0, 100, 4)), response(503), DONE))
    reported = [record.message for record in caplog.records]
    assert all(line.startswith("FLORA run run_1: running, ") for line in reported[:-2])
    assert 3 <= len(reported[:-2]) <= polls.times[-1] / 60
    assert reported[-2].startswith("FLORA run run_1 could not be polled: FLORA answered 503")
    assert reported[-1] == "FLORA run run_1: completed, 100 %"
