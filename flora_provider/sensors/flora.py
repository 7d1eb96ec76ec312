"""Wait for a run that another task, or anybody, has started."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

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
from flora_provider.api.errors import RunTimedOut
from flora_provider.links.flora import FloraRunLink
from flora_provider.runs.event import RunEvent
from flora_provider.runs.ref import RunRef
from flora_provider.tasks import triggerer
from flora_provider.tasks.exceptions import joined
from flora_provider.tasks.parse_checks import Folder, Text, storage_path
from flora_provider.tasks.sensor_link import link_of_sensor, source_of_sensor
from flora_provider.tasks.waiting import WaitsForRun
from flora_provider.tasks.xcom import push_if_possible

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context
    from airflow.triggers.base import StartTriggerArgs

    from flora_provider.api.models import FinishedRun


# Airflow's own, which it takes as they are: every text would count as true.
_AIRFLOWS: Mapping[str, validation.Check] = {
    "timeout": validation.duration,
    "poke_interval": validation.duration,
    "max_wait": validation.duration,
    "mode": validation.one_of("poke", "reschedule"),
    **dict.fromkeys(("soft_fail", "never_fail", "silent_fail", "exponential_backoff"), validation.boolean),
}
_OURS: Mapping[str, validation.Check] = {
    "run_id": validation.run_id,
    "technique": validation.optional(validation.slug_or_id),
    "flora_conn_id": validation.non_empty_text,
    "deferrable": validation.boolean,
    "poll_interval": validation.positive,
    "save_outputs_to": storage_path,
}


class FloraRunSensor(WaitsForRun, BaseSensorOperator):
    """Wait until a run has ended; fail with FLORA's reason if it failed.

        done = FloraRunSensor(task_id="done", run_id=picture.output)

    Args:
        run_id: `run_…`; usually the `.output` of the operator that started the run.
        technique: id or slug, for a run of `POST /techniques/{technique}/runs`; None for every other run.
        flora_conn_id: the connection.
        deferrable: wait in the triggerer, holding no worker slot. Default True, unless a `mode` is given.
        poll_interval: least seconds between two polls of the run by itself while deferred. Default 3. Without deferral
            it is the sensor's `poke_interval` that counts.
        save_outputs_to: a folder for what the run has made, and its manifest, as of `FloraRunOperator`; then the task
            ends in a worker.
        kwargs: of every Airflow sensor. `timeout`, `soft_fail` and `execution_timeout` mean the same deferred or not.

    Returns:
        The finished run as a plain dict: run_id, status, outputs, charged_cost (USD, None while FLORA has not settled
        it) and its times; with `save_outputs_to` also `files` and `manifest`. The bill is also XCom `charged_cost_usd`.

    Raises:
        FloraInputError: when the DAG is parsed, for a literal `run_id` that is none.
        AirflowFailException: the run failed; waiting again cannot help. Clear the task that started it to have another.
        AirflowException: the run could not be polled for minutes (a refused key, say); a retry polls again.
        AirflowSensorTimeout: `timeout` passed. The run cannot be cancelled: it goes on and is billed.
    """

    operator_extra_links: Sequence[BaseOperatorLink] = (FloraRunLink(),)
    template_fields: Sequence[str] = ("run_id", "technique", "flora_conn_id", "save_outputs_to")
    rules: ClassVar[Mapping[str, validation.Check]] = {**_AIRFLOWS, **_OURS}

    def __init__(
        self,
        *,
        run_id: Text,
        technique: Text | None = None,
        flora_conn_id: str = "flora_default",
        deferrable: bool | None = None,
        poll_interval: float | timedelta = 3.0,
        save_outputs_to: Folder | None = None,
        **kwargs: Any,
    ) -> None:
        # Airflow hands the DAG's default_args on, too.
        arguments = {**(kwargs.get("default_args") or {}), **kwargs}
        self.refuse_arguments(_AIRFLOWS, arguments)
        self.deferrable = arguments.get("mode") is None if deferrable is None else deferrable
        super().__init__(**kwargs)
        self.run_id: Any = run_id  # texts once Airflow has rendered them
        self.technique: Any = technique
        self.flora_conn_id = flora_conn_id
        self.poll_interval = poll_interval
        self.save_outputs_to: Any = save_outputs_to
        # For the link: None where XCom holds it, empty in a worker that does not know it yet.
        self.project_url: str | None = "" if self.is_mapped_instance else None
        self._last_poll: RunEvent | None = None
        self._refused_since: float | None = None  # unix seconds
        self.refuse_literals(_OURS)

    def _start_in_triggerer(self) -> StartTriggerArgs | None:
        is_made = "_last_poll" in vars(self)  # Airflow asks while it makes the task, too
        return triggerer.start_args(self) if is_made and self.deferrable else None

    start_trigger_args = triggerer.ComputedAttribute(None, _start_in_triggerer)
    start_from_trigger = triggerer.ComputedAttribute(False, lambda task: task.start_trigger_args is not None)

    @property
    def ref(self) -> RunRef:
        """The run, once its fields are rendered."""
        return RunRef(self.run_id, self.technique)

    @property
    def known_run_id(self) -> str | None:
        """The run, once its id is rendered to one."""
        return self.run_id if validation.run_id("run_id", self.run_id) is None else None

    def prepare_for_execution(self) -> Self:
        """The copy of the task that a worker runs."""
        task: Self = super().prepare_for_execution()
        task.project_url = ""
        return task

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Come back from the triggerer, to `execute_complete` or to Airflow's error."""
        self.project_url = None  # the try's first process, or the triggerer, has pushed it
        return super().resume_execution(next_method, next_kwargs, context)

    def execute(self, context: Context) -> FinishedRun | None:
        """Wait for the run."""
        with self._soft_failures(), self.airflow_errors():
            self.refuse_values()
        with self.hook:
            self.project_url = link_of_sensor(self, self._written, context)
            push_if_possible(context, FloraRunLink.key, self.project_url)
            if not self.deferrable:
                return self._poke_loop(context)
            # A run that has ended already needs no deferral, and an unknown one no triggerer.
            with self._soft_failures():
                deadline = self.deadline(context)
                run = self._poll(context)
            if run is None:
                self.defer_wait(self.ref, deadline, link_from=source_of_sensor(self, self._written))
            return run

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once. What may pass (429, 5xx, a broken connection, a 404 within the first minute) counts as not yet."""
        with self._soft_failures():
            run = self._poll(context)
        return PokeReturnValue(is_done=run is not None, xcom_value=run)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> FinishedRun:
        """Go on after the triggerer's wait."""
        with self._soft_failures(), self.run_errors(context), self.hook:
            return self.push_result(context, self.result_of_event(event), self.technique)

    def _poke_loop(self, context: Context) -> FinishedRun | None:
        """Airflow's own loop around `poke`; its timeouts also say what becomes of the run."""
        try:
            run: FinishedRun | None = super().execute(context)
        except (AirflowSensorTimeout, AirflowTaskTimeout) as error:
            with self._soft_failures():
                timed_out, message = self._explain_timeout(error)
                raise joined(type(error), timed_out, message) from error
        except AirflowSkipException as skip:
            # With soft_fail Airflow skips by itself: for `timeout` without a cause, for the alarm in a poke with it.
            if skip.__cause__ is None or isinstance(skip.__cause__, AirflowTaskTimeout):
                raise AirflowSkipException(self._explain_timeout(skip)[1]) from skip
            raise
        return run

    def _explain_timeout(self, error: BaseException) -> tuple[RunTimedOut, str]:
        poll = self._last_poll or RunEvent.timed_out(self.ref)
        timed_out = RunTimedOut(run_id=self.run_id, waited=f"in time{poll.detail}", unseen=poll.unseen)
        return timed_out, f"{timed_out} ({error}) [{self.task_label}]"

    def _poll(self, context: Context) -> FinishedRun | None:
        """Poll once. Returns the finished run, or None while it goes on, or cannot be polled for a passing reason."""
        from flora_provider.runs.poll_policy import PollPolicy
        from flora_provider.runs.poller import RunPoller

        with self.run_errors(context):
            validation.raise_problems(validation.problems([("run_id", self.run_id, validation.run_id)]))
            now = time.time()
            # A rescheduled sensor polls once in each process, so it counts from the first one on.
            since = self._refused_since if self._last_poll else _first_poll(context)
            poller = RunPoller(self.ref, policy=PollPolicy(), now=now, deadline=now, not_found_since=since)
            self._last_poll = event = self.hook.poll_until_done(poller)
            self._refused_since = (since or time.time()) if poller.is_refused else None
            goes_on = event.kind == "timed_out" or (event.awaits_bill(now=time.time()) and self._has_time(context))
            return None if goes_on else self.push_result(context, event.result(), self.technique)

    def _has_time(self, context: Context) -> bool:
        """Whether another poll cannot cost a finished run: a deferred wait minds the deadline itself."""
        return self.deferrable or time.time() + 2 * self.poke_interval < _first_poll(context) + self.timeout

    @contextmanager
    def _soft_failures(self) -> Iterator[None]:
        """Skip where `soft_fail` or `never_fail` says so, with the reason, and the same in every mode."""
        try:
            yield
        except (AirflowException, AirflowTaskTimeout) as error:
            soft = isinstance(error, AirflowFailException | AirflowSensorTimeout | AirflowTaskTimeout)
            if self.never_fail or (self.soft_fail and soft):
                raise AirflowSkipException(f"Skipped, as soft_fail or never_fail says: {error}") from error
            raise


def _first_poll(context: Context) -> float:
    """When this try of the task began, in unix seconds; for a rescheduled sensor, when it first polled."""
    ti = context["ti"]
    # Airflow 2 puts it into start_date itself.
    first = ti.get_first_reschedule_date(context) if hasattr(ti, "get_first_reschedule_date") else None
    at = first or ti.start_date
    return at.timestamp() if at else time.time()
