"""For how many seconds each way to wait holds a worker of a real Airflow; `python -m benchmarks.workers` prints them.

A worker of LocalExecutor carries the id of its task instance in its process title; twenty times a second somebody looks
which are there. So whatever a task instance does, and however often, counts, and what no worker is started for is zero.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import psutil

from devstack.airflow_rest import FINISHED
from devstack.stage import Stage

BUSY = "airflow worker -- LocalExecutor: "
PAUSE = 0.05  # seconds between two checks
RUNS = 6  # of each way
ONE_A_CORE = {"AIRFLOW__CORE__PARALLELISM": "2"}  # more would wait for each other, and not for FLORA
WAYS = {
    "waiting": "`FloraGenerateOperator(wait_for_completion=True, deferrable=False)`: all in a worker",
    "resumed": "`FloraGenerateOperator(wait_for_completion=True)` with a callback: submits, defers, resumes",
    "deferred": "`FloraGenerateOperator(wait_for_completion=True)`: submits, defers, ends in the triggerer",
    "submission": "`FloraGenerateOperator()`: the submission alone",
    "sensor": "`FloraRunSensor`: starts and ends in the triggerer",
}


def main() -> None:
    """Measure all ways, and print a table."""
    for way, held in measure().items():
        print(f"{held:6.2f} s  {WAYS[way]}")


def measure() -> dict[str, float]:
    """Seconds that a worker is held per run of 20 s, by way.

    Raises:
        RuntimeError: not all runs were awaited.
    """
    dags = Path(__file__).parent / "dags"
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder), dags, ONE_A_CORE) as stage:
        rest, scheduler = stage.airflow.rest, stage.airflow.parts["scheduler"]
        rest.unpause("workers")
        dag_run = rest.trigger("workers")
        held: dict[str, float] = defaultdict(float)  # by the id of a task instance
        polled = asked = time.monotonic()
        while True:
            time.sleep(PAUSE)
            before, polled = polled, time.monotonic()
            for process in psutil.Process(scheduler.pid).children():
                with suppress(psutil.Error):
                    held[" ".join(process.cmdline()).partition(BUSY)[2].strip()] += polled - before
            if polled - asked > 2:  # noqa: PLR2004 - seconds
                asked = polled
                if (state := rest.dag_run("workers", dag_run)["state"]) in FINISHED:
                    break
        if state != "success":
            raise RuntimeError(f"the DAG run ended as {state}; see {stage.logs}")
        by_way: dict[str, float] = defaultdict(float)
        for ti in rest.task_instances("workers", dag_run):
            by_way[ti["task_id"].partition("_")[0]] += held[ti["id"]]
        return {way: by_way[way] / RUNS for way in WAYS}


if __name__ == "__main__":
    main()
