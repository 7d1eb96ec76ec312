"""Save in a worker what a batch has made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from flora_provider.api.errors import FloraError
from flora_provider.batch.ledger import BatchLedger
from flora_provider.batch.outcome import RowOutcome, SavedRun
from flora_provider.batch.plan import PlannedRow
from flora_provider.batch.records import RowRecord
from flora_provider.files import save_run
from flora_provider.files.copying import copy_run
from flora_provider.files.manifest import RunManifest
from flora_provider.files.storage import open_folder
from flora_provider.reuse.cache import BuildCache
from flora_provider.tasks.saving import where

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from flora_provider.operators.batch import FloraGenerateBatchOperator

_THREADS = 8
_WAITING = 500  # rows that wait for a thread: each takes 2 KB until all of them are done


def saved_outcomes(
    task: FloraGenerateBatchOperator, context: Context, rows: list[PlannedRow], ledger: BatchLedger
) -> tuple[list[RowOutcome], list[RowRecord]]:
    """What became of each row, once the files of all that completed are saved; and the records of rows that are gone.

    A file that cannot be saved leaves its row to a retry of the task, and keeps no other from being saved.
    """
    records, runs = ledger.read(), ledger.runs()
    asked = {row.row for row in rows}
    at = where(context)
    for folder in filter(None, (task.save_outputs_to, task.reuse_from)):
        open_folder(folder)  # here, for it may read a connection of Airflow's
    client = task.hook.client()

    def outcome(row: PlannedRow) -> RowOutcome:
        record = records.get(row.row)
        is_done = record is not None and record.state == "completed"
        if not (row.reused_from or is_done):
            return RowOutcome(row=row, record=record)
        try:
            if record is None:
                saved = _take(task, row, at)
            else:
                saved = _save(task, row, record.with_(run=json.loads(runs.pop(row.row))), client, at)
            return RowOutcome(row=row, record=record, saved=SavedRun.of(saved))
        except FloraError as error:
            task.log.warning("Row %d: its files could not be saved: %s", row.number, error)
            return RowOutcome(row=row, record=record, problem=str(error))

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="flora-save") as pool:
        groups = (rows[start : start + _WAITING] for start in range(0, len(rows), _WAITING))
        outcomes = [one for group in groups for one in pool.map(outcome, group)]
    return outcomes, [record for identity, record in records.items() if identity not in asked]


def _save(
    task: FloraGenerateBatchOperator, row: PlannedRow, record: RowRecord, client: Any, at: Mapping[str, Any]
) -> RunManifest:
    """Save the files of a row's run, in the build cache first if there is one."""
    asked = {name: value for name, value in row.request.items() if name not in {"params", "callback_url"}}
    request = {
        "kind": "generation",
        **asked,
        "model_params": row.request.get("params"),
        "quoted_cost_usd": record.quoted_cost,
    }
    run = record.run or {}
    if not row.reuse_key:
        return save_run(client, run, task.save_outputs_to, request=request, at=at)
    cache = BuildCache(task.reuse_from)
    part = cache.part(row.reuse_key)
    manifest = save_run(client, run, part, request=request, at=at)
    cache.put(row.reuse_key, {**run, "charged_cost": manifest.charged_cost_usd}, manifest)
    return copy_run(manifest, part, task.save_outputs_to)


def _take(task: FloraGenerateBatchOperator, row: PlannedRow, at: Mapping[str, Any]) -> RunManifest:
    """Copy the files of a run that is in the build cache."""
    cache = BuildCache(task.reuse_from)
    entry = cache.find(row.reuse_key)
    if entry is None:
        raise FloraError(f"{row.reused_from} is not there any more: a retry of the task starts a run instead")
    changes = {"charged_cost_usd": 0.0, "reused_from": row.reused_from, **at}
    return copy_run(entry.manifest, cache.part(row.reuse_key), task.save_outputs_to, **changes)
