"""One measured process: a worker's or the triggerer's part of a batch.

It reads where FLORA is as a line of JSON, and then does one step for each further line, and prints what that took. The
task instance around a worker's step is not Airflow's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.meters import Meters, quantiles
from benchmarks.processes import say
from benchmarks.waiting import prepare

if TYPE_CHECKING:
    from flora_provider.operators.batch import FloraGenerateBatchOperator

CONNECTION = "flora_0"
STARTED = datetime.now(UTC)  # of the DAG run


def operator(card: dict[str, Any], job: dict[str, Any]) -> FloraGenerateBatchOperator:
    """The task, as a worker has it."""
    from flora_provider.operators.flora import FloraGenerateBatchOperator

    scope = {name: card[name] for name in ("workspace_id", "project_id")}
    arguments = {name: job[name] for name in ("requests", "save_outputs_to", "max_in_flight")}
    return FloraGenerateBatchOperator(task_id="batch", flora_conn_id=CONNECTION, defaults=scope, **arguments)


def context(job: dict[str, Any], pushed: dict[str, Any]) -> Any:
    """What a task sees of Airflow; what it pushes to XCom goes into `pushed`."""

    def push(key: str, value: Any) -> None:
        pushed[key] = value

    # Of a DAG run of its own for each batch: else equal rows of two batches would be the same runs.
    names = {"dag_id": "bench", "task_id": "batch", "run_id": job["save_outputs_to"], "map_index": -1}
    ti = SimpleNamespace(**names, try_number=1, max_tries=0, xcom_push=push)
    return {"ti": ti, "dag_run": SimpleNamespace(start_date=STARTED, conf={}), "params": {}}


def plan(card: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Check and plan the rows, up to the deferral."""
    from airflow.providers.common.compat.sdk import TaskDeferred

    pushed: dict[str, Any] = {}
    try:
        operator(card, job).execute(context(job, pushed))
    except TaskDeferred as deferral:
        trigger: Any = deferral.trigger
        kwargs = trigger.serialize()[1]
        return {"trigger": kwargs, "kept": longest([*pushed.values(), kwargs])}
    raise RuntimeError("the batch was not deferred")


def save(card: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Save the files, and say how many rows completed."""
    pushed: dict[str, Any] = {}
    summary = operator(card, job).execute_complete(context(job, pushed), job["event"])
    return {"summary": summary, "kept": longest([*pushed.values(), summary])}


async def run(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Start and await the rows."""
    from flora_provider.triggers.batch import FloraBatchTrigger

    class Trigger(FloraBatchTrigger):
        """With no task instance, it has nowhere to push to."""

        def _push(self, value: dict[str, Any]) -> None:
            pushed.append(value)

    pushed: list[Any] = []
    trigger = Trigger(**kwargs)
    async with Meters(idle=1.0) as meters:
        turns = measured_turns()
        event = await anext(trigger.run())
    held = [seconds * 1000 for seconds in quantiles(turns, of=(0.5, 0.99, 1.0))]
    return {"event": event.payload, "kept": longest([*pushed, event.payload]), "held": held, **meters.result()}


def measured_turns() -> list[float]:
    """A list that grows by the CPU seconds of each turn of the event loop, for which nobody else on it has a turn.

    Unlike the lag of a timer, it hardly depends on what else the machine does.
    """
    loop: Any = asyncio.get_running_loop()
    turn, taken = loop._run_once, []  # noqa: SLF001 - there is no public place to measure at

    def measured() -> None:
        began = time.thread_time()
        turn()
        taken.append(time.thread_time() - began)

    loop._run_once = measured  # noqa: SLF001 - as above
    return taken


def longest(values: list[Any]) -> int:
    """Bytes of the longest value that Airflow's database has to keep."""
    return max(len(json.dumps(value)) for value in values)


def worker_step(card: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """A step of a worker, with its CPU in seconds, and the most memory that it took over that before, in bytes."""
    gc.collect()
    before, cpu = psutil.Process().memory_info().rss, time.process_time()
    found = (plan if job["step"] == "plan" else save)(card, job)
    return {**found, "cpu": time.process_time() - cpu, "memory": max(most_memory() - before, 0)}


def most_memory() -> int:
    """The most bytes that this process has taken; `ru_maxrss` would count the process, too, that it was forked from."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main(home: Path) -> None:
    """Do what stdin tells, until it ends."""
    card = json.loads(sys.stdin.readline())
    prepare({**card, "watchers": 1}, home)
    say("ready")
    for line in sys.stdin:
        job = json.loads(line)
        say(asyncio.run(run(job["trigger"])) if job["step"] == "run" else worker_step(card, job))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="flora-bench-") as folder:
        main(Path(folder))
