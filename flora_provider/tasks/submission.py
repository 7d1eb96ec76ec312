"""Start the one run of a task: its request, its intent, its ledger, and the client, brought together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flora_provider.api.errors import FloraInputError
from flora_provider.api.urls import project_url
from flora_provider.budget.account import Account, AddEntry, ListEntries
from flora_provider.budget.storage import open_store
from flora_provider.links.flora import FloraRunLink
from flora_provider.runs.effects import ReadClaimedRuns, ReadLedger, RenderAgain, WriteLedger
from flora_provider.runs.intent import Intent
from flora_provider.runs.ledger import fingerprint_of
from flora_provider.runs.request import RunRequest
from flora_provider.runs.submission import Submission, SubmitOptions
from flora_provider.runs.submitter import RunSubmitter
from flora_provider.tasks.ledger import NoLedger, TaskStateLedger, attempt_of
from flora_provider.tasks.xcom import push_if_possible, pushed_run_ids

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from flora_provider.operators.base import FloraRunOperator


def submit(task: FloraRunOperator, context: Context, ledger: TaskStateLedger | NoLedger) -> Submission:
    """Start the run of a rendered task, or find the one that was started already; raises as `RunSubmitter.flow`."""
    if task.on_clear == "reuse" and not ledger.durable:
        raise FloraInputError(
            "on_clear is 'reuse', which needs the task state store of Airflow 3.3: this one cannot tell which run a "
            "cleared task had. Leave it out"
        )
    base_url = task.hook.settings.base_url
    connection = f"{task.flora_conn_id} {base_url}"
    written = task.as_written()
    template = fingerprint_of(connection, repr(tuple(task.hook.defaults)), written) if written else ""
    request = RunRequest(
        call=task.call(),
        connection=connection,
        template=template,
        check=task.refusals,
        budget=Account(task.budget, task.price) if task.budget else None,
        **task.recovery(),
    )
    task.project_url = project_url(base_url, task.project())
    push_if_possible(context, FloraRunLink.key, task.project_url)
    ti, began = context["ti"], context["dag_run"].start_date
    attempt = attempt_of(task, context)
    intent = Intent(
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        dag_run_started=began.isoformat() if began else "",
        connection=request.connection,
        clears=attempt.max_tries,
        # Without a ledger, a retry must derive the key from what it finds again: a rendered request may vary.
        body=request.template.encode() if task.has_templates and not ledger.durable else request.call.body,
        own_key=task.idempotency_key,
        # Without a ledger this is the only trace that a clear leaves, unless the author changes `retries`.
        clear_count=0 if attempt.max_tries == attempt.retries else attempt.max_tries,
    )
    options = SubmitOptions(
        intent=intent,
        attempt=attempt,
        durable=ledger.durable,
        earliest=began.timestamp() if began else 0.0,
        on_unknown=task.on_unknown_outcome,
        on_changed=task.on_changed_request,
        on_clear=task.on_clear,
    )
    client = task.hook.client()
    handlers: dict[type, Callable[[Any], Any]] = {
        ReadLedger: lambda _: ledger.read(),
        WriteLedger: lambda effect: ledger.write(effect.slot, effect.record),
        ReadClaimedRuns: lambda _: pushed_run_ids(context),
        RenderAgain: lambda _: task.renders_differently(context, lambda: task.call().body),
    }
    if task.budget:
        store = open_store(task.budget.store)
        handlers |= {ListEntries: store.names, AddEntry: store.add}
    submitter = RunSubmitter(request=request, options=options)
    return client.run(submitter.flow(client.context), handlers)
