"""What of a task the triggerer can do alone, without a worker: end it, and for a sensor start it too (Airflow 3.3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow.providers.common.compat.sdk import BaseOperator, XComArg, conf

from flora_provider.links.flora import FloraRunLink
from flora_provider.tasks.parse_checks import is_literal
from flora_provider.triggers.ending import DEFERRAL_TIMEOUT_MARGIN, TRIGGERER_ENDS_TASKS

if TYPE_CHECKING:
    from airflow.triggers.base import StartTriggerArgs

    from flora_provider.sensors.flora import FloraRunSensor

_OURS = "flora_provider"
T = TypeVar("T")

_XCOM_PULL = re.compile(
    r"""\{\{\s* (ti|task_instance)\.xcom_pull\(\s*
        (task_ids\s*=\s*)? (?P<task>["'])(?P<task_id>[\w.-]+)(?P=task) \s*
        (,\s* key\s*=\s* (?P<quote>["'])(?P<key>[^"']+)(?P=quote) \s*)?
    \)\s*\}\}""",
    re.VERBOSE,
)


# What a worker calls once the wait is over. A class of the user's that has its own wants it called.
_CALLED_AFTER = ("execute_complete", "resume_execution", "post_execute", "prepare_for_execution")


def can_end_in_triggerer(task: BaseOperator) -> bool:
    """Whether a success of this task needs no worker: nothing of the task's own has to be done after it.

    What a worker does after a task, and the triggerer does not, is listed in
    `tests/integration/airflow/test_worker_duties.py`.
    Failures are for workers anyway: they are to be explained in the task's log.
    """
    return TRIGGERER_ENDS_TASKS and not (
        task.outlets
        or getattr(task, "save_outputs_to", None)  # files are for workers
        or getattr(task, "reuse_from", None)
        or getattr(task, "moderated", ())  # a worker names them in the result
        or task.on_success_callback
        or task._post_execute_hook is not None  # noqa: SLF001 - Airflow has no public name for it
        or task.multiple_outputs
        or task.map_index_template  # rendered anew when the task has ended
        or task.returns_dag_result
        or task.overwrite_rtif_after_execution
        or any(type(link) is not FloraRunLink for link in task.operator_extra_links)
        or not all(_is_ours(getattr(task, name)) for name in _CALLED_AFTER)
        or _is_mapped_over(task)
    )


def can_start_in_triggerer(task: BaseOperator) -> bool:
    """Whether this task needs no worker before its wait either.

    `execution_timeout` is counted by workers, inlets are validated and pre-execute hooks and callbacks run by them. A
    task that is mapped, or stands in a mapped group, is never started in the triggerer by Airflow 3.3. Whoever names a
    limit wants to be counted: Airflow looks at pools, and at `max_active_tis_per_dag` and the like, only where it
    queues a task for a worker. Nor would a task of a queue be waited for by the triggerers of that queue.
    """
    return (
        can_end_in_triggerer(task)
        and type(task).__module__.partition(".")[0] == _OURS  # what a subclass changes is for a worker to find out
        and task.execution_timeout is None
        and next(task.iter_mapped_task_groups(), None) is None
        and not task.inlets
        and not task.on_execute_callback
        and task._pre_execute_hook is None  # noqa: SLF001 - Airflow has no public name for it
        and (task.pool, task.pool_slots) == ("default_pool", 1)
        and task.max_active_tis_per_dag is None
        and task.max_active_tis_per_dagrun is None
        and task.queue == conf.get("operators", "default_queue", fallback="default")
    )


def _is_ours(method: Any) -> bool:
    return str(getattr(method, "__module__", "")).partition(".")[0] in (_OURS, "airflow")


def _is_mapped_over(task: BaseOperator) -> bool:
    """Whether another task is mapped over this one's result, whose length a worker pushes along."""
    return task.get_dag() is not None and next(task.iter_mapped_dependants(), None) is not None


class ComputedAttribute(Generic[T]):
    """An attribute of a task that is worked out when it is asked for, at the DAG's serialization.

    When a task is made, nobody knows yet which tasks come after it, or what a cluster policy will make of it. Assigning
    to it wins. The class itself has no such value: Airflow asks it on behalf of mapped tasks.
    """

    def __init__(self, absent: T, value: Callable[[Any], T]) -> None:
        self._absent = absent
        self._value = value

    def __get__(self, task: object | None, owner: type) -> T:
        """Of a task, its value; of the class, none."""
        return self._absent if task is None else self._value(task)


def start_args(task: FloraRunSensor) -> StartTriggerArgs | None:
    """How the triggerer starts the wait of a task, or None if it cannot.

    A literal run id, and one that an upstream task pushes, can be had there, also if a template says so that does
    nothing else. Other Jinja cannot: rendering it asks for XComs or Variables on the triggerer's event loop, which
    blocks it, or hangs for ever (3.3.2).
    """
    from airflow.triggers.base import StartTriggerArgs

    if not (can_start_in_triggerer(task) and is_literal(task.flora_conn_id) and is_literal(task.technique)):
        return None
    source: dict[str, Any] = {"run_id": task.run_id}
    if not (isinstance(task.run_id, str) and is_literal(task.run_id)):
        if (reference := _reference(task.run_id)) is None:
            return None
        source = {"run_id": "", "run_id_from": reference}
    return StartTriggerArgs(
        trigger_cls="flora_provider.triggers.flora.FloraRunTrigger",
        next_method="execute_complete",
        trigger_kwargs={
            **source,
            "link_from": link_source(task, task.run_id),
            "technique": task.technique,
            "flora_conn_id": task.flora_conn_id,
            "poll_interval": task.poll_seconds,
            "end_from_trigger": True,
            "do_xcom_push": task.do_xcom_push,
        },
        timeout=timedelta(seconds=task.timeout + DEFERRAL_TIMEOUT_MARGIN),
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


def link_source(task: BaseOperator, value: object) -> str | None:
    """Id of the task that a run id comes from, if it is one of ours: it pushes its link as XCom `flora_url`."""
    if isinstance(value, XComArg):
        task_id = getattr(getattr(value, "operator", None), "task_id", None)
    else:
        task_id = (_reference(value) or {}).get("task_id")
    dag = task.get_dag()
    source = dag.task_dict.get(task_id) if dag and task_id else None
    links = getattr(source, "operator_extra_links", None) or ()
    return task_id if any(isinstance(link, FloraRunLink) for link in links) else None
