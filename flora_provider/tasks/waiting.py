"""Wait for a run from a task, in the worker or in the triggerer: what operators and sensors share."""

from __future__ import annotations

import sys
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowTaskTimeout, BaseSensorOperator

from flora_provider.api.errors import RunFailed, RunTimedOut
from flora_provider.runs.errors import WaitRefused
from flora_provider.runs.event import Limit, RunEvent
from flora_provider.tasks.exceptions import joined
from flora_provider.tasks.flora_task import FloraTask
from flora_provider.tasks.requests import requests_of
from flora_provider.tasks.triggerer import can_end_in_triggerer
from flora_provider.tasks.xcom import push_if_possible
from flora_provider.triggers.ending import DEFERRAL_TIMEOUT_MARGIN, MIN_DEFERRAL, xcoms_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from flora_provider.api.models import FinishedRun
    from flora_provider.runs.ref import RunRef

# How long a run that FLORA expects to be short is awaited in the worker. To defer, and to end in the triggerer, takes
# some four seconds; but an estimate can be wrong or zero, and no worker slot is to be held for what a run really takes.
SHORT_WAIT = 6.0  # seconds


class Deadline(NamedTuple):
    """When to stop waiting, and which of the task's limits says so.

    Attributes:
        at: unix seconds; None to wait for ever.
        limit: the name of the limit.
    """

    at: float | None
    limit: Limit

    @property
    def is_near(self) -> bool:
        """Whether it passes within `SHORT_WAIT`, before a deferral would be worth it."""
        return self.at is not None and self.at <= time.time() + SHORT_WAIT


