"""What every operator that starts a run shares: exactly one run, its XComs, and the wait for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from flora_provider.api import validation
from flora_provider.api.errors import RunFailed
from flora_provider.links.flora import FloraRunLink
from flora_provider.operators.rules import RULES
from flora_provider.tasks.mapping import shared_key, undeclared_params
from flora_provider.tasks.parse_checks import Folder, Text, refuse_at_parse, unawaited
from flora_provider.tasks.templates import TemplateSnapshot
from flora_provider.tasks.waiting import WaitsForRun

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from flora_provider.api.calls import Call
    from flora_provider.api.http.flow import Flow, FlowContext
    from flora_provider.api.models import FinishedRun
    from flora_provider.budget import FloraBudget
    from flora_provider.runs.moderation import ModeratedRun, NewSeeds
    from flora_provider.runs.submission import OnClear, OnDoubt
    from flora_provider.tasks.ledger import NoLedger, TaskStateLedger


class FloraRunOperator(TemplateSnapshot, WaitsForRun, ABC):
    """Base of the operators that start a run.

    A subclass says what to start (`call`), and how to find it in the history if its id was lost (`recovery`); exactly
    one run per task, XComs, waiting, deferral, timeouts and links come from here.

    Args:
        flora_conn_id: the connection.
        idempotency_key: your own key instead of the one derived from the task. FLORA starts nothing twice under one
            key within two hours, whoever sends it; keep it unique per intended run.
        wait_for_completion: wait for the run, and return it, instead of its id. Default False.
        save_outputs_to: a folder for what the run has made, and its manifest: a path of the worker, an
            `ObjectStoragePath`, or the text of one, such as `s3://aws_default@bucket/{{ ds }}`. Only with
            `wait_for_completion`. A retry saves only what is missing. `FloraToObjectStorageOperator` has more options.
        reuse_from: a folder, as of `save_outputs_to`, that is a build cache: a run that was paid for and kept there for
            an equal request is taken from there, with no request that bills, and costs nothing; else the run is kept
            there. Inputs count by what they hold where that is known, else by their address; workspace, project and
            callback do not count. Only with `wait_for_completion`.
        reuse_max_age: seconds, or a timedelta, since a kept run completed; None, the default, for any.
        max_cost_usd: start nothing whose price would pass this, in USD, by FLORA's catalog, which knows the price of a
            model's default params and of a technique; a run whose price it does not say is not started either. FLORA
            itself quotes only what it has started: a higher quote is logged. A run that is paid is awaited, whatever it
            costs. None, the default, for no limit.
        budget: a `flora_provider.budget.FloraBudget`, which tasks of any DAG runs share: nothing is started that might
            pass it. Three times the catalog's price is reserved, until FLORA quotes. None, the default, for none.
        deferrable: wait in the triggerer, not in a worker. Default True.
        poll_interval: least seconds between two polls of the run by itself. Default 3.
        timeout: seconds, or a timedelta, to wait for the run; None to wait as long as the task may run. The run cannot
            be cancelled: it goes on and is billed, and a retry of the task finds it again.
        on_unknown_outcome: what to do when FLORA says that the task's key has already started a run, and its id was
            lost in a crash. `fail` (default): fail for good and list the runs that it may be. `adopt`: take it if
            exactly one run of the history fits that no task of this DAG run has pushed as its `run_id`; safe only in a
            project that nobody else uses. `submit_again`: start another, and pay for both. A key that may be older
            than FLORA remembers it (two hours) tells nothing, so with `adopt`, too, it fails if any run fits.
        on_changed_request: what a retry does that finds another request (prompt, model, workspace, connection, …) than
            an earlier try of the task has sent, whose run is not known to have failed. `fail` (default): fail for good,
            and name that run and what has changed. `adopt`: take that run. `submit_again`: start another, and pay for
            both. Needs the task state store of Airflow 3.3. A template that renders to something else at each try is
            no change while its run is not known: the request of the first try is kept.
        on_clear: what a task does that was cleared. `new_run` (default): start a run, and pay for it. `reuse`: take the
            run of before the clear again, and save its outputs again, unless it failed or the request is another one
            now; FLORA keeps outputs for a while only. Needs the task state store of Airflow 3.3.

    XCom: `run_id` as soon as it is known, `quoted_cost_usd` (FLORA's quote), `charged_cost_usd` (the bill, once
    waited for), `flora_url`, `request` (what was asked for, without signed addresses; it goes into manifests), and
    `reused_from` (the entry of the build cache) where the run was taken from there.

    Returns:
        The run id; with `wait_for_completion` the finished run as a plain dict: run_id, status, outputs, charged_cost
        (USD, None while FLORA has not settled it) and its times; with `save_outputs_to` also `files` (members of
        `flora_provider.files.SavedFile`), and the path of the `manifest`.
    """

    operator_extra_links: Sequence[BaseOperatorLink] = (FloraRunLink(),)
    template_fields: Sequence[str] = (
        "flora_conn_id",
        "idempotency_key",
        "save_outputs_to",
        "reuse_from",
        "max_cost_usd",
    )
    unsent_fields: ClassVar[frozenset[str]] = frozenset(template_fields)
    rules: ClassVar[Mapping[str, validation.Check]] = RULES
    starts_runs = True
    pushes_request = True
    on_moderated = "fail"
    moderated: tuple[ModeratedRun, ...] = ()  # the runs of this task that moderation has refused so far

    def __init__(
        self,
        *,
        flora_conn_id: str = "flora_default",
        idempotency_key: Text | None = None,
        wait_for_completion: bool = False,
        save_outputs_to: Folder | None = None,
        reuse_from: Folder | None = None,
        reuse_max_age: float | timedelta | None = None,
        max_cost_usd: float | Text | None = None,
        budget: FloraBudget | None = None,
        deferrable: bool = True,
        poll_interval: float | timedelta = 3.0,
        timeout: float | timedelta | None = None,
        on_unknown_outcome: OnDoubt = "fail",
        on_changed_request: OnDoubt = "fail",
        on_clear: OnClear = "new_run",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flora_conn_id = flora_conn_id
        self.idempotency_key: Any = idempotency_key  # a str once Airflow has rendered it
        self.wait_for_completion = wait_for_completion
        self.save_outputs_to: Any = save_outputs_to
        self.reuse_from: Any = reuse_from
        self.reuse_max_age = reuse_max_age
        self.max_cost_usd: Any = max_cost_usd
        self.budget = budget
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.on_unknown_outcome = on_unknown_outcome
        self.on_changed_request = on_changed_request
        self.on_clear = on_clear
        # For the link: None where XCom holds it, empty in a worker that does not know it yet.
        self.project_url: str | None = "" if self.is_mapped_instance else None
        self._run_id: str | None = None
        self._ledger: TaskStateLedger | NoLedger | None = None
        self._has_ended = False
        self.refuse_literals(RULES)
        if not self.is_mapped_instance:
            in_group = next(self.iter_mapped_task_groups(), None) is not None
            shared = shared_key(idempotency_key, in_group=True) if in_group else ()
            found = [*undeclared_params(self.params, self.get_dag()), *shared, *unawaited(self)]
            refuse_at_parse(found, self.task_id)

    @abstractmethod
    def call(self) -> Call[Any]:
        """What starts the run, from the rendered fields; without its key. Raises FloraInputError for bad ones."""

    @abstractmethod
    def check(self, context: FlowContext) -> Flow[list[str]]:
        """What FLORA's catalog says is wrong with the request, one sentence each; asked before anything is sent."""

    @abstractmethod
    def price(self, context: FlowContext) -> Flow[tuple[str, float | None]]:
        """What is run, for messages, and what it costs by FLORA's catalog, in USD; None if that does not say."""

    @abstractmethod
    def recovery(self) -> Mapping[str, Any]:
        """Members of `RunRequest` that find the run: its `technique`, `candidates` and `search_for`."""

    @abstractmethod
    def asked(self) -> dict[str, Any]:
        """What makes the result what it is, from the rendered fields: what a build cache knows it by."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What was asked for, as a manifest says it: members of `RunManifest`."""

    def refusals(self, context: FlowContext) -> Flow[list[str]]:
        """Why the request is not to be sent: what is wrong with it, and what it costs."""
        from flora_provider.catalog.prices import price_problems

        found = yield from self.check(context)
        if found or self.max_cost_usd is None:
            return found
        subject, price = yield from self.price(context)
        return price_problems(price, float(self.max_cost_usd), subject=subject)

    def catalog_price(self) -> float | None:
        """What the run costs by FLORA's catalog, in USD, where FLORA quotes nothing when it starts; None if unknown."""
        return None

    def new_seeds(self) -> NewSeeds | None:
        """How a run that moderation has refused is followed by one with another seed; None if it is not."""
        return None

    def project(self) -> str | None:
        """The project that the run belongs to, for the link; None if it has none."""
        return None

    def prepare_for_execution(self) -> Self:
        """The copy of the task that a worker runs."""
        task: Self = super().prepare_for_execution()
        task.project_url = ""
        return task

    def execute(self, context: Context) -> str | FinishedRun:
        """Start the run or find it again, and wait for it if that is wished."""
        from flora_provider.tasks.ledger import ledger_of
        from flora_provider.tasks.reuse import take

        with self._remembered(context), self.run_errors(context), self.hook:
            self.refuse_values()
            self._ledger = ledger = ledger_of(context)
            if reused := take(self, context, ledger):
                self._has_ended = True
                return reused
            return self._start_and_wait(context, ledger)

    @property
    def known_run_id(self) -> str | None:
        """The run, once it is started or found."""
        return self._run_id

    def refuse_values(self) -> None:
        """Refuse what templates, other tasks and mapped rows have given. Raises FloraInputError."""
        validation.raise_problems([*undeclared_params(self.params, self.get_dag()), *unawaited(self)])
        super().refuse_values()

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str | FinishedRun:
        """Go on after the triggerer's wait."""
        from flora_provider.tasks.moderation import is_followed, resumed_ledger

        with self._remembered(context), self.run_errors(context), self.hook:
            try:
                run = self.result_of_event(event)
            except RunFailed as failure:
                if not is_followed(self, failure):
                    raise
                self.trace_failure(context, failure)
                self._ledger = ledger = resumed_ledger(self, context)
                return self._start_and_wait(context, ledger, after=failure)
            self._run_id, self._has_ended = run["run_id"], True
            return self.push_result(context, run, event.get("technique"))

    def push_result(
        self, context: Context, run: FinishedRun, technique: str | None = None, *, is_reused: bool = False
    ) -> FinishedRun:
        """As every task that waits; a run with another seed says which runs were refused before it."""
        from flora_provider.tasks.moderation import with_moderated

        return super().push_result(context, with_moderated(self, context, run), technique, is_reused=is_reused)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Come back from the triggerer, to `execute_complete` or to Airflow's error."""
        self.project_url = None  # the try's first process has pushed it
        with self._remembered(context):
            return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Say what becomes of the run. Asks nobody for anything: Airflow gives this five seconds, and may deadlock."""
        run_id = self._run_id or (self._ledger and self._ledger.run_id)
        if self._has_ended:
            self.log.warning("Killed after FLORA run %s had completed; a retry of this task finds it again", run_id)
        elif run_id:
            self.log.warning(
                "Killed while FLORA run %s was going on. It cannot be cancelled: it goes on and is billed; "
                "a retry of this task finds it again",
                run_id,
            )
        else:
            self.log.warning("Killed before FLORA said which run it started, if any; a retry sends the same key again")

    @contextmanager
    def _remembered(self, context: Context) -> Iterator[None]:
        """Remember that this try has ended by itself, if it fails herein: see `runs.ledger.is_cleared`."""
        try:
            yield
        except Exception as error:
            from flora_provider.tasks.ledger import attempt_of, ledger_of

            nothing = getattr(error, "started_nothing", False)
            (self._ledger or ledger_of(context)).release(attempt_of(self, context), started_nothing=nothing)
            raise

    def _start_and_wait(
        self, context: Context, ledger: TaskStateLedger | NoLedger, *, after: RunFailed | None = None
    ) -> str | FinishedRun:
        """Start the run, and wait for it if that is wished; `after` one that moderation refused, with another seed."""
        from flora_provider.tasks.moderation import is_followed, remember
        from flora_provider.tasks.submission import push_submission, submit, wait

        while True:
            submission = submit(self, context, ledger, after=after)
            self._run_id, self.moderated = submission.run_id, submission.moderated
            push_submission(self, context, submission)
            if not self.wait_for_completion:
                return submission.run_id
            remember(self, context, ledger)
            try:
                run = wait(self, submission, self.deadline(context))
            except RunFailed as failure:
                if not is_followed(self, failure):
                    raise
                self.trace_failure(context, failure)
                after = failure
                continue
            self._has_ended = True
            return self.push_result(context, run, submission.ref.technique, is_reused=submission.is_reused)
