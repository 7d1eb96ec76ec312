"""What a wait is made of: values that anybody may give, and clocks that anybody may set."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from flora_provider.runs.poll_policy import PollPolicy
from flora_provider.runs.poller import RunPoller
from flora_provider.runs.ref import RunRef
from tests.support.polling_simulator import BEGIN, DONE, RUNNING, poll, run_response, until

NAMED = {
    "run_id": ["", "None", None, 7, "gen_1", ["run_1"]],
    "poll_interval": [None, "3", 0, -1, True, float("nan"), float("inf"), 10**400, timedelta(seconds=1), [1]],
    "deadline": ["soon", True, float("nan"), float("-inf"), 10**400, datetime.now(UTC), timedelta(1)],
    "started_at": ["now", float("nan"), datetime.now(UTC), {}],
    "estimated_seconds": ["30", True, timedelta(seconds=3), [30]],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in NAMED.items() for value in values])
def test_invalid_argument_of_a_poller_is_named_and_raises_nothing(name, value):
    known = {"run_id": "run_1", "poll_interval": 3.0, name: value}
    ref, policy = RunRef(known.pop("run_id")), PollPolicy(interval=known.pop("poll_interval"))
    (problem,) = RunPoller(ref, policy=policy, now=BEGIN, **known).problems()
    assert problem.startswith(f"{name} is ")


@pytest.mark.parametrize("estimate", [float("nan"), float("inf"), -5.0, 10**400, 1e300])
def test_estimate_out_of_all_bounds_ends_no_wait(estimate):
    event, polls = poll(lambda _: DONE, estimated_seconds=estimate)
    assert event.succeeded
    assert polls.times[0] <= 30


HOURS = 3600.0


@pytest.mark.parametrize("jump", [-2 * HOURS, -600.0, 600.0, 2 * HOURS, 1e8])
def test_wall_clock_that_is_set_during_a_wait_changes_nothing(jump):
    calm = poll(until(90, RUNNING), deadline=200)[1].times
    assert poll(until(90, RUNNING), deadline=200, offset=lambda at: jump if at > 20 else 0.0)[1].times == calm
    event, polls = poll(lambda _: RUNNING, deadline=100, offset=lambda at: jump if at > 20 else 0.0)
    assert event.kind == "timed_out"
    assert polls.times[-1] == pytest.approx(100)


@pytest.mark.parametrize("wrong", [-1e9, -2 * HOURS, -600.0, 600.0, 2 * HOURS])
@pytest.mark.parametrize("estimate", [None, 20.0, 300.0])
def test_first_poll_is_never_later_than_from_the_start_however_clocks_differ(wrong, estimate):
    first = PollPolicy().first(estimated_seconds=estimate, elapsed=0.0)
    _, polls = poll(until(60, RUNNING), offset=lambda _: wrong, estimated_seconds=estimate)
    assert polls.times[0] <= first
    assert max(after - before for before, after in pairwise(polls.times)) < 20


@pytest.mark.parametrize("wrong", [-2 * HOURS, 2 * HOURS])
def test_pauses_are_bounded_when_only_flora_says_when_a_run_was_started(wrong):
    row = run_response("running", 0)
    _, polls = poll(until(60, row), offset=lambda _: wrong, started_at=None)
    assert max(after - before for before, after in pairwise(polls.times)) < 20
