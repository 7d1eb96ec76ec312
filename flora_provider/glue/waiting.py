"""Wait for a run from a task: in the worker, or in the triggerer. Operators and sensors share it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowTaskTimeout, BaseSensorOperator

from flora_provider.api.errors import RunTimedOut
from flora_provider.glue.failures import joined
from flora_provider.glue.triggerer import NET_BELOW, SETTLED_AFTER, can_end_there
from flora_provider.glue.xcom import push_if_possible
from flora_provider.runs.event import Limit, RunEvent, WaitRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from flora_provider.hooks.flora import FloraHook


# How long a run that FLORA expects to be short is awaited in the worker. To defer, and to end in the triggerer, takes
# some four seconds; but an estimate can be wrong or zero, and no worker slot is to be held for what a run really takes.
SHORT_WAIT = 6.0  # seconds


class Deadline(NamedTuple):
    """When to stop waiting, and which of the task's limits says so."""

    at: float | None
    limit: Limit


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


def defer_until_ended(
    task: BaseOperator,
    *,
    run_id: str,
    flora_conn_id: str,
    poll_interval: float,
    deadline: Deadline,
    started_at: float | None = None,
    estimated_seconds: float | None = None,
) -> NoReturn:
    """Hand the wait to the triggerer; the task comes back in `execute_complete`.

    Raises:
        TaskDeferred: always.
    """
    from flora_provider.triggers.flora import FloraRunTrigger

    now = time.time()
    trigger = FloraRunTrigger(
        run_id=run_id,
        flora_conn_id=flora_conn_id,
        poll_interval=poll_interval,
        deadline=deadline.at,
        limit=deadline.limit,
        started_at=started_at,
        estimated_seconds=estimated_seconds,
        hold_until=now + SETTLED_AFTER,
        ends_task=can_end_there(task),
        pushes_result=task.do_xcom_push,
    )
    net = None if deadline.at is None else timedelta(seconds=max(deadline.at - now, 0.0) + SETTLED_AFTER + NET_BELOW)
    task.defer(trigger=trigger, method_name="execute_complete", timeout=net)


def place_of(task: Any) -> str:
    """Which task and connection an error is about."""
    return f"task {task.task_id!r}, connection {task.flora_conn_id!r}"


def in_worker(task: Any, run_id: str, *, deadline: Deadline, **known: Any) -> dict[str, Any]:
    """Wait here, blocking, and return the finished run; `known` is what `FloraHook.wait_for_run` takes."""
    timeout = None if deadline.at is None else max(deadline.at - time.time(), 0.0)
    try:
        run: dict[str, Any] = task.hook.wait_for_run(run_id, timeout=timeout, **known)
    except RunTimedOut as error:
        _raise_timeout(task, error, limit=deadline.limit)
    return run


def briefly(task: Any, run_id: str, **known: Any) -> dict[str, Any] | None:
    """Wait here for `SHORT_WAIT` seconds, and return the run if it has completed; `known` as for `in_worker`.

    None when it goes on, or could not be seen: the triggerer is more patient, and holds no worker slot. An attempt of
    a look is bounded as well, so a FLORA that does not answer holds the worker for twice as long at most.

    Raises:
        RunFailed: FLORA ended it as failed.
        RunError: it completed without an output.
    """
    from flora_provider.api.client import FloraClient
    from flora_provider.runs.follow import wait_for_run

    settings = task.hook.settings
    with FloraClient(replace(settings, timeout=min(settings.timeout, SHORT_WAIT))) as client:
        try:
            return client.perform(wait_for_run(run_id, client.tools, timeout=SHORT_WAIT, **known))
        except (RunTimedOut, WaitRefused):
            return None


def look(hook: FloraHook, run_id: str, *, refused_since: float | None) -> tuple[RunEvent, bool]:
    """Look once, and say whether FLORA refused to show the run.

    The event is `timed_out` when the run goes on, or could not be seen for a reason that may pass; `detail` tells it.

    Args:
        hook: of the connection.
        run_id: the run.
        refused_since: unix seconds since when FLORA has refused it; None if it did not refuse the look before.
    """
    from flora_provider.runs.follow import PollPolicy, Wait

    now = time.time()
    wait = Wait(run_id, policy=PollPolicy(), now=now, deadline=now, gone_since=refused_since)
    return hook.follow(wait), wait.is_refused


def started(context: Context) -> float:
    """When this try of the task began, in unix seconds; for a rescheduled sensor, when it first looked."""
    ti = context["ti"]
    # Airflow 2 puts it into start_date itself.
    first = ti.get_first_reschedule_date(context) if hasattr(ti, "get_first_reschedule_date") else None
    at = first or ti.start_date
    return at.timestamp() if at else time.time()


def resumed(task: Any, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The finished run, from what the trigger told.

    Raises:
        AirflowTaskTimeout: the task's execution_timeout passed.
        AirflowSensorTimeout: the sensor's timeout passed.
        FloraError: as `RunEvent.result`.
    """
    event = RunEvent.from_payload(payload)
    try:
        return event.result()
    except RunTimedOut as error:
        _raise_timeout(task, error, limit=event.limit)


def tell_lost_wait(task: BaseOperator, next_method: str, next_kwargs: Mapping[str, Any] | None) -> None:
    """Say what becomes of the run, should Airflow have ended the deferral by itself (no triggerer, or one that broke).

    Airflow's own error, which follows, names neither.
    """
    if next_method == "__fail__":
        task.log.error(
            "Airflow ended the wait: %s. FLORA run %s cannot be cancelled: it goes on and is billed. "
            "A retry of this task finds it again",
            (next_kwargs or {}).get("error", "no reason given"),
            getattr(task, "run_id", None) or "(see XCom run_id)",
        )


def _raise_timeout(task: Any, error: RunTimedOut, *, limit: Limit) -> NoReturn:
    """Raise what Airflow's users expect of this limit."""
    length = seconds(getattr(task, limit)) or 0.0
    if limit == "timeout" and not isinstance(task, BaseSensorOperator):
        raise error
    kind = AirflowSensorTimeout if limit == "timeout" else AirflowTaskTimeout
    raise joined(kind, error, f"{error} ({limit} of {length:g} s) [{place_of(task)}]") from error.__cause__


def finish(task: BaseOperator, context: Context, run: dict[str, Any]) -> dict[str, Any]:
    """Tell XCom and the log about a completed run, and return it."""
    if run["charged_cost"] is not None:
        push_if_possible(context, "charged_cost_usd", run["charged_cost"])
    task.log.info("FLORA run %s completed with %d output(s)", run["run_id"], len(run["outputs"]))
    return run
