"""Save what a task's run has made, where `save_outputs_to` says, and describe it in the events of its outlets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from flora_provider.tasks.asset_events import add_asset_events
from flora_provider.tasks.requests import REUSE_KEY

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from flora_provider.api.models import FinishedRun
    from flora_provider.files import RunManifest
    from flora_provider.reuse.cache import BuildCache
    from flora_provider.tasks.waiting import WaitsForRun


def where(context: Context) -> dict[str, Any]:
    """The task instance, as a manifest names it."""
    ti = context["ti"]
    return {"dag_id": ti.dag_id, "task_id": ti.task_id, "dag_run_id": ti.run_id, "map_index": ti.map_index}


def saved_members(manifest: RunManifest, folder: Any) -> dict[str, Any]:
    """What a result says of saved files."""
    from flora_provider.files.manifest import manifest_path

    return {
        "charged_cost": manifest.charged_cost_usd,
        "files": manifest.to_dict()["files"],
        "manifest": manifest_path(folder, manifest.run_id),
    }


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
    reuse_from: Any = getattr(task, "reuse_from", None)  # a sensor starts nothing
    if not (task.save_outputs_to or task.outlets or reuse_from):
        return run
    request = task.request_of(context, run["run_id"])
    key = (request or {}).get(REUSE_KEY) if reuse_from else None
    source = {**run, "technique": technique} if technique else run
    if key:
        from flora_provider.reuse.cache import BuildCache

        cache = BuildCache(reuse_from)
        run = _keep_and_save(task, context, source, cache=cache, key=key, request=request)
    elif task.save_outputs_to:
        from flora_provider.files import save_run

        manifest = save_run(task.hook, source, task.save_outputs_to, request=request, at=where(context))
        run = cast("FinishedRun", {**run, **saved_members(manifest, task.save_outputs_to)})
    add_asset_events(task, context, run, request=request, files=[file["path"] for file in run.get("files", ())])
    return run


def _keep_and_save(
    task: WaitsForRun, context: Context, run: Mapping[str, Any], *, cache: BuildCache, key: str, request: Any
) -> FinishedRun:
    """Save the outputs in the build cache, and a copy where `save_outputs_to` says."""
    from flora_provider.files import save_run
    from flora_provider.files.copying import copy_run

    folder: Any = cache.part(key)
    manifest = save_run(task.hook, run, folder, request=request, at=where(context))
    finished = {name: value for name, value in run.items() if name != "technique"}
    finished["charged_cost"] = manifest.charged_cost_usd
    cache.put(key, finished, manifest)
    if task.save_outputs_to:
        manifest = copy_run(manifest, folder, task.save_outputs_to)
        folder = task.save_outputs_to
    return cast("FinishedRun", {**finished, **saved_members(manifest, folder)})
