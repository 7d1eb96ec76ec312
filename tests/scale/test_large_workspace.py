"""A hundred thousand waits over four triggerers, in a workspace with a million runs, at five requests a second."""

import pytest

from tests.support.large_workspace import lags_of, triggerers_after

WAITS = 100_000


@pytest.fixture(scope="module")
def processes():
    return triggerers_after(waits=WAITS, triggerers=4, limit=5.0, history=1_000_000)


def test_every_end_of_a_hundred_thousand_runs_is_noticed(processes):
    assert sum(len(process.ended) for process in processes) == WAITS
    assert all(set(process.kinds) == {"ended"} for process in processes)
    # Each triggerer has to read a thousand pages to find its runs: four thousand requests, or 800 s.
    assert lags_of(processes)[-1] < 1200


def test_few_requests_serve_a_hundred_thousand_waits(processes):
    assert len(processes[0].flora.record) < 0.1 * WAITS


def test_each_triggerer_waits_as_long_as_flora_asks(processes):
    assert [process.asked_too_early() for process in processes] == [[]] * 4
