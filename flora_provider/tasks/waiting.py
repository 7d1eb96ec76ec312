"""Waiting for a run from a task, in a worker or in the triggerer: what operators and the sensor share."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowTaskTimeout,
    BaseOperator,
    BaseSensorOperator,
)

from flora_provider.api.errors import RunTimedOut
from flora_provider.runs.event import Limit, RunEvent, WaitRefused
from flora_provider.tasks.exceptions import joined
from flora_provider.tasks.triggerer import DEFERRAL_TIMEOUT_MARGIN, MIN_DEFERRAL, can_end_in_triggerer
from flora_provider.tasks.xcom import push_if_possible, values_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

    from flora_provider.hooks.flora import FloraHook
    from flora_provider.runs.ref import RunRef

    FinishedRun: TypeAlias = dict[str, Any]


# How long to wait in the worker for a run that FLORA expects to be short. To defer, and to end in the triggerer, takes
# some four seconds; but an estimate can be wrong or zero, and no worker slot is to be held for what a run really takes.
SHORT_WAIT = 6.0  # seconds


class Deadline(NamedTuple):
    """When to stop waiting, and which of the task's limits says so."""

    at: float | None
    limit: Limit

    @property
    def is_near(self) -> bool:
        """Whether it passes within `SHORT_WAIT`."""
        return self.at is not None and self.at <= time.time() + SHORT_WAIT


