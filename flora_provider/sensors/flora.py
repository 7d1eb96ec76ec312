"""Sensor that waits for a run, whoever has started it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
)

from flora_provider.api import validation
from flora_provider.api.errors import RunFailed, RunTimedOut
from flora_provider.runs.event import RunEvent
from flora_provider.runs.ref import RunRef
from flora_provider.tasks import triggerer
from flora_provider.tasks.checked_task import CheckedTask
from flora_provider.tasks.exceptions import as_airflow, is_final, joined
from flora_provider.tasks.parse_checks import Text
from flora_provider.tasks.waiting import WaitsForRun, attempt_started, deadline_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import StartTriggerArgs

    from flora_provider.tasks.waiting import FinishedRun


# Airflow's own parameters, which it does not check: every text would count as true.
_AIRFLOW_RULES: Mapping[str, validation.Check] = {
    "timeout": validation.duration,
    "poke_interval": validation.duration,
    "max_wait": validation.duration,
    "mode": validation.one_of("poke", "reschedule"),
    **dict.fromkeys(("soft_fail", "never_fail", "silent_fail", "exponential_backoff"), validation.boolean),
}
_RULES: Mapping[str, validation.Check] = {
    "run_id": validation.run_id,
    "technique": validation.slug_or_id,
    "flora_conn_id": validation.non_empty_text,
    "deferrable": validation.boolean,
    "poll_interval": validation.positive,
}


class FloraRunSensor(CheckedTask, WaitsForRun, BaseSensorOperator):
    """Wait until a run has ended; fail with FLORA's reason if it failed.

        done = FloraRunSensor(task_id="done", run_id=picture.output)

    Args:
        run_id: `run_…`; usually the `.output` of the operator that started the run.
        technique: id or slug of the technique whose nested route (`POST /techniques/{technique}/runs`) started the run;
            None for every other run.
        flora_conn_id: the connection.
        deferrable: wait in the triggerer, holding no worker slot. Default True, unless a `mode` is given.
        poll_interval: least seconds between two polls while deferred. Default 3. Without deferral it is the sensor's
            `poke_interval` that counts.
        kwargs: of every Airflow sensor. `timeout`, `soft_fail` and `execution_timeout` mean the same deferred or not.

    Returns:
        The finished run as a plain dict: run_id, status, outputs, charged_cost (USD, None while FLORA has not settled
        it) and its times. The bill is also XCom `charged_cost_usd`.

    Raises:
        FloraInputError: when the DAG is parsed, for a literal `run_id` or `technique` that cannot be one.
        AirflowFailException: the run failed; waiting again cannot help. Clear the task that started it to have another.
        AirflowException: FLORA refused to show the run for minutes (a refused key, say); a retry polls again.
        AirflowSensorTimeout: `timeout` passed. The run cannot be cancelled: it goes on and is billed.
    """

    template_fields: Sequence[str] = ("run_id", "technique", "flora_conn_id")
    rules: ClassVar[Mapping[str, validation.Check]] = {**_AIRFLOW_RULES, **_RULES}
    ui_color = "#f4e8ff"

    def __init__(
        self,
        *,
        run_id: Text,
        technique: Text | None = None,
        flora_conn_id: str = "flora_default",
        deferrable: bool | None = None,
        poll_interval: float | timedelta = 3.0,
        **kwargs: Any,
    ) -> None:
        # Airflow hands the DAG's default_args on, too.
        arguments = {**(kwargs.get("default_args") or {}), **kwargs}
        self.refuse_arguments(_AIRFLOW_RULES, arguments)
        self.deferrable = arguments.get("mode") is None if deferrable is None else deferrable
        super().__init__(**kwargs)
        self.run_id: Any = run_id  # a str once Airflow has rendered it
        self.technique: Any = technique
        self.flora_conn_id = flora_conn_id
        self.poll_interval = poll_interval
        self._last_event: RunEvent | None = None
        self._refused_since: float | None = None  # unix seconds
        self.refuse_literals(_RULES)

    @property
    def _ref(self) -> RunRef:
        return RunRef(self.run_id, self.technique)

    def _start_in_triggerer(self) -> StartTriggerArgs | None:
        is_made = "_last_event" in vars(self)  # Airflow asks while it makes the task, too
        if not (is_made and self.deferrable and triggerer.can_start_in_triggerer(self)):
            return None
        return triggerer.start_args(
            ref=self._ref,
            flora_conn_id=self.flora_conn_id,
            poll_interval=self.poll_seconds,
            timeout=self.timeout,
            push=self.do_xcom_push,
        )

    start_trigger_args = triggerer.ComputedAttribute(None, _start_in_triggerer)
    start_from_trigger = triggerer.ComputedAttribute(False, lambda task: task.start_trigger_args is not None)

    def execute(self, context: Context) -> FinishedRun | None:
        """Wait: deferred, or as `mode` says."""
        with self._soft_failures(), self._as_airflow():
            self.refuse_values()
        with self.hook:
            if not self.deferrable:
                return self._poke_until_done(context)
            # A run that has ended already needs no deferral, and an unknown one no triggerer.
            with self._soft_failures():
                deadline = deadline_of(self, context, self.timeout)
                run = self._poll_once(context)
            if run is None:
                self.defer_until_done(self._ref, deadline=deadline)
            return run

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once. What may pass (429, 5xx, a broken connection, a 404 in the first minute) counts as not done."""
        with self._soft_failures():
            run = self._poll_once(context)
        return PokeReturnValue(is_done=run is not None, xcom_value=run)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> FinishedRun:
        """Return the finished run after the wait in the triggerer."""
        with self._soft_failures(), self._as_airflow():
            return self.push_result(context, self.result_of_event(event))

    def _poke_until_done(self, context: Context) -> FinishedRun | None:
        """Run Airflow's own loop around `poke`; its timeouts then say what becomes of the run."""
        try:
            run: FinishedRun | None = super().execute(context)
        except (AirflowSensorTimeout, AirflowTaskTimeout) as error:
            with self._soft_failures():
                happened, message = self._goes_on(error)
                raise joined(type(error), happened, message) from error
        except AirflowSkipException as skip:
            # With soft_fail Airflow skips by itself: for `timeout` without a cause, for the alarm in a poke with it.
            if skip.__cause__ is None or isinstance(skip.__cause__, AirflowTaskTimeout):
                raise AirflowSkipException(self._goes_on(skip)[1]) from skip
            raise
        return run

    def _goes_on(self, error: BaseException) -> tuple[RunTimedOut, str]:
        last = self._last_event or RunEvent.timed_out(self.run_id)
        happened = RunTimedOut(run_id=self.run_id, waited=f"in time{last.detail}", unseen=last.unseen)
        return happened, f"{happened} ({error}) [{self.task_label}]"

    def _poll_once(self, context: Context) -> FinishedRun | None:
        with self._as_airflow():
            validation.raise_problems(validation.problems([("run_id", self.run_id, validation.run_id)]))
            # A rescheduled sensor polls once in each process, so it counts from the first one on.
            since = self._refused_since if self._last_event else attempt_started(context)
            event, is_refused = self.poll(self._ref, refused_since=since)
            self._last_event = event
            self._refused_since = (since or time.time()) if is_refused else None
            goes_on = event.kind == "timed_out" or (event.awaits_bill(now=time.time()) and self._has_time(context))
            return None if goes_on else self.push_result(context, event.result())

    def _has_time(self, context: Context) -> bool:
        """Whether another poll fits in before `timeout`; a deferred wait has its own deadline."""
        return self.deferrable or time.time() + 2 * self.poke_interval < attempt_started(context) + self.timeout

    def _as_airflow(self) -> AbstractContextManager[None]:
        # The run is what it is: waiting for it again cannot help, whatever its failure was.
        return as_airflow(
            self.task_label,
            final=lambda error: is_final(error) or isinstance(error, RunFailed),
            starts_runs=False,
        )

    @contextmanager
    def _soft_failures(self) -> Iterator[None]:
        """Apply `soft_fail` and `never_fail`, with the reason, in the same way in every mode."""
        try:
            yield
        except (AirflowException, AirflowTaskTimeout) as error:
            soft = isinstance(error, AirflowFailException | AirflowSensorTimeout | AirflowTaskTimeout)
            if self.never_fail or (self.soft_fail and soft):
                raise AirflowSkipException(f"Skipped, as soft_fail or never_fail says: {error}") from error
            raise
