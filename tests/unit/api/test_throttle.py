"""How fast requests follow one another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.http.retry_policy import MAX_WAIT
from flora_provider.api.http.throttle import Throttle


def sent_at(throttle, arrivals):
    """When requests that come at these times are sent."""
    now, times = 0.0, []
    for arrival in arrivals:
        now = max(now, arrival)
        while (wait := throttle.wait(now)) > 0:
            now += wait
        times.append(now)
    return times


def refused(throttle, now, retry_after=None, sent=None):
    throttle.answered(429, retry_after=retry_after, sent=now if sent is None else sent, now=now)


def test_throttle_without_a_limit_waits_for_nothing():
    assert sent_at(Throttle(), [0, 0, 0, 0.1]) == [0, 0, 0, 0.1]


def test_throttle_with_a_limit_spaces_requests():
    assert sent_at(Throttle(4), [0, 0, 0, 10, 10]) == [0, 0.25, 0.5, 10, 10.25]


@given(st.floats(0.1, 100), st.lists(st.floats(0, 5), max_size=50).map(sorted))
def test_throttle_allows_at_most_the_limit_and_one_in_any_interval(rate, arrivals):
    times, whole = sent_at(Throttle(rate), arrivals), max(1, int(rate))
    for first, later in zip(times, times[whole + 1 :], strict=False):
        assert later - first >= 0.999 * whole / rate


def test_overrunning_sleeps_do_not_lower_the_rate():
    throttle, now = Throttle(10), 0.0
    for _ in range(100):
        while (wait := throttle.wait(now)) > 0:
            now += wait + 0.01
    assert now <= 10.1


def test_throttle_waits_as_long_as_flora_asks():
    throttle = Throttle()
    refused(throttle, now=100.0, retry_after=7)
    assert throttle.wait(100.0) == 7
    assert throttle.wait(106.0) == 1
    assert throttle.wait(107.0) == 0
    assert 0 < throttle.wait(107.0) < 1


def test_throttle_waits_no_longer_than_a_minute():
    throttle = Throttle()
    refused(throttle, now=0.0, retry_after=3600)
    assert throttle.wait(0.0) == MAX_WAIT == 60
    refused(throttle, now=0.0, retry_after=1)
    assert throttle.wait(0.0) == MAX_WAIT


def gap(throttle, now):
    """The distance that is kept at this time."""
    first, second = sent_at(throttle, [now, now])
    return second - first


def test_each_429_widens_the_gap_up_to_two_seconds():
    throttle, gaps = Throttle(), []
    for now in range(0, 1000, 100):
        refused(throttle, now=now, retry_after=0)
        gaps.append(round(gap(throttle, now + 50), 3))
    assert gaps[:5] == [0.2, 0.4, 0.8, 1.6, 2.0]
    assert set(gaps[4:]) == {2.0}


def test_simultaneous_429s_widen_the_gap_once():
    throttle = Throttle()
    for _ in range(20):
        refused(throttle, now=10.0, retry_after=0, sent=9.0)
    assert gap(throttle, 20.0) == pytest.approx(0.2)


@pytest.mark.parametrize(("rate", "widened", "least"), [(None, 0.2, 0.0), (20, 0.2, 0.05), (0.1, 10, 10)])
def test_successes_narrow_the_gap_again_to_what_the_user_set(rate, widened, least):
    throttle = Throttle(rate)
    refused(throttle, now=0.0, retry_after=0)
    assert gap(throttle.copy(), 100.0) == pytest.approx(widened)
    for _ in range(30):
        throttle.answered(200, retry_after=None, sent=0.0, now=0.0)
    assert gap(throttle, 100.0) == pytest.approx(least)


def test_other_errors_leave_the_gap_as_it_is():
    throttle = Throttle()
    refused(throttle, now=0.0, retry_after=0)
    for status in (404, 500, 503):
        throttle.answered(status, retry_after=None, sent=1.0, now=1.0)
    assert gap(throttle, 100.0) == pytest.approx(0.2)


@given(st.lists(st.tuples(st.sampled_from([200, 429, 500]), st.none() | st.floats(0, 1e9), st.floats(0, 10))))
def test_throttle_never_waits_longer_than_a_minute_and_a_gap(history):
    throttle, now = Throttle(), 0.0
    for status, retry_after, later in history:
        throttle.answered(status, retry_after=retry_after, sent=now, now=now)
        now += later
        assert 0 <= throttle.wait(now) <= MAX_WAIT + 2


@given(st.lists(st.sampled_from([200, 404, 429]), max_size=5), st.sampled_from([None, 2.0, 50.0]))
def test_copy_of_a_throttle_is_equal_and_independent(statuses, limit):
    throttle, now = Throttle(limit), 0.0
    for status in statuses:
        now += throttle.wait(now)
        throttle.answered(status, retry_after=None, sent=now, now=now)
    copies = [throttle.copy(), throttle.copy()]
    for copy in copies:
        assert sent_at(copy, [now, now, now]) == sent_at(throttle.copy(), [now, now, now])