def seconds(value: float | timedelta | None) -> float | None:
    """A duration in seconds, whether it was given as a number or as a timedelta."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def deadline_of(task: Any, context: Context) -> Deadline:
    """The earlier of a task's `timeout`, counted from now, and `execution_timeout`, counted from the task's start."""
    now, timeout = time.time(), seconds(task.timeout)
    by_timeout = None if timeout is None else now + timeout
    execution_timeout = seconds(task.execution_timeout)
    if execution_timeout is None:
        return Deadline(by_timeout, "timeout")
    start = context["ti"].start_date
    by_execution = (start.timestamp() if start else now) + execution_timeout
    if by_timeout is None or by_execution < by_timeout:
        return Deadline(by_execution, "execution_timeout")
    return Deadline(by_timeout, "timeout")


class WaitsForRun(FloraTask):
    """A task that waits for a run, and may save what that has made."""

    save_outputs_to: Any  # a folder, once Airflow has rendered it; None to save nothing
    poll_interval: float | timedelta
    timeout: Any  # of an operator, seconds, a timedelta or None; of a sensor, seconds

    @property
    @abstractmethod
    def known_run_id(self) -> str | None:
        """The run that it starts or awaits; None while that is not known."""

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002 - OpenLineage's
        """What OpenLineage's provider calls once the task has ended, well or badly."""
        from flora_provider.tasks.lineage import run_lineage

        return run_lineage(self)

    def request_of(self, context: Context, run_id: str | None) -> Mapping[str, Any] | None:
        """What the task asked for that started a run, as XCom `request` has it; None where that is not known."""
        if run_id and (self.done.request or {}).get("run_id") != run_id:
            self.done.request = requests_of(self, context, [run_id]).get(run_id)
        return self.done.request

    @property
    def poll_seconds(self) -> float:
        """The least pause between two polls."""
        return seconds(self.poll_interval) or 0.0

    def deadline(self, context: Context) -> Deadline:
        """As of `deadline_of`."""
        return deadline_of(self, context)

    def defer_wait(self, ref: RunRef, deadline: Deadline, **known: Any) -> NoReturn:
        """Hand the wait to the triggerer; the task comes back in `execute_complete`.

        Args:
            ref: the run.
            deadline: when to stop waiting.
            known: `started_at`, `estimated_seconds` and `link_from`, as of `FloraRunTrigger`.

        Raises:
            TaskDeferred: always.
        """
        from flora_provider.triggers.flora import FloraRunTrigger

        now = time.time()
        trigger = FloraRunTrigger(
            run_id=ref.run_id,
            technique=ref.technique,
            flora_conn_id=self.flora_conn_id,
            poll_interval=self.poll_seconds,
            deadline=deadline.at,
            limit=deadline.limit,
            not_before=now + MIN_DEFERRAL,
            end_from_trigger=can_end_in_triggerer(self),
            do_xcom_push=self.do_xcom_push,
            **known,
        )
        margin = MIN_DEFERRAL + DEFERRAL_TIMEOUT_MARGIN
        timeout = None if deadline.at is None else timedelta(seconds=max(deadline.at - now, 0.0) + margin)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timeout)

    def wait_in_worker(self, ref: RunRef, deadline: Deadline, **known: Any) -> FinishedRun:
        """Wait here, blocking, and return the finished run; arguments as of `defer_wait`."""
        timeout = None if deadline.at is None else max(deadline.at - time.time(), 0.0)
        try:
            return self.hook.wait_for_run(*ref, timeout=timeout, poll_interval=self.poll_seconds, **known)
        except RunTimedOut as error:
            self._raise_timeout(error, deadline.limit)

    def wait_briefly(self, ref: RunRef, **known: Any) -> FinishedRun | None:
        """Wait here for `SHORT_WAIT` seconds, and return the run if it has completed; `known` as of `defer_wait`.

        None when it goes on, or could not be polled: the triggerer is more patient, and holds no worker slot. An
        attempt of a poll is bounded as well, so a FLORA that does not answer holds the worker for twice as long at
        most.

        Raises:
            RunFailed: FLORA ended it as failed.
            RunError: it completed without an output.
        """
        from flora_provider.hooks.base import blocking_client
        from flora_provider.runs.polling import wait_for_run

        settings = self.hook.settings
        options = {"technique": ref.technique, "timeout": SHORT_WAIT, "poll_interval": self.poll_seconds, **known}
        with blocking_client(replace(settings, timeout=min(settings.timeout, SHORT_WAIT))) as client:
            try:
                return client.run(wait_for_run(ref.run_id, client.context, **options))
            except (RunTimedOut, WaitRefused):
                return None

    def result_of_event(self, payload: dict[str, Any]) -> FinishedRun:
        """The finished run, from the event of the trigger.

        Raises:
            AirflowTaskTimeout: the task's execution_timeout passed.
            AirflowSensorTimeout: the sensor's timeout passed.
            FloraError: as `RunEvent.result`.
        """
        event = RunEvent.from_payload(payload)
        try:
            return event.result()
        except RunTimedOut as error:
            self._raise_timeout(error, event.limit)

    def _prepare_lineage(self, context: Context, run_id: str | None) -> None:
        """Look up what lineage needs: OpenLineage asks in a fork of this process, which cannot ask Airflow (3.3.2)."""
        if "airflow.providers.openlineage.plugins.listener" in sys.modules:  # only where it is set up
            self.request_of(context, run_id)

    @contextmanager
    def run_errors(self, context: Context) -> Iterator[None]:
        """As `airflow_errors`; and a failed run, which is what this task was given, is counted and traced."""
        with self.airflow_errors():
            try:
                yield
            except RunFailed as failure:
                from flora_provider.telemetry.metrics import count_failed

                count_failed(failure)
                self.done.failure = failure
                self.trace_failure(context, failure)
                self._prepare_lineage(context, failure.run_id)
                raise

    def trace_failure(self, context: Context, failure: RunFailed) -> None:
        """Record a failed run as a span, where there are spans."""
        from flora_provider.telemetry.spans import trace_failed

        trace_failed(failure, lambda: self.request_of(context, failure.run_id))

    def push_result(
        self, context: Context, run: FinishedRun, technique: str | None = None, *, is_reused: bool = False
    ) -> FinishedRun:
        """Save, describe, push, count and trace what is wished of a completed run, and return it.

        Args:
            context: of the task.
            run: the completed run.
            technique: as of `RunRef`.
            is_reused: whether it was paid for, counted and traced before.
        """
        from flora_provider.tasks.saving import save_and_describe
        from flora_provider.telemetry.metrics import count_completed
        from flora_provider.telemetry.spans import trace_completed

        self.done.run = run = save_and_describe(self, context, run, technique)
        for key, value in xcoms_of(run).items():
            push_if_possible(context, key, value)
        if not is_reused:
            count_completed(run)
            trace_completed(run, lambda: self.request_of(context, run["run_id"]))
        self._prepare_lineage(context, run["run_id"])
        self.log.info("FLORA run %s completed with %d output(s)", run["run_id"], len(run["outputs"]))
        return run

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Come back from the triggerer, to `execute_complete` or to Airflow's error, which names no run."""
        if next_method == "__fail__":
            self.log.error(
                "Airflow ended the wait: %s. FLORA run %s cannot be cancelled: it goes on and is billed. "
                "A retry of this task finds it again",
                (next_kwargs or {}).get("error", "no reason given"),
                getattr(self, "run_id", None) or "(see XCom run_id)",
            )
        return super().resume_execution(next_method, next_kwargs, context)

    def _raise_timeout(self, error: RunTimedOut, limit: Limit) -> NoReturn:
        """Raise Airflow's own error of this limit; the timeout of an operator has none."""
        is_sensor = isinstance(self, BaseSensorOperator)
        message = f"{error} ({limit} of {seconds(getattr(self, limit)) or 0.0:g} s)"
        if limit == "timeout" and not is_sensor:
            error.args = (message,)
            raise error
        kind = AirflowSensorTimeout if limit == "timeout" else AirflowTaskTimeout
        raise joined(kind, error, f"{message} [{self.task_label}]") from None
