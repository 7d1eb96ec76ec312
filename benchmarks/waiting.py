"""One measured process: triggers on one event loop, started one by one as Airflow's triggerer starts them.

It reads a job as a line of JSON, says that it is ready, reads the runs as another line, waits for them, and prints what
was measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.meters import Meters, quantiles
from benchmarks.processes import say

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

OVERTIME = 60.0  # seconds after the last run's end in which it must have been noticed


def prepare(job: dict[str, Any], home: Path) -> None:
    """Make an Airflow without a database, with a connection per watcher, that logs as in a triggerer, but to a file."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    os.environ["AIRFLOW_HOME"] = str(home)
    flora = {"conn_type": "flora", "host": job["base_url"], "password": job["api_key"]}
    for number in range(job["watchers"]):
        # Connections that resolve to the same settings would share a client.
        extra = {"timeout": 60 + number / 1000}
        os.environ[f"AIRFLOW_CONN_FLORA_{number}"] = json.dumps({**flora, "extra": extra})
    peer = {"conn_type": "http", "host": job["base_url"], "extra": {"Authorization": f"Bearer {job['api_key']}"}}
    os.environ["AIRFLOW_CONN_PEER"] = json.dumps(peer)

    from airflow.sdk.log import configure_logging

    log = (home / "log").open("wb", buffering=0)
    configure_logging(json_output=True, output=log, sending_to_supervisor=True)


def trigger_for(run: dict[str, Any], job: dict[str, Any], number: int) -> BaseTrigger:
    """A trigger that waits for a run, with the same interval on both sides."""
    if job["side"] == "HttpEventTrigger":
        from airflow.providers.http.triggers.http import HttpEventTrigger

        return HttpEventTrigger(
            response_check_path="benchmarks.check.has_ended",
            http_conn_id="peer",
            endpoint=f"runs/{run['run_id']}",
            poll_interval=job["interval"],
        )
    from flora_provider.triggers.flora import FloraRunTrigger

    return FloraRunTrigger(
        run_id=run["run_id"],
        flora_conn_id=f"flora_{number % job['watchers']}",
        poll_interval=job["interval"],
        started_at=run["started_at"],
        estimated_seconds=run["estimated_seconds"],
    )


async def lag_of(run: dict[str, Any], job: dict[str, Any], number: int) -> float:
    """Wait for one run; by how many seconds its end was noticed late."""
    from structlog.contextvars import bind_contextvars

    bind_contextvars(trigger_id=number, dag_id="dag", task_id="wait", run_id="manual", try_number=1, map_index=number)
    async for _ in trigger_for(run, job, number).run():
        break
    lag: float = time.time() - run["started_at"] - run["seconds"]
    return lag


async def measure(runs: list[dict[str, Any]], job: dict[str, Any]) -> dict[str, Any]:
    """Wait for all of them, and say what it cost."""
    end = max(run["started_at"] + run["seconds"] for run in runs)
    waits = []
    async with Meters(idle=job["idle"]) as meters:
        for number, run in enumerate(runs):
            waits.append(asyncio.create_task(lag_of(run, job, number)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(end + OVERTIME - time.time()):
                await asyncio.wait(waits)
    noticed = [wait.result() for wait in waits if wait.done()]
    for wait in waits:
        wait.cancel()
    return {"noticed": len(noticed), "lag": quantiles(noticed), **meters.result()}


async def main(home: Path) -> None:
    """Do the job that stdin tells."""
    job = json.loads(sys.stdin.readline())
    prepare(job, home)
    # What is loaded at first use is the price of a process, not of a wait.
    await lag_of(job["warm_up"], job, 0)
    say("ready")
    say(await measure(json.loads(sys.stdin.readline()), job))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="flora-bench-") as folder:
        asyncio.run(main(Path(folder)))
