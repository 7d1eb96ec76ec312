"""What many prompts cost Airflow: mapped tasks beside one batch; `python -m benchmarks "500 prompts"` measures it.

On a real Airflow, one way after the other. The CPU is that of all processes of Airflow (scheduler, workers, triggerer,
dag-processor, api-server), of ended ones too, from the DAG run's start to its end; the sandbox's is left out. CPU
seconds hardly depend on what else the machine does, wall time does.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil

from devstack.airflow_instance import AirflowInstance
from devstack.airflow_rest import FINISHED
from devstack.stage import Stage

COUNTS = (50, 500)  # prompts
SECONDS = 20  # that each run takes
IN_FLIGHT = 50  # runs of the batch at once; the mapped ways have as many as four workers can start meanwhile
IDLE = 60.0  # seconds in which Airflow does nothing, to know what that costs
PAUSE = 5.0  # seconds between two looks at a DAG run, each of which costs the api-server some
TIMEOUT = 7200.0  # seconds
WAYS = {
    "mapped_pair": "`FloraGenerateOperator` and `FloraRunSensor`, both mapped",
    "mapped_waiting": "`FloraGenerateOperator(wait_for_completion=True)`, mapped",
    "batch": "`FloraGenerateBatchOperator`, files saved as well",
}
COLUMNS = (
    *("prompts", "way", "CPU per prompt, s", "over the batch's"),
    *("over an idle Airflow, s", "wall time per prompt, s", "longest XCom, KB"),
)


def measure(count: int) -> dict[str, Any]:
    """What each way took, by its name, and what an idle Airflow takes, as a share of one processor."""
    with (
        tempfile.TemporaryDirectory(prefix="flora-bench-") as folder,
        Stage(Path(folder), Path(__file__).parent / "dags") as stage,
    ):
        for way in WAYS:
            _run(stage, way, count=2, folder=f"{folder}/warm-up")  # what is loaded or compiled at first use
        before = cpu_seconds(stage.airflow)
        time.sleep(IDLE)
        idle = (cpu_seconds(stage.airflow) - before) / IDLE
        ways = {way: _run(stage, way, count=count, folder=f"{folder}/files") for way in WAYS}
        return {"count": count, "idle": idle, "ways": ways}


def cpu_seconds(airflow: AirflowInstance) -> float:
    """What all processes of Airflow have taken so far, of those too that have ended and been waited for."""
    sessions = {part.pid for part in airflow.parts.values()}
    total = 0.0
    for process in psutil.process_iter():
        with suppress(OSError, psutil.Error):
            if os.getsid(process.pid) in sessions:
                total += sum(process.cpu_times()[:4])  # user and system, its own and its children's
    return total


def _run(stage: Stage, way: str, *, count: int, folder: str) -> dict[str, float]:
    """Run a way's DAG, and see what it took.

    Raises:
        RuntimeError: it did not succeed.
    """
    rest = stage.airflow.rest
    rest.unpause(way)
    billed = stage.sandbox.stats()["runs_billed"]
    before, began = cpu_seconds(stage.airflow), time.monotonic()
    dag_run = rest.trigger(way, count=count, folder=folder)
    while (state := rest.dag_run(way, dag_run)["state"]) not in FINISHED and time.monotonic() - began < TIMEOUT:
        time.sleep(PAUSE)
    found = {"cpu": cpu_seconds(stage.airflow) - before, "wall": time.monotonic() - began}
    billed = stage.sandbox.stats()["runs_billed"] - billed
    if (state, billed) != ("success", count):
        raise RuntimeError(f"{way} ended as {state} with {billed} of {count} runs billed; see {stage.logs}")
    return {**found, "xcom": _largest_xcom(stage.airflow.database, way)}


def _largest_xcom(database: Path, dag_id: str) -> int:
    """Bytes of the largest XCom of our tasks; the list of prompts is another's."""
    asked = "select max(length(value)) from xcom where dag_id = ? and task_id not in ('prompts', 'rows')"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute(asked, [dag_id]).fetchone()[0] or 0)


def table_rows(results: dict[str, Any]) -> Iterator[Iterable[str]]:
    """All that was measured, a line for each way."""
    for count in COUNTS:
        if not (found := results.get(f"{count} prompts")):
            continue
        least = found["ways"]["batch"]["cpu"]
        for way in filter(found["ways"].__contains__, WAYS):
            took = found["ways"][way]
            yield [
                f"{count}",
                WAYS[way],
                f"{took['cpu'] / count:.3f}",
                f"{took['cpu'] / least:.1f}x",
                f"{(took['cpu'] - found['idle'] * took['wall']) / count:.3f}",
                f"{took['wall'] / count:.2f}",
                f"{took['xcom'] / 1000:.1f}",
            ]
