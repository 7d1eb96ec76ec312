"""The benchmarks run and can be read; what they measure is not judged here."""

import json
import os
import sys
from types import SimpleNamespace

import pytest

from benchmarks import batch, mapping, report
from benchmarks.bounds import bounds
from benchmarks.cases import Case
from benchmarks.server import too_early
from devstack.airflow_rest import wait_until
from devstack.processes import Part

# A process whose child takes more than half a second by ticks of a hundredth, too, and has ended.
CHILD = "import time\nwhile time.process_time() < 0.6: pass"
BURNS = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {CHILD!r}]); time.sleep(60)"
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
    assert "| 1,000, `HttpEventTrigger` at 1 s | 3 of 3 |" in page
    assert "| 1,000 waits: CPU over that of HttpEventTrigger as late |" in page
    assert {bound.promise.partition(":")[0] for bound in bounds(results)} == {"1 wait", "1,000 waits"}


def test_request_while_a_429_asks_for_silence_is_seen():
    refused = (10.0, 429, 2.0)
    assert too_early([refused, (10.04, 200, 0)]) == 0  # on its way already
    assert too_early([refused, (11.0, 200, 0)]) == 1
    assert too_early([refused, (12.1, 200, 0)]) == 0


@pytest.fixture(scope="module")
def rows():
    return batch.measure(30)


def test_each_step_of_a_batch_is_measured(rows):
    assert rows["summary"]["completed"] == rows["count"] == 30
    for step in batch.STEPS:
        assert rows[step]["cpu"] > 0
        assert 0 < rows[step]["kept"] < 1000
        assert 0 <= rows[step]["memory"] < 100e6
    assert len(rows["run"]["held"]) == 3


def test_page_shows_batches_beside_mapped_tasks(rows):
    ways = {way: {"cpu": cpu, "wall": 50.0, "xcom": 440} for way, cpu in zip(mapping.WAYS, (100, 60, 4), strict=True)}
    results = {"10000 rows": rows, "500 prompts": {"count": 500, "idle": 0.04, "ways": ways}}
    page = "\n".join(report.page(json.loads(json.dumps(results))))
    assert "| 500 prompts: CPU of a batch over that of a mapped pair | 0.04 | 0.05 | yes |" in page
    assert "| 500 | `FloraGenerateOperator` and `FloraRunSensor`, both mapped | 0.200 | 25.0x |" in page
    assert "| a batch of 10,000 rows: memory of a worker |" in page
    assert "| a worker saves their files |" in page


def test_cpu_of_processes_that_have_ended_is_counted(tmp_path):
    airflow = SimpleNamespace(parts={"part": Part("part", [sys.executable, "-c", BURNS], os.environ, tmp_path / "log")})
    part = airflow.parts["part"].start()
    try:
        assert wait_until(lambda: len(part.processes()) == 1 and mapping.cpu_seconds(airflow) > 0.5, timeout=60)
    finally:
        part.kill()
