"""Wait for a run that another task, or anybody, has started."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import cached_property
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

from flora_provider.api import checks
from flora_provider.api.errors import RunFailed, RunTimedOut
from flora_provider.glue import triggerer, waiting
from flora_provider.glue.checked_task import CheckedTask
from flora_provider.glue.failures import as_airflow, is_final, joined
from flora_provider.glue.literals import Text
from flora_provider.runs.event import RunEvent

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import StartTriggerArgs

    from flora_provider.hooks.flora import FloraHook


# Airflow's own, which it takes as they are: every text would count as true.
_AIRFLOWS: Mapping[str, checks.Check] = {
    "timeout": checks.duration,
    "poke_interval": checks.duration,
    "max_wait": checks.duration,
    "mode": checks.one_of("poke", "reschedule"),
    **dict.fromkeys(("soft_fail", "never_fail", "silent_fail", "exponential_backoff"), checks.flag),
}
_OURS: Mapping[str, checks.Check] = {
    "run_id": checks.run_id,
    "flora_conn_id": checks.text,
    "deferrable": checks.flag,
    "poll_interval": checks.positive,
}


class FloraRunSensor(CheckedTask, BaseSensorOperator):
    """Wait until a run has ended; fail with FLORA's reason if it failed.

        done = FloraRunSensor(task_id="done", run_id=picture.output)

    Args:
        run_id: `run_…`; usually the `.output` of the operator that started the run.
        flora_conn_id: the connection.
        deferrable: wait in the triggerer, holding no worker slot. Default True, unless a `mode` is given.
        poll_interval: least seconds between two looks while deferred. Default 3. Without deferral it is the sensor's
            `poke_interval` that counts.
        kwargs: of every Airflow sensor. `timeout`, `soft_fail` and `execution_timeout` mean the same deferred or not.

    Returns:
        The finished run as a plain dict: run_id, status, outputs, charged_cost (USD, None while FLORA has not settled
        it) and its times. The bill is also XCom `charged_cost_usd`.

    Raises:
        FloraInputError: when the DAG is parsed, for a literal `run_id` that is none.
        AirflowFailException: the run failed; waiting again cannot help. Clear the task that started it to have another.
        AirflowException: there was no way to look at the run for minutes (a refused key, say); a retry looks again.
        AirflowSensorTimeout: `timeout` passed. The run cannot be cancelled: it goes on and is billed.
    """

    template_fields: Sequence[str] = ("run_id", "flora_conn_id")
    rules: ClassVar[Mapping[str, checks.Check]] = {**_AIRFLOWS, **_OURS}
    ui_color = "#f4e8ff"

    def __init__(
        self,
        *,
        run_id: Text,
        flora_conn_id: str = "flora_default",
        deferrable: bool | None = None,
        poll_interval: float | timedelta = 3.0,
        **kwargs: Any,
    ) -> None:
        # Airflow hands the DAG's default_args on, too.
        given = {**(kwargs.get("default_args") or {}), **kwargs}
        self.refuse_arguments(_AIRFLOWS, given)
        self.deferrable = given.get("mode") is None if deferrable is None else deferrable
        super().__init__(**kwargs)
        self.run_id: Any = run_id  # a str once Airflow has rendered it
        self.flora_conn_id = flora_conn_id
        self.poll_interval = poll_interval
        self._last_look: RunEvent | None = None
        self._refused_since: float | None = None  # unix seconds
        self.refuse_literals(_OURS)

    @cached_property
    def hook(self) -> FloraHook:
        """The hook of the task's connection."""
        from flora_provider.hooks.flora import FloraHook

        return FloraHook(self.flora_conn_id)

    def _start_in_triggerer(self) -> StartTriggerArgs | None:
        is_made = "_last_look" in vars(self)  # Airflow asks while it makes the task, too
        if not (is_made and self.deferrable and triggerer.can_start_there(self)):
            return None
        return triggerer.start_args(
            run_id=self.run_id,
            flora_conn_id=self.flora_conn_id,
            poll_interval=waiting.seconds(self.poll_interval) or 0.0,
            timeout=self.timeout,
            push=self.do_xcom_push,
        )

    start_trigger_args = triggerer.WhenDagIsComplete(None, _start_in_triggerer)
    start_from_trigger = triggerer.WhenDagIsComplete(False, lambda task: task.start_trigger_args is not None)

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Wait, in the way that was chosen."""
        with self._softly(), self._explained():
            self.refuse_values()
        with self.hook:
            if not self.deferrable:
                return self._poll(context)
            # A run that has ended already needs no deferral, and an unknown one no triggerer.
            with self._softly():
                deadline = waiting.deadline_of(self, context, self.timeout)
                run = self._look(context)
            if run is None:
                waiting.defer_until_ended(
                    self,
                    run_id=self.run_id,
                    flora_conn_id=self.flora_conn_id,
                    poll_interval=waiting.seconds(self.poll_interval) or 0.0,
                    deadline=deadline,
                )
            return run

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once. What may pass (429, 5xx, a broken connection, a 404 within the first minute) counts as not yet."""
        with self._softly():
            run = self._look(context)
        return PokeReturnValue(is_done=run is not None, xcom_value=run)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on after the triggerer's wait."""
        with self._softly(), self._explained():
            return waiting.finish(self, context, waiting.resumed(self, event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Come back from the triggerer, to `execute_complete` or to Airflow's error."""
        waiting.tell_lost_wait(self, next_method, next_kwargs)
        return super().resume_execution(next_method, next_kwargs, context)

    def _poll(self, context: Context) -> dict[str, Any] | None:
        """Airflow's own loop around `poke`. Its timeouts are told what becomes of the run."""
        try:
            run: dict[str, Any] | None = super().execute(context)
        except (AirflowSensorTimeout, AirflowTaskTimeout) as error:
            with self._softly():
                happened, message = self._goes_on(error)
                raise joined(type(error), happened, message) from error
        except AirflowSkipException as skip:
            # With soft_fail Airflow skips by itself: for `timeout` without a cause, for the alarm in a poke with it.
            if skip.__cause__ is None or isinstance(skip.__cause__, AirflowTaskTimeout):
                raise AirflowSkipException(self._goes_on(skip)[1]) from skip
            raise
        return run

    def _goes_on(self, error: BaseException) -> tuple[RunTimedOut, str]:
        look = self._last_look or RunEvent.timed_out(self.run_id)
        happened = RunTimedOut(run_id=self.run_id, waited=f"in time{look.detail}", unseen=look.unseen)
        return happened, f"{happened} ({error}) [{waiting.place_of(self)}]"

    def _look(self, context: Context) -> dict[str, Any] | None:
        with self._explained():
            checks.refuse(checks.problems([("run_id", self.run_id, checks.run_id)]))
            # A rescheduled sensor looks once in each process, so it counts from the first one on.
            since = self._refused_since if self._last_look else waiting.started(context)
            event, is_refused = waiting.look(self.hook, self.run_id, refused_since=since)
            self._last_look = event
            self._refused_since = (since or time.time()) if is_refused else None
            goes_on = event.kind == "timed_out" or (event.awaits_bill(now=time.time()) and self._has_time(context))
            return None if goes_on else waiting.finish(self, context, event.result())

    def _has_time(self, context: Context) -> bool:
        """Whether to look again cannot cost a finished run: a deferred wait minds the deadline itself."""
        return self.deferrable or time.time() + 2 * self.poke_interval < waiting.started(context) + self.timeout

    def _explained(self) -> AbstractContextManager[None]:
        # The run is what it is: waiting for it again cannot help, whatever its failure was.
        return as_airflow(
            waiting.place_of(self),
            final=lambda error: is_final(error) or isinstance(error, RunFailed),
            starts_runs=False,
        )

    @contextmanager
    def _softly(self) -> Iterator[None]:
        """What Airflow's `soft_fail` and `never_fail` mean, with the reason, and the same in every mode."""
        try:
            yield
        except (AirflowException, AirflowTaskTimeout) as error:
            soft = isinstance(error, AirflowFailException | AirflowSensorTimeout | AirflowTaskTimeout)
            if self.never_fail or (self.soft_fail and soft):
                raise AirflowSkipException(f"Skipped, as soft_fail or never_fail says: {error}") from error
            raise