def seconds(value: float | timedelta | None) -> float | None:
    """A duration in seconds, however it was given."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def deadline_of(task: BaseOperator, context: Context, timeout: float | None) -> Deadline:
    """The earlier of the wait's timeout, counted from now, and the task's execution_timeout, counted from its start."""
    now = time.time()
    by_timeout = None if timeout is None else now + timeout
    execution_timeout = seconds(task.execution_timeout)
    if execution_timeout is None:
        return Deadline(by_timeout, "timeout")
    start = context["ti"].start_date
    by_execution = (start.timestamp() if start else now) + execution_timeout
    if by_timeout is None or by_execution < by_timeout:
        return Deadline(by_execution, "execution_timeout")
    return Deadline(by_timeout, "timeout")


def attempt_started(context: Context) -> float:
    """When this try of the task began, in unix seconds; for a rescheduled sensor, when it first polled."""
    ti = context["ti"]
    # Airflow 2 puts it into start_date itself.
    first = ti.get_first_reschedule_date(context) if hasattr(ti, "get_first_reschedule_date") else None
    at = first or ti.start_date
    return at.timestamp() if at else time.time()


class WaitsForRun(BaseOperator):
    """Mixin of tasks that wait for a run; a task has `flora_conn_id`, `poll_interval` and `timeout`."""

    flora_conn_id: str
    poll_interval: float | timedelta

    @cached_property
    def hook(self) -> FloraHook:
        """The hook of the task's connection."""
        from flora_provider.hooks.flora import FloraHook

        return FloraHook(self.flora_conn_id)

    @property
    def task_label(self) -> str:
        """Task and connection, as error messages name them."""
        return f"task {self.task_id!r}, connection {self.flora_conn_id!r}"

    @property
    def poll_seconds(self) -> float:
        """`poll_interval` in seconds."""
        return seconds(self.poll_interval) or 0.0

    def defer_until_done(self, ref: RunRef, *, deadline: Deadline, **known: Any) -> NoReturn:
        """Defer the wait to the triggerer; the task resumes in `execute_complete`.

        Args:
            ref: the run.
            deadline: when to stop.
            known: `started_at` and `estimated_seconds`, as of `FloraRunTrigger`.

        Raises:
            TaskDeferred: always.
        """
        from flora_provider.triggers.flora import FloraRunTrigger

        now = time.time()
        nested: dict[str, Any] = {"technique": ref.technique} if ref.technique else {}
        trigger = FloraRunTrigger(
            run_id=ref.run_id,
            flora_conn_id=self.flora_conn_id,
            poll_interval=self.poll_seconds,
            deadline=deadline.at,
            limit=deadline.limit,
            not_before=now + MIN_DEFERRAL,
            end_from_trigger=can_end_in_triggerer(self),
            do_xcom_push=self.do_xcom_push,
            **nested,
            **known,
        )
        left = None if deadline.at is None else max(deadline.at - now, 0.0) + MIN_DEFERRAL + DEFERRAL_TIMEOUT_MARGIN
        timeout = None if left is None else timedelta(seconds=left)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timeout)

    def wait_in_worker(self, run_id: str, *, deadline: Deadline, **known: Any) -> FinishedRun:
        """Wait here, blocking, and return the finished run; `known` is what `FloraHook.wait_for_run` takes."""
        timeout = None if deadline.at is None else max(deadline.at - time.time(), 0.0)
        try:
            return self.hook.wait_for_run(run_id, timeout=timeout, poll_interval=self.poll_seconds, **known)
        except RunTimedOut as error:
            self._raise_timeout(error, limit=deadline.limit)

    def wait_shortly(self, run_id: str, **known: Any) -> FinishedRun | None:
        """Wait here for `SHORT_WAIT` seconds; return the run if it has completed. `known` as for `wait_in_worker`.

        None when it goes on, or could not be read: the triggerer waits longer, and holds no worker slot. An attempt of
        a poll is bounded as well, so a FLORA that does not answer holds the worker for twice as long at most.

        Raises:
            RunFailed: FLORA ended it as failed.
            RunError: it completed without an output.
        """
        from flora_provider.api.client import FloraClient
        from flora_provider.runs.follow import wait_for_run

        settings = self.hook.settings
        with FloraClient(replace(settings, timeout=min(settings.timeout, SHORT_WAIT))) as client:
            flow = wait_for_run(run_id, client.context, timeout=SHORT_WAIT, poll_interval=self.poll_seconds, **known)
            try:
                return client.run(flow)
            except (RunTimedOut, WaitRefused):
                return None

    def poll(self, ref: RunRef, *, refused_since: float | None) -> tuple[RunEvent, bool]:
        """Poll once; return the event, and whether FLORA refused to show the run.

        The event is `timed_out` when the run goes on, or could not be read for a reason that may pass (in `detail`).

        Args:
            ref: the run.
            refused_since: unix seconds since when FLORA has refused it; None if it did not refuse the poll before.
        """
        from flora_provider.runs.follow import PollPolicy, RunPoller

        now = time.time()
        wait = RunPoller(ref.run_id, policy=PollPolicy(), now=now, deadline=now, not_found_since=refused_since)
        return self.hook.follow(wait), wait.is_refused

    def result_of_event(self, payload: Mapping[str, Any]) -> FinishedRun:
        """The finished run, from the payload of the trigger's event.

        Raises:
            AirflowTaskTimeout: the task's execution_timeout passed.
            AirflowSensorTimeout: the sensor's timeout passed.
            FloraError: as `RunEvent.result`.
        """
        event = RunEvent.from_payload(payload)
        try:
            return event.result()
        except RunTimedOut as error:
            self._raise_timeout(error, limit=event.limit)

    def push_result(self, context: Context, run: FinishedRun) -> FinishedRun:
        """Push and log what is known of a completed run, and return it."""
        for key, value in values_of(run, do_xcom_push=False).items():
            push_if_possible(context, key, value)
        self.log.info("FLORA run %s completed with %d output(s)", run["run_id"], len(run["outputs"]))
        return run

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the deferral, in `execute_complete` or with Airflow's error.

        Where Airflow ended the deferral by itself (no triggerer, or one that broke), its error does not name the run,
        so the log does.
        """
        if next_method == "__fail__":
            self.log.error(
                "Airflow ended the wait: %s. FLORA run %s cannot be cancelled: it goes on and is billed. "
                "A retry of this task finds it again",
                (next_kwargs or {}).get("error", "no reason given"),
                getattr(self, "run_id", None) or "(see XCom run_id)",
            )
        return super().resume_execution(next_method, next_kwargs, context)

    def _raise_timeout(self, error: RunTimedOut, *, limit: Limit) -> NoReturn:
        """Raise the exception of Airflow's that users expect for this limit."""
        if limit == "timeout" and not isinstance(self, BaseSensorOperator):
            raise error
        length = seconds(getattr(self, limit)) or 0.0
        kind = AirflowSensorTimeout if limit == "timeout" else AirflowTaskTimeout
        raise joined(kind, error, f"{error} ({limit} of {length:g} s) [{self.task_label}]") from error.__cause__
