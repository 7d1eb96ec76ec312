"""Operator that starts many generations in one task."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from flora_provider.api import validation
from flora_provider.links.flora import FloraRunLink
from flora_provider.operators.rules import BATCH_RULES
from flora_provider.tasks.flora_task import FloraTask
from flora_provider.tasks.mapping import undeclared_params
from flora_provider.tasks.parse_checks import Dict, Folder, Text, refuse_at_parse
from flora_provider.triggers.ending import DEFERRAL_TIMEOUT_MARGIN, MIN_DEFERRAL

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context, XComArg
    from airflow.providers.openlineage.extractors import OperatorLineage

    from flora_provider.batch.ledger import BatchLedger
    from flora_provider.batch.outcome import OnBudget
    from flora_provider.batch.rules import BatchEnd
    from flora_provider.budget import FloraBudget
    from flora_provider.runs.submission import OnClear, OnDoubt
    from flora_provider.tasks.ledger import NoLedger, TaskStateLedger


class FloraGenerateBatchOperator(FloraTask):
    """Turn many prompts into files, in one task; each row paid for exactly once, whatever crashes.

        FloraGenerateBatchOperator(
            task_id="pictures",
            requests="s3://aws_default@bucket/prompts/{{ ds }}.csv",
            defaults={"type": "image", "model": "t2i-flux-2-pro"},
            save_outputs_to="s3://aws_default@bucket/pictures/{{ ds }}",
            max_cost_usd=10,
            min_success=0.95,
        )

    A worker checks all rows and defers once; the triggerer starts and awaits them; a worker saves what they have made.
    What is paid for is remembered beside the results, in a folder `batch-…` of `save_outputs_to`, with a record for
    each row. A row is known by its content, and by its position among equal rows, so a list that has changed between
    two tries starts only what is new.

    Args:
        requests: a list of dicts, or the path of a CSV (with a header), JSONL or Parquet file, local or in an object
            store. Each row has the members `type`, `prompt`, `model`, `model_params`, `workspace_id`, `project_id` and
            `callback_url` of `FloraGenerateOperator`; a column `model_params.seed` is one parameter.
        defaults: members of rows that do not have them.
        save_outputs_to: a folder for the files of all runs, the batch's manifest and its ledger, as of
            `FloraRunOperator`; one that all workers and triggerers see, and the same at each try of the task.
        flora_conn_id: the connection.
        max_in_flight: how many runs go on at once, from 1 to 1,000. Default 6.
        min_success: how many rows have to complete for the task to succeed: a whole number of them, or a part of all
            from 0.0 to 1.0. Default 1.0. A retry of the task tries only rows that did not complete and may pass.
        max_cost_usd: start no row that might pass this, in USD, all tries of the task together: by FLORA's quotes, and
            by three times the catalog's price until FLORA has quoted three runs of a model and its parameters the same
            price. None, the default, for no limit.
        on_budget: what a batch is that `max_cost_usd` or `budget` has ended early, once what goes on has ended: `fail`,
            for good, the default; or `partial`: it succeeds, if `min_success` of the rows that were started completed.
        budget: a `FloraBudget`, as of `FloraRunOperator`; it counts each row.
        reuse_from: a build cache, as of `FloraRunOperator`: rows that are there are not started, and cost nothing.
        reuse_max_age: as of `FloraRunOperator`.
        validate_params: as of `FloraGenerateOperator`.
        allow_model_params: as of `FloraGenerateOperator`.
        deferrable: start and await the rows in the triggerer, not in a worker. Default True.
        poll_interval: least seconds between two polls of a run by itself. Default 3.
        timeout: seconds, or a timedelta, for one try of the task: then nothing more is started or awaited, and a retry
            goes on; so it is with `execution_timeout`. None, the default, to go on as long as the task may run.
        on_unknown_outcome: as of `FloraRunOperator`, for each row; `fail` ends that row only.
        on_clear: as of `FloraRunOperator`: `reuse` takes all that is paid for, and tries what has failed.
        kwargs: of every Airflow operator.

    XCom: `progress` (counts, costs and about how many seconds are left) every half minute; `summary`, what the task
    returns, also if it fails then.

    Returns:
        Counts of rows (`rows`, `completed`, `reused`, `failed`, `refused`, `unknown`, `open`, `not_started`),
        `cost_usd`, and the path of the `manifest`: JSON lines that say what became of each row; beside it the same as
        Parquet where pyarrow is installed.

    Raises:
        FloraInputError: when the DAG is parsed, for literal values that cannot be right.
        AirflowFailException: no retry can help: bad rows, all of which are named, before anything is sent; a changed
            folder or connection; too few rows completed, and none of the others may pass; `on_budget="fail"`.
        AirflowException: too few rows completed, and some of the others may pass.
    """

    operator_extra_links: Sequence[BaseOperatorLink] = (FloraRunLink(),)
    template_fields: Sequence[str] = (
        "requests",
        "defaults",
        "save_outputs_to",
        "flora_conn_id",
        "max_cost_usd",
        "reuse_from",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"requests": "json", "defaults": "json"}
    native_fields: ClassVar[frozenset[str]] = frozenset({"defaults"})
    rules: ClassVar[Mapping[str, validation.Check]] = BATCH_RULES
    starts_runs = True
    wait_for_completion = True  # what the rules of tries need to know of a task that waits

    def __init__(
        self,
        *,
        requests: Iterable[Mapping[str, Any]] | Folder | XComArg,
        save_outputs_to: Folder,
        defaults: Dict | None = None,
        flora_conn_id: str = "flora_default",
        max_in_flight: int = 6,
        min_success: float = 1.0,
        max_cost_usd: float | Text | None = None,
        on_budget: OnBudget = "fail",
        budget: FloraBudget | None = None,
        reuse_from: Folder | None = None,
        reuse_max_age: float | timedelta | None = None,
        validate_params: bool = True,
        allow_model_params: Collection[str] = (),
        deferrable: bool = True,
        poll_interval: float | timedelta = 3.0,
        timeout: float | timedelta | None = None,
        on_unknown_outcome: OnDoubt = "fail",
        on_clear: OnClear = "new_run",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.requests: Any = requests  # a list or a text once Airflow has rendered it
        self.defaults: Any = defaults
        self.save_outputs_to: Any = save_outputs_to
        self.flora_conn_id = flora_conn_id
        self.max_in_flight = max_in_flight
        self.min_success = min_success
        self.max_cost_usd: Any = max_cost_usd
        self.on_budget = on_budget
        self.budget = budget
        self.reuse_from: Any = reuse_from
        self.reuse_max_age = reuse_max_age
        self.validate_params = validate_params
        self.allow_model_params = allow_model_params
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.on_unknown_outcome = on_unknown_outcome
        self.on_clear = on_clear
        # For the link: None where XCom holds it, empty in a worker that does not know it yet.
        self.project_url: str | None = "" if self.is_mapped_instance else None
        self._ledger: TaskStateLedger | NoLedger | None = None
        self.refuse_literals(self.rules)
        if not self.is_mapped_instance:
            refuse_at_parse([*undeclared_params(self.params, self.get_dag()), *self._unneeded()], self.task_id)

    @property
    def connection(self) -> str:
        """The connection's id and base URL, one space between them."""
        return f"{self.flora_conn_id} {self.hook.settings.base_url}"

    def prepare_for_execution(self) -> Self:
        """The copy of the task that a worker runs."""
        task: Self = super().prepare_for_execution()
        task.project_url = ""
        return task

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Come back from the triggerer, to `execute_complete` or to Airflow's error."""
        self.project_url = None  # the try's first process has pushed it
        return super().resume_execution(next_method, next_kwargs, context)

    def execute(self, context: Context) -> dict[str, Any]:
        """Check and plan the rows, and have them started and awaited."""
        from flora_provider.api.urls import project_url
        from flora_provider.batch.ledger import BatchLedger
        from flora_provider.batch.rules import BatchEnd
        from flora_provider.files.storage import open_folder
        from flora_provider.tasks import batch_planning
        from flora_provider.tasks.ledger import attempt_of, ledger_of
        from flora_provider.tasks.xcom import push_if_possible

        with self._remembered(context), self.airflow_errors(), self.hook:
            self.refuse_values()
            self.project_url = project_url(self.hook.settings.base_url, self.hook.defaults.project_id)
            push_if_possible(context, FloraRunLink.key, self.project_url)
            self._ledger = ledger_of(context)
            batch = batch_planning.batch_folder(self, context, self._ledger)
            folder = open_folder(batch.path)
            ledger, attempt = BatchLedger(folder, self.connection), attempt_of(self, context).try_number
            records = ledger.read()
            rows = batch_planning.with_reused(self, batch_planning.planned_rows(self, records), records)
            self._ledger.write(batch.slot, batch.record)
            plan = batch_planning.write_plan(folder, rows)
            left = [row for row in rows if not row.reused_from and not _is_settled(records.get(row.row), attempt)]
            reused = sum(bool(row.reused_from) for row in rows)
            self.log.info("%d rows: %d to be started or awaited, %d from the build cache", len(rows), len(left), reused)
            end = self._go_on(context, batch, plan, attempt) if left else BatchEnd(reason="done")
            return self._finish(context, plan, end, ledger)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002 - OpenLineage's
        """What OpenLineage's provider calls once the task has ended, well or badly."""
        from flora_provider.tasks.lineage import batch_lineage

        return batch_lineage(self)

    def refuse_values(self) -> None:
        """Refuse what templates, other tasks and mapped rows have given. Raises FloraInputError."""
        # A null in a row that another task made is a member that the row does not have.
        self._missing_values = {
            path: value for path, value in self._missing_values.items() if not path.startswith("requests[")
        }
        validation.raise_problems([*undeclared_params(self.params, self.get_dag()), *self._unneeded()])
        super().refuse_values()

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Save what the rows have made, and say how many completed."""
        from flora_provider.batch.ledger import BatchLedger
        from flora_provider.batch.rules import BatchEnd
        from flora_provider.files.storage import open_folder

        with self._remembered(context), self.airflow_errors(), self.hook:
            ledger = BatchLedger(open_folder(event["folder"]), self.connection)
            return self._finish(context, event["plan"], BatchEnd(**event["end"]), ledger)

    def on_kill(self) -> None:
        """Say what becomes of the runs; asks nobody for anything."""
        self.log.warning("Killed. Runs that were started go on and are billed; a retry of this task takes them")

    def _go_on(self, context: Context, batch: Any, plan: str, attempt: int) -> BatchEnd:
        """Start and await the rows, in the triggerer (which raises TaskDeferred) or here."""
        import asyncio

        from flora_provider.tasks.waiting import deadline_of, seconds
        from flora_provider.triggers.batch import FloraBatchTrigger

        now, deadline = time.time(), deadline_of(self, context).at
        options = {
            "batch": batch.key,
            "attempt": attempt,
            "max_in_flight": self.max_in_flight,
            "max_cost_usd": None if self.max_cost_usd is None else float(self.max_cost_usd),
            "on_unknown": self.on_unknown_outcome,
            "deadline": deadline,
            "poll_interval": seconds(self.poll_interval),
        }
        budget = {**asdict(self.budget), "store": str(self.budget.store)} if self.budget else None
        trigger = FloraBatchTrigger(
            folder=batch.path,
            plan=plan,
            options=options,
            flora_conn_id=self.flora_conn_id,
            budget=budget,
            not_before=now + MIN_DEFERRAL,
        )
        if self.deferrable:
            margin = MIN_DEFERRAL + DEFERRAL_TIMEOUT_MARGIN
            limit = None if deadline is None else timedelta(seconds=max(deadline - now, 0.0) + margin)
            self.defer(trigger=trigger, method_name="execute_complete", timeout=limit)
        return asyncio.run(trigger.end())

    def _finish(self, context: Context, plan: str, end: BatchEnd, ledger: BatchLedger) -> dict[str, Any]:
        from flora_provider.batch.manifest import write_manifest
        from flora_provider.batch.outcome import raise_unless_enough, summary_of
        from flora_provider.tasks.batch_planning import read_plan
        from flora_provider.tasks.batch_saving import saved_outcomes
        from flora_provider.tasks.xcom import push_if_possible

        outcomes, gone = saved_outcomes(self, context, read_plan(ledger.folder, plan), ledger)
        manifest = write_manifest(ledger.folder, outcomes)
        self.done.summary = summary = summary_of(outcomes, gone, manifest)
        self.log.info("%s", summary)
        if gone:
            self.log.warning("%d rows of earlier tries are asked for no more; their runs are counted in", len(gone))
        push_if_possible(context, "summary", summary)
        policy: dict[str, Any] = {"min_success": self.min_success, "on_budget": self.on_budget}
        raise_unless_enough(outcomes, end, manifest=manifest, **policy)
        return summary

    def _unneeded(self) -> list[str]:
        if self.reuse_max_age is not None and self.reuse_from is None:
            return ["reuse_max_age needs reuse_from: name the folder of the build cache, or leave it out"]
        return []

    @contextmanager
    def _remembered(self, context: Context) -> Iterator[None]:
        """Remember that this try has ended by itself, if it fails herein: see `runs.ledger.is_cleared`."""
        try:
            yield
        except Exception:
            from flora_provider.tasks.ledger import attempt_of, ledger_of

            (self._ledger or ledger_of(context)).release(attempt_of(self, context), started_nothing=False)
            raise


def _is_settled(record: Any, attempt: int) -> bool:
    return record is not None and record.is_settled(attempt)
