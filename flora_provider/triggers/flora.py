"""The wait, in the triggerer: asynchronous, and holding nothing but ids and instants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from flora_provider.runs.event import Limit, RunEvent


class FloraRunTrigger(BaseTrigger):
    """Wait for a run, then tell the task how it ended; see `flora_provider.runs.event.RunEvent` for what it is told.

    429, 5xx, broken connections and a 404 right after the start are waited out. It holds no secret: the connection is
    read when it runs, without blocking the event loop.

    Args:
        run_id: the run.
        flora_conn_id: the connection.
        poll_interval: least seconds between two looks.
        deadline: unix seconds at which to stop waiting; None to wait for ever. An instant, for the trigger may go on in
            another process.
        limit: which of the task's limits the deadline is, for the event.
        started_at: unix seconds at which the run was started, if known.
        estimated_seconds: FLORA's estimate, if known.
        hold_until: unix seconds before which the task is not told. Airflow fails a task that comes back before its
            scheduler has digested the deferral (apache/airflow 66374 and others).
    """

    def __init__(
        self,
        *,
        run_id: str,
        flora_conn_id: str,
        poll_interval: float,
        deadline: float | None = None,
        limit: Limit = "timeout",
        started_at: float | None = None,
        estimated_seconds: float | None = None,
        hold_until: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.run_id = run_id
        self.flora_conn_id = flora_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.limit = limit
        self.started_at = started_at
        self.estimated_seconds = estimated_seconds
        self.hold_until = hold_until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where to find this class, and what to make it with."""
        return (
            "flora_provider.triggers.flora.FloraRunTrigger",
            {
                "run_id": self.run_id,
                "flora_conn_id": self.flora_conn_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "limit": self.limit,
                "started_at": self.started_at,
                "estimated_seconds": self.estimated_seconds,
                "hold_until": self.hold_until,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event."""
        event = await self._wait()
        await asyncio.sleep(max(0.0, self.hold_until - time.time()))
        yield TriggerEvent(replace(event, limit=self.limit).to_payload())  # type: ignore[no-untyped-call]  # Airflow's

    async def _wait(self) -> RunEvent:
        # Loaded here, for a DAG file that defers by hand imports this module too.
        from flora_provider.runs.follow import PollPolicy, Wait
        from flora_provider.triggers.watcher import watcher_for

        wait = Wait(
            self.run_id,
            policy=PollPolicy(interval=self.poll_interval),
            now=time.time(),
            deadline=self.deadline,
            started_at=self.started_at,
            estimated_seconds=self.estimated_seconds,
        )
        return await watcher_for(self.flora_conn_id).wait_for(wait)

    async def on_kill(self) -> None:
        """Say what becomes of the run; FLORA has no call that cancels it.

        Airflow also calls this when a live triggerer merely loses the trigger to another (apache/airflow 73454), so it
        must not change anything.
        """
        self.log.info(
            "No longer waiting for FLORA run %s here. A run cannot be cancelled: it goes on and is billed", self.run_id
        )
