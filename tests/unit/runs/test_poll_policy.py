"""When the next poll is due, by itself and by a page that it shares."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.runs.end_range import EndRange
from flora_provider.runs.poll_policy import GATHER_AT_MOST, PollPolicy, gathering

INTERVALS = st.floats(0.1, 100)
ELAPSED = st.floats(0, 1e5)
PROGRESS = st.floats(-10, 200) | st.sampled_from([0, 1e-320, 100])
SHARES = st.floats(0.01, 10)
RANDOM = st.floats(0, 1, exclude_max=True)


@given(INTERVALS, INTERVALS, PROGRESS, ELAPSED, RANDOM)
def test_pause_of_a_run_by_itself_is_between_interval_and_max_interval(
    interval, max_interval, progress, elapsed, random
):
    policy = PollPolicy(interval=interval, max_interval=max_interval)
    ends = EndRange().narrowed(progress=progress, elapsed=elapsed)
    pause = policy.next(ends=ends, elapsed=elapsed, since_poll=0.0, random=random)
    assert interval <= pause <= max(max_interval, interval * 1.1) * 1.000001


@given(INTERVALS, PROGRESS, ELAPSED, RANDOM, st.floats(0, 1000))
def test_interval_counts_from_the_last_poll_of_the_run_by_itself(interval, progress, elapsed, random, since_poll):
    policy = PollPolicy(interval=interval)
    ends = EndRange().narrowed(progress=progress, elapsed=elapsed)
    pause = policy.next(ends=ends, elapsed=elapsed, since_poll=since_poll, random=random)
    assert pause + since_poll >= interval * 0.999999


@given(INTERVALS, PROGRESS, ELAPSED, SHARES)
def test_page_is_worth_reading_after_a_third_of_the_interval_at_the_earliest(interval, progress, elapsed, share):
    policy = PollPolicy(interval=interval)
    ends = EndRange().narrowed(progress=progress, elapsed=elapsed)
    pause = policy.next_page(ends=ends, elapsed=elapsed, share=share)
    assert interval / 3 <= pause <= max(policy.max_interval, interval)


@given(PROGRESS, ELAPSED, st.lists(SHARES, min_size=2, max_size=2))
def test_page_is_read_later_the_more_it_costs_each_run(progress, elapsed, shares):
    ends = EndRange().narrowed(progress=progress, elapsed=elapsed)
    cheap, dear = (PollPolicy().next_page(ends=ends, elapsed=elapsed, share=share) for share in sorted(shares))
    assert cheap <= dear


@given(st.floats(1, 36_000), st.sampled_from([0.01, 0.1]))
def test_requests_for_a_run_of_any_length_are_bounded(seconds, share):
    policy, pages, ends = PollPolicy(), 0, EndRange()
    elapsed = policy.first(estimated_seconds=None, elapsed=0.0)
    while elapsed < seconds:
        ends = ends.narrowed(progress=int(elapsed / seconds * 10) * 10, elapsed=elapsed)
        elapsed += policy.next_page(ends=ends, elapsed=elapsed, share=share)
        pages += 1
    assert pages <= 25 + seconds / 4


def test_polls_of_many_runs_without_progress_are_spread():
    pauses = [PollPolicy().next(ends=EndRange(), elapsed=10, since_poll=0, random=n / 10) for n in range(10)]
    assert len(set(pauses)) == 10


@pytest.mark.parametrize("seconds", [20, 33, 47, 60])
def test_last_poll_comes_when_the_run_must_have_ended(seconds):
    elapsed, ends, polls = seconds * 0.6, EndRange(), []
    while elapsed < seconds:
        polls.append(elapsed)
        ends = ends.narrowed(progress=int(elapsed / seconds * 10) * 10, elapsed=elapsed)
        elapsed += PollPolicy().next(ends=ends, elapsed=elapsed, since_poll=0, random=0.5)
    assert elapsed - seconds <= 2.5
    assert len(polls) <= 4
    assert all(after - before >= 3 for before, after in pairwise(polls))


def test_polls_are_gathered_the_longer_the_more_a_page_costs_each_run_but_not_for_one_run():
    assert gathering(runs=1, share=1.0) == gathering(runs=0, share=0.0) == 0
    full, half, few = (gathering(runs=1000, share=share) for share in (0.01, 0.02, 0.1))
    assert 0 < full < half < few == GATHER_AT_MOST
    assert gathering(runs=2, share=0.0) < gathering(runs=5, share=0.0) < 0.3
