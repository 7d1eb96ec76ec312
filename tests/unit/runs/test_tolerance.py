"""What need not pass by itself: how long a wait bears a refusal, and a bill that is not settled."""

import json

import pytest

from flora_provider.api.errors import FloraConnectionError, FloraPermissionError, FloraRateLimitError, FloraServerError
from flora_provider.api.http.flow import Response
from flora_provider.api.models import Run
from flora_provider.runs.poll_policy import PollPolicy
from flora_provider.runs.poller import RunPoller
from flora_provider.runs.ref import RunRef
from flora_provider.runs.tolerance import BILL_FOR, REFUSED_FOR
from tests.support.polling_simulator import BEGIN, DONE, RUNNING, poll, run_response, script
from tests.support.responses import response

HOURS = 3600.0
REFUSALS = [400, 401, 402, 403, 404, 410, 302]


@pytest.mark.parametrize("status", REFUSALS)
def test_refusal_of_minutes_ends_no_wait(status):
    refused = response(status, x_should_retry="false")
    event, polls = poll(lambda at: RUNNING if at < 20 else refused if at < 20 + REFUSED_FOR * 0.8 else DONE)
    assert event.succeeded
    assert len(polls.times) < 25, "and FLORA is not made worse"


@pytest.mark.parametrize("status", REFUSALS)
def test_refusal_that_lasts_ends_the_wait_and_is_left_to_retries(status):
    event, polls = poll(script(RUNNING, then=response(status)))
    assert (event.kind, event.run_id) == ("refused", "run_1")
    assert f"FLORA answered {status}" in event.detail
    assert REFUSED_FOR <= polls.times[-1] - polls.times[1] <= REFUSED_FOR + 40


@pytest.mark.parametrize("status", [401, 403])
def test_run_that_was_never_shown_for_a_refused_key_is_not_given_up_as_unknown(status):
    event, _ = poll(lambda at: response(status) if at < 100 else response(404) if at < 200 else DONE)
    assert event.succeeded


def test_wait_knows_that_its_latest_poll_was_refused():
    wait = RunPoller(RunRef("run_1"), policy=PollPolicy(), now=BEGIN)
    wait.begin(5.0)
    refused = []
    for failure in (FloraPermissionError("no", status=403), FloraServerError("down", status=503)):
        wait.on_error(failure, now=6.0, random=0.5)
        refused.append(wait.is_refused)
    assert refused == [True, False]


def test_wait_polls_at_once_when_its_connection_has_changed_but_not_before_flora_allows_it():
    wait = RunPoller(RunRef("run_1"), policy=PollPolicy(interval=100), now=BEGIN, started_at=BEGIN)
    wait.begin(5.0)
    wait.poll_at(7.0)
    assert wait.due == 7.0
    wait.on_error(FloraRateLimitError("busy", status=429, retry_after=50.0), now=8.0, random=0.0)
    wait.poll_at(9.0)
    assert wait.due == 58.0


def unbilled(at, **members):
    return run_response("completed", 100, **{"completed_at": (BEGIN + at) * 1000, **members})


BILL = {"charged_cost": 0.04}


@pytest.mark.parametrize("settled", [1, 30, 59, 80])
@pytest.mark.parametrize("wrong", [-2 * HOURS, 0.0, 2 * HOURS])
def test_bill_that_comes_later_is_waited_for(settled, wrong, caplog):
    def answer(at):
        return RUNNING if at < 20 else unbilled(20) if at < 20 + settled else unbilled(20, **BILL)

    event, polls = poll(answer, offset=lambda _: wrong)
    assert event.result()["charged_cost"] == 0.04
    assert len([at for at in polls.times if at > 20]) <= 6
    assert "has not settled" not in caplog.text


