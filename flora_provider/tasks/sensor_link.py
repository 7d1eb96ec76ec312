"""Where the link of a task leads that waits for the run of another one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flora_provider.api.urls import project_url
from flora_provider.links.flora import FloraRunLink
from flora_provider.tasks.mapping import is_mapped
from flora_provider.tasks.triggerer import link_source
from flora_provider.triggers.payload import error_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

    from flora_provider.sensors.flora import FloraRunSensor

log = logging.getLogger(__name__)


def link_of_sensor(task: FloraRunSensor, written: Mapping[str, Any] | None, context: Context) -> str:
    """The project's page of the task that started the run, else that of the connection's project, else an empty text.

    It raises nothing: the task can do without a link.

    Args:
        task: as it is rendered.
        written: its fields before that, by name.
        context: of the task.
    """
    try:
        return _link_of_source(task, written or {}, context) or _default_link(task)
    except Exception as error:  # noqa: BLE001 - whatever Airflow or the connection raises; the poll says it better
        log.info("Task %r has no link to FLORA: %s", task.task_id, error_text(error))
        return ""


def source_of_sensor(task: FloraRunSensor, written: Mapping[str, Any] | None) -> str | None:
    """Id of the task that started the run, if it is one of ours; arguments as of `link_of_sensor`."""
    dag = task.get_dag()
    if dag is None:
        return None
    expanded = getattr(getattr(dag.task_dict.get(task.task_id), "expand_input", None), "value", None)
    sources = {**(written or {}), **(expanded if isinstance(expanded, dict) else {})}
    return link_source(task, sources.get("run_id"))


def _default_link(task: FloraRunSensor) -> str:
    return project_url(task.hook.settings.base_url, task.hook.defaults.project_id)


def _link_of_source(task: FloraRunSensor, written: Mapping[str, Any], context: Context) -> str | None:
    """What the task has pushed that started the run; of a mapped one, the instance of the same map index."""
    dag, task_id = task.get_dag(), source_of_sensor(task, written)
    if dag is None or task_id is None:
        return None
    source, ti = dag.task_dict[task_id], context["ti"]
    map_index = ti.map_index if is_mapped(source) else -1
    # Instances that were skipped, or a second list, shift the indexes.
    if is_mapped(source) and ti.xcom_pull(task_ids=task_id, key="run_id", map_indexes=map_index) != task.run_id:
        return None
    url = ti.xcom_pull(task_ids=task_id, key=FloraRunLink.key, map_indexes=map_index)
    return url if isinstance(url, str) else None
