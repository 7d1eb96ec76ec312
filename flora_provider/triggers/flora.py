"""The wait, in the triggerer: asynchronous, and holding nothing but ids and instants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from flora_provider.api.checks import run_id
from flora_provider.glue.triggerer import NET_BELOW
from flora_provider.runs.event import Limit, RunEvent


class _Payload(dict[str, Any]):
    """Airflow logs every event that a trigger fires; addresses of outputs are not for logs."""

    def __repr__(self) -> str:
        return f"{self['run_id']}: {self['kind']}"


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
        hold_until: unix seconds before which a worker is not asked to go on. Airflow fails a task that comes back
            before its scheduler has digested the deferral (apache/airflow 66374 and others).
        ends_task: end the task here if the run completed, instead of asking a worker to do it.
        pushes_result: with `ends_task`, push the finished run as the task's return value.
        run_id_from: for a wait that starts here: `task_id` and `key` of the XCom that holds the run id.
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
        ends_task: bool = False,
        pushes_result: bool = True,
        run_id_from: dict[str, str] | None = None,
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
        self.ends_task = ends_task
        self.pushes_result = pushes_result
        self.run_id_from = run_id_from

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
                "ends_task": self.ends_task,
                "pushes_result": self.pushes_result,
                "run_id_from": self.run_id_from,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event."""
        event = replace(await self._wait(), limit=self.limit)
        # Without a trigger_id this is no triggerer, but dag.test(): it always resumes the task, and has no scheduler.
        in_triggerer = self.trigger_id is not None
        if in_triggerer and self.ends_task and event.succeeded:
            from airflow.triggers.base import TaskSuccessEvent

            await self._push(event)
            self.log.info("FLORA run %s completed; the task ends here", self.run_id)
            yield TaskSuccessEvent()
            return
        if in_triggerer:
            await asyncio.sleep(max(0.0, self.hold_until - time.time()))
        yield TriggerEvent(_Payload(event.to_payload()))  # type: ignore[no-untyped-call]  # Airflow's

    async def _wait(self) -> RunEvent:
        # Loaded here, for a DAG file that defers by hand imports this module too.
        from flora_provider.runs.follow import PollPolicy, Wait
        from flora_provider.triggers.watcher import watcher_for

        if self.run_id_from is not None:
            self.run_id = await self._pull(**self.run_id_from)
            if problem := run_id("run_id", self.run_id):
                return RunEvent.invalid(self.run_id, problem)
        if self.deadline is None and (net := getattr(self, "timeout_after", None)):
            # Started here: Airflow counts the timeout, and we end before its net does, to say which run it was.
            self.deadline = net.timestamp() - NET_BELOW
        wait = Wait(
            self.run_id,
            policy=PollPolicy(interval=self.poll_interval),
            now=time.time(),
            deadline=self.deadline,
            started_at=self.started_at,
            estimated_seconds=self.estimated_seconds,
        )
        return await watcher_for(self.flora_conn_id).wait_for(wait)

    async def _pull(self, *, task_id: str, key: str) -> Any:
        from airflow.providers.common.compat.sdk import XCom

        return await asyncio.to_thread(XCom.get_one, key=key, task_id=task_id, **self._dag_run())

    async def _push(self, event: RunEvent) -> None:
        """Push what a worker would. In a thread: the supervisor is asked synchronously.

        XComs inside of a TaskSuccessEvent would reach downstream tasks as JSON text instead (3.3.2).
        """
        from airflow.providers.common.compat.sdk import XCom

        run = event.result()
        values = {"charged_cost_usd": run["charged_cost"]} if run["charged_cost"] is not None else {}
        if self.pushes_result:
            values["return_value"] = run
        ti: Any = self.task_instance
        for key, value in values.items():
            place = {"task_id": ti.task_id, "map_index": ti.map_index, **self._dag_run()}
            await asyncio.to_thread(XCom.set, key=key, value=value, **place)

    def _dag_run(self) -> dict[str, str]:
        ti: Any = self.task_instance
        return {"dag_id": ti.dag_id, "run_id": ti.run_id}

    async def on_kill(self) -> None:
        """Say what becomes of the run; FLORA has no call that cancels it.

        Airflow also calls this when a live triggerer merely loses the trigger to another (apache/airflow 73454), so it
        must not change anything.
        """
        self.log.info(
            "No longer waiting for FLORA run %s here. A run cannot be cancelled: it goes on and is billed", self.run_id
        )
