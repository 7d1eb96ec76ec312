"""The wait, in the triggerer: asynchronous, and holding nothing but ids and instants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from traceback import format_tb
from typing import Any

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS
from airflow.triggers.base import BaseTrigger, TriggerEvent

from flora_provider.api import checks
from flora_provider.api.checks import problems
from flora_provider.api.errors import unsigned
from flora_provider.glue.triggerer import NET_BELOW, SETTLED_AFTER, needs_worker
from flora_provider.runs.event import Limit, RunEvent
from flora_provider.triggers.payload import kept, payload_of, refused, sendable, text, told

ASK_FOR = 60.0  # seconds for which Airflow is asked again for an XCom that it could not tell
ASK_AGAIN_AFTER = 5.0  # seconds
ANSWERED_WITHIN = 120.0  # seconds; Airflow itself gives up on its api-server after some ten

# What only the trigger itself reads; the rest is checked by whoever waits.
_RULES: tuple[tuple[str, checks.Check], ...] = (
    ("limit", checks.one_of("timeout", "execution_timeout")),
    ("hold_until", checks.seconds),
)


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
        hold_until: unix seconds before which a worker is not asked to go on, for at most `SETTLED_AFTER` seconds.
            Airflow fails a task that comes back before its scheduler has digested the deferral (apache/airflow 66374
            and others).
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
        self.event: RunEvent | None = None  # how the wait ended, once that is known

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where to find this class, and what to make it with."""
        kwargs = {
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
        }
        return "flora_provider.triggers.flora.FloraRunTrigger", {name: kept(kwargs[name]) for name in kwargs}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event. Nothing else leaves it: an exception that did might stop the triggerer.

        Airflow sends the traceback of a trigger that failed over the same wire as its events, which takes no half of a
        surrogate pair, and dies of it.
        """
        taken_over, hold = time.monotonic(), self._hold()
        self.event = event = await self._guarded(self._wait())
        # Without a trigger_id this is no triggerer, but dag.test(): it always resumes the task, and has no scheduler.
        if self.trigger_id is not None:
            if self.ends_task is True and event.succeeded and await self._end_task(event):
                from airflow.triggers.base import TaskSuccessEvent

                self.log.info("FLORA run %s completed; the task ends here", event.run_id)
                yield TaskSuccessEvent()
                return
            await asyncio.sleep(max(0.0, taken_over + hold - time.monotonic()))
        yield TriggerEvent(payload_of(event))  # type: ignore[no-untyped-call]  # Airflow's

    def _hold(self) -> float:
        """Seconds from now for which no worker is to be asked.

        Bounded by its own length, for the clock that set the instant may be another machine's.
        """
        if checks.seconds("hold_until", self.hold_until):
            return SETTLED_AFTER  # it is refused, and that is an event, too
        return min(max(self.hold_until - time.time(), 0.0), SETTLED_AFTER)

    async def _guarded(self, wait: Coroutine[Any, Any, RunEvent]) -> RunEvent:
        """How the wait ended, whatever was raised in it; what nobody foresaw is for a retry to cure."""
        try:
            return await wait
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            return self._broken_off(error)

    def _broken_off(self, error: BaseException) -> RunEvent:
        why = told(error)
        # Frames only: what an exception says may hold an address that is signed.
        self.log.error("The wait broke off with %s, raised at\n%s", why, "".join(format_tb(error.__traceback__)))
        return refused(self.run_id, f"the wait broke off with {why}; the triggerer's log has more")

    async def _wait(self) -> RunEvent:
        # Loaded here, for a DAG file that defers by hand imports this module too.
        from flora_provider.runs.follow import PollPolicy, Wait
        from flora_provider.triggers.watcher import watcher_for

        if found := problems((name, getattr(self, name), check) for name, check in _RULES):
            return RunEvent.invalid("", unsigned("; ".join(found)))
        now = time.time()
        if self._starts_here:
            await self._persistently(self._forget_earlier_tries)
        run_id = self.run_id
        if self.run_id_from is not None:
            run_id = await self._persistently(lambda: self._pull(**self.run_id_from or {}))
        if problem := checks.run_id("run_id", run_id):
            return RunEvent.invalid("", unsigned(problem))
        self.run_id = run_id
        if net := getattr(self, "timeout_after", None):
            # We end before Airflow's net does, to say which run it was. Airflow counts it by the clock of its server.
            at = net.timestamp() - NET_BELOW
            if self.deadline is None or (checks.seconds("deadline", self.deadline) is None and at < self.deadline):
                self.deadline = at
        wait = Wait(
            self.run_id,
            policy=PollPolicy(interval=self.poll_interval),
            now=now,
            deadline=self.deadline,
            started_at=self.started_at,
            estimated_seconds=self.estimated_seconds,
        )
        event = await watcher_for(self.flora_conn_id).wait_for(wait)
        return replace(event, limit=self.limit)

    @property
    def _starts_here(self) -> bool:
        """Whether no worker was there before the wait: only then has the triggerer made a whole task of it."""
        is_whole = getattr(self.task_instance, "task", None) is not None
        return AIRFLOW_V_3_3_PLUS and self.trigger_id is not None and is_whole

    async def _persistently(self, ask: Callable[[], Any]) -> Any:
        """Ask Airflow for something, in a thread, for a minute and more: its api-server may be restarting.

        Raises:
            Exception: what was raised at last; TimeoutError when there was no answer at all.
        """
        until = time.monotonic() + ASK_FOR
        while True:
            try:
                return await _in_thread(ask)
            except Exception as error:
                if time.monotonic() > until:
                    raise
                self.log.warning("Airflow could not be asked: %s. Asking again in %g s", told(error), ASK_AGAIN_AFTER)
            await asyncio.sleep(ASK_AGAIN_AFTER)

    def _pull(self, *, task_id: str, key: str) -> Any:
        from airflow.providers.common.compat.sdk import XCom

        ti: Any = self.task_instance
        return XCom.get_one(key=key, task_id=task_id, dag_id=ti.dag_id, run_id=ti.run_id)

    def _forget_earlier_tries(self) -> None:
        """Delete what a cleared task has pushed before, as a worker does first."""
        from airflow.providers.common.compat.sdk import XCom

        ti: Any = self.task_instance
        if ti.try_number > 1:
            for key in ("charged_cost_usd", "return_value"):
                XCom.delete(key=key, **self._address())

    async def _end_task(self, event: RunEvent) -> bool:
        """Do what a worker would, and tell whether that succeeded; if not, a worker is to do it."""
        try:
            if await _in_thread(needs_worker):
                return False
            await _in_thread(lambda: self._push(event))
        except Exception as error:  # noqa: BLE001 - whatever it is, a worker may do better
            self.log.warning("The task cannot end here, so a worker is asked to end it: %s", told(error))
            return False
        return True

    def _push(self, event: RunEvent) -> None:
        """Push what a worker would.

        XComs inside of a TaskSuccessEvent would reach downstream tasks as JSON text instead (3.3.2).
        """
        from airflow.providers.common.compat.sdk import XCom

        run = sendable(event.result())
        values = {"charged_cost_usd": run["charged_cost"]} if run["charged_cost"] is not None else {}
        if self.pushes_result:
            values["return_value"] = run
        for key, value in values.items():
            XCom.set(key=key, value=value, **self._address())

    def _address(self) -> dict[str, Any]:
        """Of an XCom of this task."""
        ti: Any = self.task_instance
        return {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}

    async def on_kill(self) -> None:
        """Say what becomes of the run; FLORA has no call that cancels it.

        Airflow also calls this when a live triggerer merely loses the trigger to another (apache/airflow 73454), so it
        must not change anything.
        """
        run = self.event.run if self.event is not None else None
        if run is not None:
            self.log.info("FLORA run %s has ended already: %s", text(self.run_id), run["status"])
            return
        self.log.info(
            "No longer waiting for FLORA run %s here. A run cannot be cancelled: it goes on and is billed",
            text(self.run_id),
        )


def _is_cancelled() -> bool:
    """Whether it is us who are cancelled, and not something that we have waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def _in_thread(ask: Callable[[], Any]) -> Any:
    """The supervisor is asked synchronously.

    Raises:
        TimeoutError: it does not answer: it never answers what it cannot read (3.3.2).
    """
    try:
        async with asyncio.timeout(ANSWERED_WITHIN):
            return await asyncio.to_thread(ask)
    except asyncio.CancelledError:
        if _is_cancelled():
            raise
        raise TimeoutError("Airflow's supervisor broke off") from None
