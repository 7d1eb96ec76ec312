"""Start the one run of a task, say so, and wait: its request, intent, ledger and client are brought together here."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

from flora_provider.api.errors import FloraInputError, RunFailed
from flora_provider.api.urls import project_url, without_signatures
from flora_provider.budget.account import Account, AddEntry, ListEntries
from flora_provider.budget.storage import open_store
from flora_provider.links.flora import FloraRunLink
from flora_provider.runs.effects import ReadClaimedRuns, ReadLedger, RenderAgain, WriteLedger
from flora_provider.runs.event import RunEvent
from flora_provider.runs.ledger import fingerprint_of
from flora_provider.runs.request import RunRequest
from flora_provider.runs.submission import Submission, SubmitOptions
from flora_provider.runs.submitter import RunSubmitter
from flora_provider.tasks.ledger import NoLedger, TaskStateLedger, attempt_of, intent_of
from flora_provider.tasks.moderation import seed_members
from flora_provider.tasks.reuse import kept_under
from flora_provider.tasks.waiting import Deadline
from flora_provider.tasks.xcom import push_if_possible, push_with_retries, pushed_run_ids
from flora_provider.telemetry.facts import REQUEST

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from flora_provider.api.models import FinishedRun
    from flora_provider.operators.base import FloraRunOperator

# A run that FLORA expects to end within this is awaited in the worker at first: deferring would take longer.
_MAY_BE_SHORT = 5.0  # seconds


def submit(
    task: FloraRunOperator,
    context: Context,
    ledger: TaskStateLedger | NoLedger,
    *,
    after: RunFailed | None = None,
) -> Submission:
    """Start the run of a rendered task, or find the one that was started already; raises as `RunSubmitter.flow`.

    `after` is how the run ended that this very try has waited for, if another one is to follow it.
    """
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
        new_seeds=task.new_seeds(),
        **task.recovery(),
    )
    task.project_url = project_url(base_url, task.project())
    push_if_possible(context, FloraRunLink.key, task.project_url)
    began = context["dag_run"].start_date
    attempt = attempt_of(task, context)
    intent = intent_of(
        context,
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
        after=(after and after.run_id) or "",
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


def push_submission(task: FloraRunOperator, context: Context, submission: Submission) -> None:
    """Push what is known now, for a user who looks while the run goes on."""
    quote = task.catalog_price() if submission.quoted_cost is None else submission.quoted_cost
    push_with_retries(context, "run_id", submission.run_id)
    asked: dict[str, Any] = {"technique_route": submission.ref.technique}
    if submission.is_as_asked:
        asked = task.describe() | kept_under(task, context, submission)
    request = {**asked, **seed_members(submission, asked), "run_id": submission.run_id, "quoted_cost_usd": quote}
    task.done.request = without_signatures(request)
    push_if_possible(context, REQUEST, task.done.request)
    if quote is not None:
        push_if_possible(context, "quoted_cost_usd", quote)
    if quote is not None and task.max_cost_usd is not None and quote > float(task.max_cost_usd):
        task.log.warning("FLORA quotes more than max_cost_usd=%s, now that the run is started", task.max_cost_usd)
    task.log.info("FLORA run %s%s", submission.run_id, f", quoted at {quote} USD" if quote is not None else "")


def wait(task: FloraRunOperator, submission: Submission, deadline: Deadline) -> FinishedRun:
    """Wait for the run of a task as its author wishes, and return it.

    Raises:
        TaskDeferred: the triggerer waits; the task comes back in `execute_complete`.
        FloraError: as `RunEvent.result`.
    """
    now, ref = time.time(), submission.ref
    if submission.run is not None and submission.run.is_terminal:
        event = RunEvent.ended(submission.run, ref.technique)
        if not event.awaits_bill(now=now):
            return event.result()
    estimated = getattr(submission.started, "estimated_seconds", None)
    if estimated is not None and not 0 <= estimated < inf:
        estimated = None
    known: dict[str, Any] = {"started_at": now, "estimated_seconds": estimated} if submission.run is None else {}
    may_be_short = estimated is not None and estimated <= _MAY_BE_SHORT
    if task.deferrable and not (may_be_short and deadline.is_near):
        if may_be_short and (run := task.wait_briefly(ref, **known)):
            return run
        task.defer_wait(ref, deadline, **known)
    return task.wait_in_worker(ref, deadline, **known)
