"""What progress tells of the end of a run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.runs.end_range import EndRange


def progress_at(elapsed, *, seconds, queued):
    """As FLORA shows it: in steps of ten percent of the time since the run left the queue."""
    return int((elapsed - queued) / (seconds - queued) * 10) * 10 if elapsed > queued else 0


def test_progress_of_60_percent_after_30_s_tells_an_end_between_43_and_50_s():
    found = EndRange().narrowed(progress=60, elapsed=30)
    assert (found.earliest, found.latest) == (pytest.approx(42.86, abs=0.01), pytest.approx(50))


def test_time_in_the_queue_does_not_count():
    found = EndRange().narrowed(progress=50, elapsed=30, queued=10)
    assert (found.earliest, found.latest) == (pytest.approx(43.33, abs=0.01), pytest.approx(50))


@given(
    st.floats(1, 10_000),
    st.floats(0, 0.9),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=8).map(sorted),
)
def test_end_of_a_run_with_linear_progress_is_in_its_range(seconds, queued, shares):
    found = EndRange()
    for share in shares:
        elapsed = seconds * share
        progress = progress_at(elapsed, seconds=seconds, queued=queued * seconds)
        found = found.narrowed(progress=progress, elapsed=elapsed, queued=queued * seconds)
        assert found.earliest <= seconds * 1.000001
        assert found.latest >= seconds * 0.999999


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-10, 200) | st.sampled_from([0, 1e-320, 100])), max_size=8))
def test_range_is_never_empty_nor_over_whatever_progress_flora_shows(polls):
    found = EndRange()
    for elapsed, progress in sorted(polls):
        found = found.narrowed(progress=progress, elapsed=elapsed)
        assert found.earliest <= found.latest
        assert not found.is_known or found.earliest >= elapsed * 0.999999


@given(st.floats(5, 5000), st.floats(0.2, 0.7))
def test_poll_between_tells_in_which_half_of_the_range_the_end_is(seconds, share):
    at = seconds * share
    first = EndRange().narrowed(progress=progress_at(at, seconds=seconds, queued=0), elapsed=at)
    between = first.halving(after=at, spare=0)
    assert between > at
    if between < min(first.earliest, seconds):
        progress = progress_at(between * (1 + 1e-9), seconds=seconds, queued=0)
        assert first.narrowed(progress=progress, elapsed=between).width <= first.width * 0.51


@pytest.mark.parametrize("latest", [float("inf"), 1e-4])
def test_no_poll_narrows_what_progress_tells_nothing_of(latest):
    assert EndRange(latest=latest).halving(after=5, spare=0) == float("inf")
