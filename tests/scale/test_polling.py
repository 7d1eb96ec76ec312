"""When one run is looked at, and what that costs."""

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.runs.polling import PollPolicy
from tests.support.polling_simulator import (
    BEGIN,
    DONE,
    ESTIMATES,
    LATENCY,
    PROGRESS,
    RUNNING,
    TIMES,
    poll,
    run_response,
    script,
    simulate,
)
from tests.support.responses import response


@pytest.mark.parametrize("seed", range(4))
def test_runs_of_20_to_60_s_with_a_fair_estimate_cost_five_requests_and_are_noticed_within_a_second(seed):
    found = simulate(times="20-60 s", estimate="right", progress="steps of 10", runs=100, seed=seed)
    assert found.requests_per_run <= 5
    assert found.median_lag <= 1.1
    assert found.p95_lag <= 2.5
    assert max(found.lags) <= 4


@pytest.mark.parametrize("times", TIMES)
def test_polling_notices_the_end_soon_and_with_few_requests_whatever_flora_shows(times):
    longest = {"1-3 s": 3, "lognormal": 200, "10 or 110 s": 121, "video": 360, "technique": 900}.get(times, 60)
    for estimate, progress in product(ESTIMATES, PROGRESS):
        found = simulate(times=times, estimate=estimate, progress=progress, runs=2)
        latest = 30 if estimate == "x 3" else PollPolicy().max_interval
        assert max(found.lags) <= latest + 2 * LATENCY, (estimate, progress)
        assert max(found.requests) <= 3 + longest / 4, (estimate, progress)


def test_longer_interval_costs_less_and_is_later():
    often, seldom = (simulate(PollPolicy(interval=interval)) for interval in (2.0, 10.0))
    assert seldom.requests_per_run < often.requests_per_run
    assert seldom.median_lag > often.median_lag


@pytest.mark.parametrize(
    ("known", "first"),
    [
        ({"estimated_seconds": 40}, 24),
        ({"estimated_seconds": 600}, 30),
        ({"estimated_seconds": 0}, 0),
        ({}, 3),
        ({"estimated_seconds": 40, "started_at": BEGIN - 20}, 4),
        ({"estimated_seconds": 40, "started_at": BEGIN - 100}, 0),
        ({"started_at": None}, 0),
        ({"estimated_seconds": 40, "deadline": 5}, 5),
    ],
)
def test_first_poll_comes_after_somewhat_more_than_half_of_the_estimate(known, first):
    _, polls = poll(lambda _: DONE, **known)
    assert polls.times == pytest.approx([first])


def test_run_without_a_known_start_has_the_age_that_flora_shows():
    created = run_response("running", 0, created_at=(BEGIN - 80) * 1000)
    _, polls = poll(script(created, DONE), started_at=None)
    assert polls.times[1] == pytest.approx(12.65, abs=0.1), "80 s of age, a pause of about 0.15 of it"


def test_impossible_creation_time_is_ignored():
    for at in ({"created_at": (BEGIN + 1e6) * 1000}, {"created_at": None}):
        _, polls = poll(script(run_response("running", 0, **at), DONE), started_at=None)
        assert 3 <= polls.times[1] <= 3.4


@given(
    st.floats(0.1, 100),
    st.lists(st.sampled_from([RUNNING, response(503), response(404)]), max_size=12),
    st.floats(0, 0.99),
)
def test_no_two_polls_are_closer_than_poll_interval(interval, responses, random):
    _, polls = poll(script(*responses, then=DONE), policy=PollPolicy(interval=interval), random=lambda: random)
    assert all(second - first >= interval for first, second in pairwise(polls.times))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("random", [0.0, 0.99])
def test_retry_after_delays_the_next_poll(status, random):
    _, polls = poll(script(response(status, retry_after=45), DONE), random=lambda: random)
    assert 45 <= polls.times[1] - polls.times[0] <= 45 * 1.1 + LATENCY


def test_pauses_grow_while_flora_is_in_trouble_and_shrink_when_it_is_over():
    _, polls = poll(script(*[response(503)] * 6, RUNNING, then=DONE))
    pauses = [second - first for first, second in pairwise(polls.times)]
    assert pauses[:5] == sorted(pauses[:5])
    assert max(pauses) <= 40
    assert pauses[6] <= 15.1
