"""What of a task the triggerer can do alone, without a worker: end it, and for a sensor start it too (Airflow 3.3)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, XComArg
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from flora_provider.glue.literals import is_literal

if TYPE_CHECKING:
    from airflow.triggers.base import StartTriggerArgs

# Airflow's own limit on a deferral is a net below ours, for a triggerer that is down: it cannot say what happened.
NET_BELOW = 60.0  # seconds

_XCOM_PULL = re.compile(
    r"""\{\{\s* (ti|task_instance)\.xcom_pull\(\s*
        (task_ids\s*=\s*)? (?P<task>["'])(?P<task_id>[\w.-]+)(?P=task) \s*
        (,\s* key\s*=\s* (?P<quote>["'])(?P<key>[^"']+)(?P=quote) \s*)?
    \)\s*\}\}""",
    re.VERBOSE,
)


def can_end_there(task: BaseOperator) -> bool:
    """Whether a success of this task needs no worker: nothing of the task's own has to run after it.

    Outlets, callbacks and post-execute hooks are run by workers only. So are failures, which are to be explained in the
    task's log.
    """
    return (
        AIRFLOW_V_3_3_PLUS
        and not task.outlets
        and not task.on_success_callback
        and task._post_execute_hook is None  # noqa: SLF001 - Airflow has no public name for it
        and type(task).post_execute is BaseOperator.post_execute
    )


def can_start_there(task: BaseOperator) -> bool:
    """Whether this task needs no worker before its wait either.

    `execution_timeout` is counted by workers, and pre-execute hooks and callbacks are run by them. A task that is
    mapped, or stands in a mapped group, is never started in the triggerer by Airflow 3.3.
    """
    return (
        can_end_there(task)
        and task.execution_timeout is None
        and next(task.iter_mapped_task_groups(), None) is None
        and not task.on_execute_callback
        and task._pre_execute_hook is None  # noqa: SLF001 - Airflow has no public name for it
        and type(task).pre_execute is BaseOperator.pre_execute
    )


def start_args(
    *, run_id: Any, flora_conn_id: str, poll_interval: float, timeout: float, push: bool
) -> StartTriggerArgs | None:
    """How the triggerer starts the wait, or None if it cannot.

    A literal run id, and one that an upstream task pushes, can be had there, also if a template says so that does
    nothing else. Other Jinja cannot: rendering it asks for XComs or Variables on the triggerer's event loop, which
    blocks it, or hangs for ever (3.3.2).
    """
    from airflow.triggers.base import StartTriggerArgs

    source: dict[str, Any]
    if not is_literal(flora_conn_id):
        return None
    if isinstance(run_id, str) and is_literal(run_id):
        source = {"run_id": run_id}
    elif (reference := _reference(run_id)) is not None:
        source = {"run_id": "", "run_id_from": reference}
    else:
        return None
    return StartTriggerArgs(
        trigger_cls="flora_provider.triggers.flora.FloraRunTrigger",
        next_method="execute_complete",
        trigger_kwargs={
            **source,
            "flora_conn_id": flora_conn_id,
            "poll_interval": poll_interval,
            "ends_task": True,
            "pushes_result": push,
        },
        timeout=timedelta(seconds=timeout + NET_BELOW),
    )


def _reference(value: object) -> dict[str, str] | None:
    """Which XCom of which task is meant; None if it is more than one, or the result of a function."""
    if isinstance(value, str):
        pull = _XCOM_PULL.fullmatch(value.strip())
        return {"task_id": pull["task_id"], "key": pull["key"] or "return_value"} if pull else None
    operator, key = getattr(value, "operator", None), getattr(value, "key", None)
    if not isinstance(value, XComArg) or not isinstance(operator, BaseOperator) or not isinstance(key, str):
        return None
    return {"task_id": operator.task_id, "key": key}
