"""The benchmarks run and can be read; what they measure is not judged here."""

import json

import pytest

from benchmarks import report
from benchmarks.bounds import bounds
from benchmarks.cases import Case
from benchmarks.server import too_early

SHORT = {"count": 3, "interval": 0.3, "seconds": (0.2, 0.6), "idle": 0.1}


@pytest.fixture(scope="module")
def results():
    ours, peer = Case(**SHORT, watchers=3).measure(), Case(**SHORT, side="HttpEventTrigger").measure()
    return {"1 wait": ours, "1000 ours": ours, "1000 HttpEventTrigger": peer}


def test_every_run_is_noticed_and_every_request_counted(results):
    for result in results.values():
        assert result["noticed"] == 3
        assert result["requests"] >= result["connections"] >= 1
        assert len(result["lag"]) == len(result["loop_lag"]) == 3


def test_page_shows_what_was_measured_and_whether_it_holds(results):
    page = "\n".join(report.page(json.loads(json.dumps(results))))
    assert "| 1,000, `HttpEventTrigger` | 3 of 3 |" in page
    assert "| 1,000 waits: CPU over that of HttpEventTrigger |" in page
    assert {bound.promise.partition(":")[0] for bound in bounds(results)} == {"1 wait", "1,000 waits"}


def test_request_while_a_429_asks_for_silence_is_seen():
    refused = (10.0, 429, 2.0)
    assert too_early([refused, (10.04, 200, 0)]) == 0  # on its way already
    assert too_early([refused, (11.0, 200, 0)]) == 1
    assert too_early([refused, (12.1, 200, 0)]) == 0
