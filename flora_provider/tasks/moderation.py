"""What a task makes of runs that moderation has refused: others with other seeds, which its XComs and result name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from flora_provider.runs.error_codes import RetryAdvice
from flora_provider.tasks.ledger import NoLedger, TaskStateLedger, ledger_of
from flora_provider.tasks.xcom import push_if_possible

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from flora_provider.api.errors import RunFailed
    from flora_provider.api.models import FinishedRun
    from flora_provider.operators.base import FloraRunOperator
    from flora_provider.runs.submission import Submission

MODERATED = "moderated"
"""The member of XCom `request`, of a result and of a manifest with the runs that moderation has refused before."""

SENT = "flora_sent"
"""The XCom in which a try keeps, before Airflow 3.3, what it has sent, while the triggerer waits."""


def is_followed(task: FloraRunOperator, failure: RunFailed) -> bool:
    """Whether the task is to start another run; `NewSeeds` then knows whether there is one more."""
    return task.on_moderated == "new_seed" and failure.advice is RetryAdvice.MODERATED


def seed_members(submission: Submission, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What XCom `request` says of a run whose seed is not the one that was asked for."""
    if not submission.moderated:
        return {}
    is_known = "model_params" in asked
    params = {"model_params": {**(asked["model_params"] or {}), **submission.seed}} if is_known else {}
    return {**params, MODERATED: [run.model_dump() for run in submission.moderated]}


def with_moderated(task: FloraRunOperator, context: Context, run: FinishedRun) -> FinishedRun:
    """The finished run, with those that moderation has refused before it."""
    if task.on_moderated != "new_seed":
        return run
    moderated: Any = [one.model_dump() for one in task.moderated]
    if not moderated:  # another process of this try knows them
        request = task.request_of(context, run["run_id"]) or {}
        moderated = request.get(MODERATED)
    return cast("FinishedRun", {**run, MODERATED: moderated}) if moderated else run


def remember(task: FloraRunOperator, context: Context, ledger: TaskStateLedger | NoLedger) -> None:
    """Keep what this try has sent for the process that goes on after the wait, where there is no ledger."""
    if isinstance(ledger, NoLedger) and task.on_moderated == "new_seed" and task.deferrable:
        push_if_possible(context, SENT, ledger.dump())


def resumed_ledger(task: FloraRunOperator, context: Context) -> TaskStateLedger | NoLedger:
    """The ledger of a try that goes on after a wait.

    If what it has sent was not kept, the keys alone find it again, as in a retry.
    """
    ledger = ledger_of(context)
    if isinstance(ledger, NoLedger):
        ti: Any = context["ti"]
        sent = ti.xcom_pull(task_ids=[task.task_id], key=SENT, map_indexes=[ti.map_index])
        ledger.restore(next((one for one in sent or () if one), []))
    return ledger
