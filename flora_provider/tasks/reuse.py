"""Take the run of a task from the build cache that `reuse_from` names, or put it there once it is saved."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from flora_provider.api.urls import project_url
from flora_provider.links.flora import FloraRunLink
from flora_provider.runs.ledger import Attempt, of_this_clear
from flora_provider.tasks.asset_events import add_asset_events
from flora_provider.tasks.ledger import NoLedger, TaskStateLedger, attempt_of, ledger_of
from flora_provider.tasks.requests import REUSE_KEY
from flora_provider.tasks.saving import saved_members, where
from flora_provider.tasks.waiting import seconds
from flora_provider.tasks.xcom import push_if_possible, push_with_retries
from flora_provider.telemetry.facts import REQUEST

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from flora_provider.api.models import FinishedRun
    from flora_provider.operators.base import FloraRunOperator
    from flora_provider.reuse.cache import CacheEntry
    from flora_provider.runs.submission import Submission

REUSED_FROM = "reused_from"
"""The XCom, and the member of a result and of a manifest, with the entry that a run was taken from."""


def key_of(task: FloraRunOperator) -> str:
    """The key of the task's request in its build cache; a sandbox's runs are no others'."""
    from flora_provider.reuse.key import reuse_key

    return reuse_key({"base_url": task.hook.settings.base_url, **task.asked()})


def kept_under(task: FloraRunOperator, context: Context, submission: Submission) -> dict[str, str]:
    """The member of XCom `request` that says where the run is to be kept; empty if it may be another request's.

    Without a ledger, nobody knows what an earlier try has sent where a template may be rendered differently. A run with
    another seed than its author's is another request's.
    """
    if submission.seed.keys() & (getattr(task, "model_params", None) or {}):
        return {}
    is_known = ledger_of(context).durable or not task.has_templates or attempt_of(task, context).try_number <= 1
    return {REUSE_KEY: key_of(task)} if task.reuse_from is not None and is_known else {}


def take(task: FloraRunOperator, context: Context, ledger: TaskStateLedger | NoLedger) -> FinishedRun | None:
    """The result of the task from the build cache, pushed and saved as if it had been awaited.

    None if it is not there; if the task was cleared, and that means a new run; or if an earlier try may have paid: then
    that run is the task's.
    """
    attempt = attempt_of(task, context)
    is_cleared = attempt.max_tries > (attempt.retries or 0)
    if task.reuse_from is None or (is_cleared and task.on_clear == "new_run") or _may_have_paid(attempt, ledger):
        return None
    from flora_provider.reuse.cache import BuildCache

    max_age = seconds(task.reuse_max_age)
    cache, key = BuildCache(task.reuse_from), key_of(task)
    entry = cache.find(key, max_age=None if max_age is None else timedelta(seconds=max_age))
    if entry is None:
        return None
    path = cache.path(key)
    task.log.info("Taking FLORA run %s from %s; nothing is started", entry.manifest.run_id, path)
    return _result(task, context, entry, cache.part(key), path)


def _may_have_paid(attempt: Attempt, ledger: TaskStateLedger | NoLedger) -> bool:
    if ledger.durable:
        return any(not record.is_void for record in of_this_clear(ledger.read(), attempt))
    return attempt.try_number - 1 > attempt.max_tries - (attempt.retries or 0)


def _result(task: FloraRunOperator, context: Context, entry: CacheEntry, part: str, path: str) -> FinishedRun:
    manifest = entry.manifest.model_copy(update={"charged_cost_usd": 0.0, REUSED_FROM: path, **where(context)})
    folder = part
    if task.save_outputs_to:
        from flora_provider.files.copying import copy_run

        folder = task.save_outputs_to
        manifest = copy_run(manifest, part, folder)
    run = cast("FinishedRun", {**entry.run, **saved_members(manifest, folder), REUSED_FROM: path})
    request = {**manifest.model_dump(mode="json", exclude={"files"}, exclude_none=True), REUSED_FROM: path}
    push_with_retries(context, "run_id", manifest.run_id)
    xcoms: dict[str, Any] = {
        REQUEST: request,
        REUSED_FROM: path,
        "charged_cost_usd": 0.0,
        FloraRunLink.key: project_url(task.hook.settings.base_url, manifest.project_id or task.project()),
    }
    for name, value in xcoms.items():
        push_if_possible(context, name, value)
    task.project_url = xcoms[FloraRunLink.key]
    task.done.run, task.done.request = run, request
    add_asset_events(task, context, run, request=request, files=[file.path for file in manifest.files])
    return run
