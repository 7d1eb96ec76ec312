"""What a run was asked for, as the task that started it has pushed it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flora_provider.telemetry.facts import REQUEST

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

log = logging.getLogger(__name__)

REUSE_KEY = "reuse_key"
"""The member of it under which the build cache keeps the run."""


def requests_of(task: BaseOperator, context: Context, run_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
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


def _pushed(task: BaseOperator, context: Context) -> Iterator[Any]:
    ti: Any = context["ti"]
    before = sorted(task.get_flat_relative_ids(upstream=True)) if task.get_dag() else []
    yield from ti.xcom_pull(task_ids=[task.task_id], key=REQUEST, map_indexes=[ti.map_index]) or ()
    if before:
        for map_index in dict.fromkeys((ti.map_index, -1)):
            yield from ti.xcom_pull(task_ids=before, key=REQUEST, map_indexes=[map_index]) or ()
        yield from ti.xcom_pull(task_ids=before, key=REQUEST) or ()
