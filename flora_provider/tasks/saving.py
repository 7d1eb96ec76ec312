"""Save what a task's run has made, where `save_outputs_to` says, and describe it in the events of its outlets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from flora_provider.tasks.asset_events import add_asset_events
from flora_provider.tasks.requests import requests_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from flora_provider.api.models import FinishedRun
    from flora_provider.tasks.waiting import WaitsForRun


def where(context: Context) -> dict[str, Any]:
    """The task instance, as a manifest names it."""
    ti = context["ti"]
    return {"dag_id": ti.dag_id, "task_id": ti.task_id, "dag_run_id": ti.run_id, "map_index": ti.map_index}


def save_and_describe(task: WaitsForRun, context: Context, run: FinishedRun, technique: str | None) -> FinishedRun:
    """Save the outputs of a completed run, and describe it in asset events, where the task's author wants either.

    Args:
        task: that has waited for it.
        context: of the task.
        run: the finished run.
        technique: the nested route that shows it, if any.

    Returns:
        The run; where its outputs were saved, with `files` and the path of the `manifest`, and with its bill, if that
        came late.

    Raises:
        FloraError: as `save_run`.
    """
    if not (task.save_outputs_to or task.outlets):
        return run
    request = requests_of(task, context, [run["run_id"]]).get(run["run_id"])
    if task.save_outputs_to:
        from flora_provider.files import save_run
        from flora_provider.files.manifest import manifest_path

        source = {**run, "technique": technique} if technique else run
        manifest = save_run(task.hook, source, task.save_outputs_to, request=request, at=where(context))
        saved = {
            "charged_cost": manifest.charged_cost_usd,
            "files": manifest.to_dict()["files"],
            "manifest": manifest_path(task.save_outputs_to, run["run_id"]),
        }
        run = cast("FinishedRun", {**run, **saved})
    add_asset_events(task, context, run, request=request, files=[file["path"] for file in run.get("files", ())])
    return run
