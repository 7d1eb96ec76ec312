"""What a run was asked for, as the task that started it has pushed it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flora_provider.tasks.mapping import is_mapped
from flora_provider.telemetry.facts import REQUEST

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from flora_provider.tasks.flora_task import FloraTask

log = logging.getLogger(__name__)

REUSE_KEY = "reuse_key"
"""The member of it under which the build cache keeps the run."""


def requests_of(task: FloraTask, context: Context, run_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """The requests of these runs, by run id, as far as this task, or one before it, has pushed them.

    It raises nothing: a manifest can do without. Most tasks are mapped as the one before is, so the same map index is
    asked for first: a list of all that a thousand mapped tasks have pushed is long.
    """
    found: dict[str, Mapping[str, Any]] = {}
    try:
        for request in _pushed(task, context):
            if isinstance(request, Mapping) and request.get("run_id") in run_ids:
                found[request["run_id"]] = request
                if len(found) == len(set(run_ids)):
                    break
    except Exception as error:  # noqa: BLE001 - whatever Airflow raises
        log.info("What the run was asked for is not known: Airflow raised %s", type(error).__name__)
    return found


def _pushed(task: FloraTask, context: Context) -> Iterator[Any]:
    """XCom `request` of this task and of those before it, the likely ones first.

    Airflow 3 logs an error where the one XCom that is asked for is absent, but not where a list of them is empty. So
    one is asked for only of tasks that push it.
    """
    ti: Any = context["ti"]
    if task.pushes_request:
        yield from ti.xcom_pull(task_ids=[ti.task_id], key=REQUEST, map_indexes=[ti.map_index]) or ()
    elif ti.task_id != task.task_id:  # called in a function, as its operators before were
        yield from ti.xcom_pull(task_ids=[ti.task_id], key=REQUEST) or ()
    dag = task.get_dag()
    if dag is None:
        return
    before = sorted(task.get_flat_relative_ids(upstream=True))
    mapped = [task_id for task_id in before if is_mapped(dag.task_dict[task_id])]
    if ti.map_index >= 0 and (pushing := [task_id for task_id in mapped if _pushes_request(dag.task_dict[task_id])]):
        yield from ti.xcom_pull(task_ids=pushing, key=REQUEST, map_indexes=[ti.map_index]) or ()
    for task_ids in ([task_id for task_id in before if task_id not in mapped], mapped):
        if task_ids:
            yield from ti.xcom_pull(task_ids=task_ids, key=REQUEST) or ()


def _pushes_request(task: Any) -> bool:
    return getattr(getattr(task, "operator_class", task), "pushes_request", False)
