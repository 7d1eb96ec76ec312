"""Plan a batch in a worker, before its rows are started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flora_provider.api.errors import FloraInputError, RequestChanged
from flora_provider.batch.ledger import OWNER
from flora_provider.batch.plan import LARGEST_PLAN, PlannedRow, dump_plan, load_plan
from flora_provider.batch.pricing import price_kind, priced, subject_of
from flora_provider.batch.problems import Problems
from flora_provider.batch.reading import read_requests, source_name
from flora_provider.batch.records import RowRecord
from flora_provider.batch.rows import Row, rows_of
from flora_provider.catalog.lookup import account_of, checked, model_lookup
from flora_provider.catalog.lookup import models as catalog_models
from flora_provider.catalog.model_params import param_problems, resolve_params
from flora_provider.catalog.prices import price_problems, require
from flora_provider.files.folder import Folder
from flora_provider.files.paths import as_path
from flora_provider.files.storage import open_folder
from flora_provider.reuse.cache import BuildCache
from flora_provider.reuse.key import named_members, reuse_key
from flora_provider.runs.ledger import LedgerRecord, claim, find, fingerprint_of
from flora_provider.tasks.ledger import NoLedger, TaskStateLedger, attempt_of, intent_of
from flora_provider.tasks.parse_checks import is_path
from flora_provider.tasks.waiting import seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from flora_provider.api.http.flow import Flow, FlowContext
    from flora_provider.api.models import Model
    from flora_provider.operators.batch import FloraGenerateBatchOperator

_THREADS = 8  # that look into the build cache


class BatchFolder(NamedTuple):
    """Where a batch is.

    Attributes:
        key: of the batch; the keys of its rows begin with it.
        path: of its folder, as `open_folder` takes it; with the connection of an object store.
        slot, record: what the task is to remember of it, and where.
    """

    key: str
    path: str
    slot: int
    record: LedgerRecord


def batch_folder(task: FloraGenerateBatchOperator, context: Context, ledger: TaskStateLedger | NoLedger) -> BatchFolder:
    """The folder of this task's batch; the same for each try until the task is cleared.

    Raises:
        RequestChanged: an earlier try had another folder or connection, where its rows are known.
    """
    folder = as_path(task.save_outputs_to, name="save_outputs_to")
    root = str(folder.absolute() if isinstance(folder, Path) else folder).rstrip("/")
    connection, attempt = task.connection, attempt_of(task, context)
    fingerprint = fingerprint_of("batch", connection, root)
    records = ledger.read()
    slot = find(records, attempt, fingerprint)
    record = slot.record
    if record is not None and slot.is_changed:
        raise RequestChanged(
            f"an earlier try of this task has started rows over connection {record.connection}, remembered in "
            f"{record.path}; it is {connection} and {root} now, so all rows would be paid for again. Take the old "
            "ones, or clear the task to start all rows anew",
            run_id=None,
        )
    if record is None and task.on_clear == "reuse":
        earlier = [one for one in records if one.fingerprint == fingerprint]
        record = max(earlier, key=lambda one: one.clear_count, default=None)
    key = record.key if record else _key(task, context, clear_count=slot.clear_count, is_durable=ledger.durable)
    mine = LedgerRecord(
        max_tries=attempt.max_tries,
        retries=attempt.retries,
        clear_number=attempt.clear_number,
        may_run_long=attempt.may_run_long,
        clear_count=slot.clear_count,
        claimed_by=claim(attempt),
        fingerprint=fingerprint,
        key=key,
        key_version=1,
        intended_at=0.0,
        connection=connection,
        path=root,
    )
    return BatchFolder(key, f"{root}/batch-{key.removeprefix('airflow-')}", slot.number, mine)


def _key(task: FloraGenerateBatchOperator, context: Context, *, clear_count: int, is_durable: bool) -> str:
    attempt = attempt_of(task, context)
    intent = intent_of(context, connection=task.connection, clears=attempt.max_tries, body=b"batch")
    if is_durable:
        intent = replace(intent, clear_number=attempt.clear_number or 0, clear_count=clear_count)
    return intent.key(1)


def planned_rows(task: FloraGenerateBatchOperator, records: Mapping[str, RowRecord]) -> list[PlannedRow]:
    """The rows of a rendered task, each checked, with all problems of all rows at once.

    What FLORA's catalog says by now of rows that an earlier try has sent, by their records, does not matter any more.

    Raises:
        FloraInputError: the requests cannot be read, or a row cannot be right.
    """
    source = task.requests
    is_file = isinstance(source, str) or is_path(source)
    requests = read_requests(source) if is_file else source
    problems = Problems(source=source_name(source) if is_file else "")
    planned = list(_planned_rows(task, rows_of(requests, task.defaults or {}, problems), problems))
    sent = {row for row, record in records.items() if record.state != "void"}
    client, new = task.hook.client(), [row for row in planned if row.row not in sent]
    for problem, number in client.run(_catalog_problems(task, new, client.context)):
        problems.add(problem, number, is_of_source=number is not None)
    problems.raise_any()
    if task.max_cost_usd is not None or task.budget:
        models = client.run(catalog_models(client.context, account_of(task.hook.settings)))
        offered = require(models, f"each of {len(planned)} rows")
        planned = [priced(row, offered) for row in planned]
        for row in planned:
            for problem in _price_problems(task, row) if row.row not in sent else ():
                problems.add(problem, row.number)
        problems.raise_any()
    return planned


def _planned_rows(task: FloraGenerateBatchOperator, rows: list[Row], problems: Problems) -> Iterator[PlannedRow]:
    for row in rows:
        try:
            yield _planned(task, row)
        except FloraInputError as error:
            for problem in error.problems:
                problems.add(problem, row.number)


def _planned(task: FloraGenerateBatchOperator, row: Row) -> PlannedRow:
    fields = row.fields
    params = fields.get("model_params")
    request = {
        "type": fields["type"],
        "prompt": fields["prompt"],
        **task.hook.scope(fields.get("workspace_id"), fields.get("project_id")),
        "model": fields.get("model"),
        "params": None if params is None else resolve_params(params),
        "callback_url": fields.get("callback_url"),
    }
    key = ""
    if task.reuse_from is not None:
        asked = {name: fields.get(name) for name in ("type", "prompt", "model")} | named_members("params", params)
        key = reuse_key({"kind": "generation", "base_url": task.hook.settings.base_url, **asked})
    request = {name: value for name, value in request.items() if value is not None}
    planned = PlannedRow(
        number=row.number, row=row.identity, request=request, reuse_key=key, price_kind=price_kind(request)
    )
    planned.run_request(task.connection)  # raises what the call refuses
    return planned


def _catalog_problems(
    task: FloraGenerateBatchOperator, rows: list[PlannedRow], context: FlowContext
) -> Flow[list[tuple[str, int | None]]]:
    """What FLORA's catalog says is wrong, each with the number of its row."""
    if not task.validate_params:
        return []

    def judge(models: tuple[Model, ...] | None) -> tuple[list[tuple[str, int | None]], list[str]]:
        found = list(_problems_by_catalog(rows, models or (), task.allow_model_params))
        return found, [problem for problem, _ in found]

    found, problems = yield from checked(model_lookup(), judge, context, account_of(task.hook.settings))
    return found or [(problem, None) for problem in problems]


