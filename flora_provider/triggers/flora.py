"""The wait, in the triggerer: asynchronous, and holding nothing but ids and instants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from inspect import signature
from traceback import format_tb
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from flora_provider.api import validation
from flora_provider.api.urls import redact_urls
from flora_provider.api.validation import problems
from flora_provider.links.flora import FloraRunLink, push_link
from flora_provider.runs.event import Limit, RunEvent
from flora_provider.runs.ref import RunRef
from flora_provider.triggers.ending import (
    DEFERRAL_TIMEOUT_MARGIN,
    TRIGGERER_ENDS_TASKS,
    hold_for,
    needs_worker,
    xcoms_of,
)
from flora_provider.triggers.payload import as_text, error_text, keepable, payload_of, refused, sendable
from flora_provider.triggers.supervisor import in_thread, is_cancelled

RETRIES_FOR = 60.0  # seconds for which Airflow is asked again for an XCom that it could not give
RETRY_PAUSE = 5.0  # seconds

# What only the trigger itself reads; the rest is checked by whoever waits.
_RULES: tuple[tuple[str, validation.Check], ...] = (
    ("limit", validation.one_of("timeout", "execution_timeout")),
    ("not_before", validation.seconds),
)


class FloraRunTrigger(BaseTrigger):
    """Wait for a run, then fire an event that says how it ended: a `flora_provider.runs.event.RunEvent`.

    429, 5xx, broken connections and a 404 right after the start are waited out. It holds no secret: the connection is
    read when it runs, without blocking the event loop.

    Args:
        run_id: the run.
        technique: id or slug, for a run of `POST /techniques/{technique}/runs`; None for every other run.
        flora_conn_id: the connection.
        poll_interval: least seconds between two polls of the run by itself.
        deadline: unix seconds at which to stop waiting; None to wait for ever. An instant, for the trigger may go on in
            another process.
        limit: which of the task's limits the deadline is, for the event.
        started_at: unix seconds at which the run was started, if known.
        estimated_seconds: FLORA's estimate, if known.
        not_before: unix seconds before which a worker is not asked to go on: see `hold_for`.
        end_from_trigger: end the task here if the run completed, instead of asking a worker to do it.
        do_xcom_push: with `end_from_trigger`, push the finished run as the task's return value.
        run_id_from: for a wait that starts here: `task_id` and `key` of the XCom that holds the run id.
        link_from: id of the task that started the run, if that is another one of ours: a wait that starts here has its
            link too, else that of the connection's project, and the span of the run says what that task asked for.
    """

    def __init__(
        self,
        *,
        run_id: str,
        flora_conn_id: str,
        poll_interval: float,
        technique: str | None = None,
        deadline: float | None = None,
        limit: Limit = "timeout",
        started_at: float | None = None,
        estimated_seconds: float | None = None,
        not_before: float = 0.0,
        end_from_trigger: bool = False,
        do_xcom_push: bool = True,
        run_id_from: dict[str, str] | None = None,
        link_from: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.run_id = run_id
        self.technique = technique
        self.flora_conn_id = flora_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.limit = limit
        self.started_at = started_at
        self.estimated_seconds = estimated_seconds
        self.not_before = not_before
        self.end_from_trigger = end_from_trigger
        self.do_xcom_push = do_xcom_push
        self.run_id_from = run_id_from
        self.link_from = link_from
        self.event: RunEvent | None = None  # how the wait ended, once that is known

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where to find this class, and what to make it with."""
        names = signature(FloraRunTrigger).parameters  # each is kept under its own name
        return "flora_provider.triggers.flora.FloraRunTrigger", {name: keepable(getattr(self, name)) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event. Nothing else leaves it: an exception that did might stop the triggerer.

        Airflow sends the traceback of a trigger that failed over the same wire as its events, which takes no half of a
        surrogate pair, and dies of it.
        """
        taken_over, hold = time.monotonic(), hold_for(self.not_before)
        self.event = event = await self._guarded(self._wait())
        # Without a trigger_id this is no triggerer, but dag.test(): it always resumes the task, and has no scheduler.
        if self.trigger_id is not None:
            if self.end_from_trigger is True and event.succeeded and await self._end_task(event):
                from airflow.triggers.base import TaskSuccessEvent

                self.log.info("FLORA run %s completed; the task ends here", event.run_id)
                yield TaskSuccessEvent()
                return
            await asyncio.sleep(max(0.0, taken_over + hold - time.monotonic()))
        yield TriggerEvent(payload_of(event))  # type: ignore[no-untyped-call]  # Airflow's

    async def _guarded(self, wait: Coroutine[Any, Any, RunEvent]) -> RunEvent:
        """How the wait ended, whatever was raised in it; what nobody foresaw is for a retry to cure."""
        try:
            return await wait
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            return self._crashed(error)

    def _crashed(self, error: BaseException) -> RunEvent:
        why = error_text(error)
        # Frames only: what an exception says may hold an address that is signed.
        self.log.error("The wait broke off with %s, raised at\n%s", why, "".join(format_tb(error.__traceback__)))
        return refused(self._ref, f"the wait broke off with {why}; the triggerer's log has more")

    async def _wait(self) -> RunEvent:
        # Loaded here, for a DAG file that defers by hand imports this module too.
        from flora_provider.runs.poll_policy import PollPolicy
        from flora_provider.runs.poller import RunPoller
        from flora_provider.triggers.shared_poller import waits_over

        if found := problems((name, getattr(self, name), check) for name, check in _RULES):
            return RunEvent.invalid(RunRef(""), redact_urls("; ".join(found)))
        now = time.time()
        if self._starts_here:
            await self._with_retries(self._forget_earlier_tries)
        run_id = self.run_id
        if self.run_id_from is not None:
            run_id = await self._with_retries(lambda: self._pull(**self.run_id_from or {}))
        if problem := validation.run_id("run_id", run_id):
            return RunEvent.invalid(RunRef(""), redact_urls(problem))
        self.run_id = run_id
        if self._starts_here:
            await self._push_link()
        if airflow_limit := getattr(self, "timeout_after", None):
            # We end before Airflow's own limit, to say which run it was. Airflow counts by the clock of its server.
            at = airflow_limit.timestamp() - DEFERRAL_TIMEOUT_MARGIN
            if self.deadline is None or (validation.seconds("deadline", self.deadline) is None and at < self.deadline):
                self.deadline = at
        poller = RunPoller(
            self._ref,
            policy=PollPolicy(interval=self.poll_interval),
            now=now,
            deadline=self.deadline,
            started_at=self.started_at,
            estimated_seconds=self.estimated_seconds,
        )
        event = await waits_over(self.flora_conn_id).wait_for(poller)
        return replace(event, limit=self.limit)

    @property
    def _ref(self) -> RunRef:
        return RunRef(self.run_id, self.technique)

    @property
    def _starts_here(self) -> bool:
        """Whether no worker was there before the wait: only then has the triggerer made a whole task of it."""
        is_whole = getattr(self.task_instance, "task", None) is not None
        return TRIGGERER_ENDS_TASKS and self.trigger_id is not None and is_whole

    async def _with_retries(self, action: Callable[[], Any]) -> Any:
        """Ask Airflow for something, in a thread, for a minute and more: its api-server may be restarting.

        Raises:
            Exception: what was raised at last; TimeoutError when there was no answer at all.
        """
        until = time.monotonic() + RETRIES_FOR
        while True:
            try:
                return await in_thread(action)
            except Exception as error:
                if time.monotonic() > until:
                    raise
                self.log.warning("Airflow could not be asked: %s. Asking again in %g s", error_text(error), RETRY_PAUSE)
            await asyncio.sleep(RETRY_PAUSE)

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

    async def _push_link(self) -> None:
        """Push the task's link as a worker would, which is not there; the task can do without."""
        from flora_provider.triggers.shared_poller import waits_over

        try:
            source = self.link_from
            url = await in_thread(lambda: self._pull(task_id=source, key=FloraRunLink.key)) if source else None
            url = url if url and isinstance(url, str) else await waits_over(self.flora_conn_id).default_project_url()
            await in_thread(lambda: push_link(url, **self._address()))
        except Exception as error:  # noqa: BLE001 - whatever it is, the run is paid for
            self.log.warning("The task has no link to FLORA: %s", error_text(error))

    async def _end_task(self, event: RunEvent) -> bool:
        """Do what a worker would, and return whether that succeeded; if not, a worker is to do it."""
        from flora_provider.telemetry.metrics import count_completed
        from flora_provider.triggers.tracing import trace_end

        try:
            if await in_thread(needs_worker):
                return False
            await in_thread(lambda: self._push(event))
        except Exception as error:  # noqa: BLE001 - whatever it is, a worker may do better
            self.log.warning("The task cannot end here, so a worker is asked to end it: %s", error_text(error))
            return False
        count_completed(event.result())
        await trace_end(event, self.task_instance, self.link_from)
        return True

    def _push(self, event: RunEvent) -> None:
        """Push what a worker would.

        XComs inside of a TaskSuccessEvent would reach downstream tasks as JSON text instead (3.3.2).
        """
        from airflow.providers.common.compat.sdk import XCom

        run = sendable(event.result())
        returned = {"return_value": run} if self.do_xcom_push else {}
        for key, value in {**xcoms_of(run), **returned}.items():
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
            self.log.info("FLORA run %s has ended already: %s", as_text(self.run_id), run["status"])
            return
        self.log.info(
            "No longer waiting for FLORA run %s here. A run cannot be cancelled: it goes on and is billed",
            as_text(self.run_id),
        )