def test_bill_that_does_not_come_is_given_as_none_and_said(caplog):
    event, polls = poll(lambda at: RUNNING if at < 20 else unbilled(20))
    assert (event.succeeded, event.result()["charged_cost"]) == (True, None)
    seen = min(at for at in polls.times if at >= 20)
    assert polls.times[-1] == pytest.approx(seen + BILL_FOR, abs=0.2)
    assert "FLORA run run_1 completed, but FLORA has not settled its bill" in caplog.text


@pytest.mark.parametrize(
    ("completed", "waits"),
    [(-1e6, 0), (-3600, 0), (-91, 0), (-60, BILL_FOR - 60), (1e6, BILL_FOR)],  # the last is ahead of our clock
)
def test_bill_is_waited_for_until_about_ninety_seconds_after_the_end(completed, waits):
    event, polls = poll(lambda _: unbilled(completed), started_at=None)
    assert event.result()["charged_cost"] is None
    assert polls.times[-1] == pytest.approx(waits, abs=0.2)
    assert (len(polls.times) == 1) == (waits == 0)


def test_bill_is_not_waited_for_beyond_the_deadline():
    event, polls = poll(lambda at: RUNNING if at < 20 else unbilled(20), deadline=40)
    assert (event.kind, event.result()["charged_cost"]) == ("ended", None)
    assert polls.times[-1] == pytest.approx(40, abs=0.2)


TROUBLE = [
    *(response(503), response(401), response(404), response(429, retry_after=10), response(429, retry_after=250)),
    *(RUNNING, Response(200, {}, b"<html>"), FloraConnectionError("broke")),
]


@pytest.mark.parametrize("trouble", TROUBLE, ids=repr)
def test_no_outage_fails_a_wait_for_a_bill(trouble):
    event, polls = poll(script(RUNNING, unbilled(20), then=trouble))
    assert event.succeeded
    assert polls.times[-1] - polls.times[1] <= BILL_FOR + 1
    event, _ = poll(script(RUNNING, unbilled(20), trouble, then=unbilled(20, **BILL)))
    assert event.succeeded


def test_retry_after_is_kept_while_a_bill_is_waited_for():
    event, polls = poll(script(RUNNING, unbilled(20), response(429, retry_after=60), then=unbilled(20, **BILL)))
    assert event.result()["charged_cost"] == 0.04
    assert polls.times[-1] - polls.times[-2] >= 60


@pytest.mark.parametrize(
    "row", [run_response("failed", 100, completed_at=BEGIN * 1000), unbilled(0, outputs=())], ids=repr
)
def test_run_that_has_no_result_has_no_bill_to_wait_for(row):
    assert len(poll(script(RUNNING, row))[1].times) == 2


@pytest.mark.parametrize(
    ("row", "kind", "awaits"),
    [
        (unbilled(0), "ended", True),
        (unbilled(0, **BILL), "ended", False),
        (unbilled(-91), "ended", False),
        (unbilled(0, completed_at=None), "ended", False),
        (unbilled(0, outputs=()), "ended", False),
        (run_response("failed", 100, completed_at=BEGIN * 1000), "ended", False),
        (RUNNING, "timed_out", False),
    ],
    ids=repr,
)
def test_event_says_whether_a_bill_may_still_come(row, kind, awaits):
    event, _ = poll(lambda _: row, deadline=0)
    assert event.kind == kind
    assert [event.awaits_bill(now=now) for now in (BEGIN, BEGIN + 1)] == [awaits, awaits]


def test_wait_that_is_overdue_ends_with_what_it_knows():
    wait = RunPoller(RunRef("run_1"), policy=PollPolicy(), now=BEGIN, deadline=BEGIN + 9)
    wait.begin(5.0)
    assert wait.remaining == 9
    assert wait.end_at_deadline().kind == "timed_out"
    wait.on_run(Run.read(json.loads(unbilled(0).body)), now=6.0, random=0.5)
    assert wait.end_at_deadline().kind == "ended"
    forever = RunPoller(RunRef("run_1"), policy=PollPolicy(), now=BEGIN)
    forever.begin(5.0)
    assert forever.remaining is None