def _problems_by_catalog(
    rows: list[PlannedRow], models: tuple[Model, ...], allowed: Any
) -> Iterator[tuple[str, int | None]]:
    for row in rows:
        model, params = row.request.get("model"), row.request.get("params") or {}
        if model is not None or params:
            found = param_problems(models, type=row.request["type"], model=model, params=params, allowed=allowed)
            yield from ((problem, row.number) for problem in found)


def _price_problems(task: FloraGenerateBatchOperator, row: PlannedRow) -> list[str]:
    """Why a row can never be started; whether all of them together pass the limit, FLORA's quotes tell."""
    subject = subject_of(row)
    if task.max_cost_usd is not None:
        return price_problems(row.price, float(task.max_cost_usd), subject=subject)
    if row.price is None:
        return [f"budget needs a price, and FLORA's catalog has none for {subject}: nothing was started"]
    return []


def with_reused(
    task: FloraGenerateBatchOperator, rows: list[PlannedRow], records: Mapping[str, RowRecord]
) -> list[PlannedRow]:
    """The rows, of which those are marked whose runs are in the build cache, unless something was sent for them."""
    if task.reuse_from is None:
        return rows
    cache, age = BuildCache(task.reuse_from), seconds(task.reuse_max_age)
    max_age = None if age is None else timedelta(seconds=age)

    def marked(row: PlannedRow) -> PlannedRow:
        if row.row in records or cache.find(row.reuse_key, max_age=max_age) is None:
            return row
        return row.model_copy(update={"reused_from": cache.path(row.reuse_key)})

    open_folder(task.reuse_from)  # here, for it may read a connection of Airflow's
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="flora-reuse") as pool:
        return list(pool.map(marked, rows))


def write_plan(folder: Folder, rows: list[PlannedRow]) -> str:
    """Write the plan, and return its name."""
    folder.make()
    name, content = dump_plan(rows)
    if folder.size(name) is None:
        folder.publish_bytes(content, name, OWNER)
    return name


def read_plan(folder: Folder, name: str) -> list[PlannedRow]:
    """The rows of a plan; raises as `load_plan`."""
    return list(load_plan(folder.read(name, at_most=LARGEST_PLAN), folder.path(name)))
