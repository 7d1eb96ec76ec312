"""What every operator that starts a run shares: exactly one run, told to XCom, and awaited if that is wished."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from flora_provider.api import checks
from flora_provider.glue import waiting
from flora_provider.glue.checked_task import CheckedTask
from flora_provider.glue.failures import as_airflow
from flora_provider.glue.literals import Text, refuse_at_parse
from flora_provider.glue.mapping import shared_key, undeclared_params
from flora_provider.glue.templates import KeepsTemplates
from flora_provider.glue.xcom import push_if_possible, push_patiently, pushed_run_ids
from flora_provider.links.flora import FloraRunLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from flora_provider.api.calls import Call
    from flora_provider.glue.ledger import NoLedger, TaskStateLedger
    from flora_provider.hooks.flora import FloraHook
    from flora_provider.runs.request import RunRequest
    from flora_provider.runs.start import Submission, UnknownOutcome
    from flora_provider.runs.submit import ChangedRequest, Submit

# A run that FLORA expects to end within this is awaited in the worker at first: deferring would take longer.
_MAY_BE_SHORT = 5.0  # seconds

RULES: Mapping[str, checks.Check] = {
    "flora_conn_id": checks.text,
    "wait_for_completion": checks.flag,
    "deferrable": checks.flag,
    "idempotency_key": checks.idempotency_key,
    "poll_interval": checks.positive,
    "timeout": checks.positive,
    "on_unknown_outcome": checks.one_of("fail", "adopt", "submit_again"),
    "on_changed_request": checks.one_of("fail", "adopt", "submit_again"),
}
"""What the parameters of every operator that starts a run must be."""


class FloraRunOperator(KeepsTemplates, CheckedTask, ABC):
    """Base of the operators that start a run.

    A subclass says what to start (`call`), and how to find it in the history if its id was lost (`recovery`); exactly
    one run per task, XComs, waiting, deferral, timeouts and links come from here.

    Args:
        flora_conn_id: the connection.
        idempotency_key: your own key instead of the one derived from the task. FLORA starts nothing twice under one
            key within two hours, whoever sends it; keep it unique per intended run.
        wait_for_completion: wait for the run, and return it, instead of its id. Default False.
        deferrable: wait in the triggerer, not in a worker. Default True.
        poll_interval: least seconds between two looks at the run. Default 3.
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

    XCom: `run_id` as soon as it is known, `quoted_cost_usd` (FLORA's quote), `charged_cost_usd` (the bill, once
    waited for), `flora_url`.

    Returns:
        The run id; with `wait_for_completion` the finished run as a plain dict: run_id, status, outputs, charged_cost
        (USD, None while FLORA has not settled it) and its times.
    """

    operator_extra_links: Sequence[BaseOperatorLink] = (FloraRunLink(),)
    template_fields: Sequence[str] = ("flora_conn_id", "idempotency_key")
    rules: ClassVar[Mapping[str, checks.Check]] = RULES
    ui_color = "#f4e8ff"

    def __init__(
        self,
        *,
        flora_conn_id: str = "flora_default",
        idempotency_key: Text | None = None,
        wait_for_completion: bool = False,
        deferrable: bool = True,
        poll_interval: float | timedelta = 3.0,
        timeout: float | timedelta | None = None,
        on_unknown_outcome: UnknownOutcome = "fail",
        on_changed_request: ChangedRequest = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flora_conn_id = flora_conn_id
        self.idempotency_key: Any = idempotency_key  # a str once Airflow has rendered it
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.on_unknown_outcome = on_unknown_outcome
        self.on_changed_request = on_changed_request
        # For the link: None where XCom has to tell it, empty in a worker that does not know it yet.
        self.project_url: str | None = "" if self.is_mapped_instance else None
        self._run_id: str | None = None
        self._ledger: TaskStateLedger | NoLedger | None = None
        self._has_ended = False
        self.refuse_literals(RULES)
        if not self.is_mapped_instance:
            in_group = next(self.iter_mapped_task_groups(), None) is not None
            shared = shared_key(idempotency_key, in_group=True) if in_group else ()
            refuse_at_parse([*undeclared_params(self.params, self.get_dag()), *shared], self.task_id)

    @abstractmethod
    def call(self) -> Call[Any]:
        """What starts the run, from the rendered fields; without its key. Raises FloraInputError for bad ones."""

    @abstractmethod
    def recovery(self) -> Mapping[str, Any]:
        """How to find the run in FLORA's history if its id was lost: `candidates` and `search_for` of `RunRequest`."""

    def project(self) -> str | None:
        """The project that the run belongs to, for the link; None if it has none."""
        return None

    @cached_property
    def hook(self) -> FloraHook:
        """The hook of the task's connection."""
        from flora_provider.hooks.flora import FloraHook

        return FloraHook(self.flora_conn_id)

    def prepare_for_execution(self) -> Self:
        """The copy of the task that a worker runs."""
        task: Self = super().prepare_for_execution()
        task.project_url = ""
        return task

    def execute(self, context: Context) -> str | dict[str, Any]:
        """Start the run or find it again, and wait for it if that is wished."""
        with self._remembered(context), as_airflow(waiting.place_of(self)), self.hook:
            self.refuse_values()
            submission = self._submit(context)
            self._run_id = submission.run_id
            self._tell(context, submission)
            if not self.wait_for_completion:
                return submission.run_id
            deadline = waiting.deadline_of(self, context, waiting.seconds(self.timeout))
            run = self._wait(submission, deadline)
            self._has_ended = True
            return waiting.finish(self, context, run)

    def refuse_values(self) -> None:
        """Refuse what templates, other tasks and mapped rows have given. Raises FloraInputError."""
        checks.refuse(list(undeclared_params(self.params, self.get_dag())))
        super().refuse_values()

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on after the triggerer's wait."""
        with self._remembered(context), as_airflow(waiting.place_of(self)):
            run = waiting.resumed(self, event)
            self._run_id, self._has_ended = run["run_id"], True
            return waiting.finish(self, context, run)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Come back from the triggerer, to `execute_complete` or to Airflow's error."""
        self.project_url = None  # the try's first process has pushed it
        waiting.tell_lost_wait(self, next_method, next_kwargs)
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
            from flora_provider.glue.ledger import attempt_of, ledger_of

            nothing = getattr(error, "started_nothing", False)
            (self._ledger or ledger_of(context)).release(attempt_of(self, context), started_nothing=nothing)
            raise

    def _submit(self, context: Context) -> Submission:
        submit = self._plan(context)
        self.project_url = self._url_of_project()
        push_if_possible(context, FloraRunLink.key, self.project_url)
        client = self.hook.client()
        return client.perform(submit.plan(client.tools))

    def _plan(self, context: Context) -> Submit:
        from flora_provider.glue.ledger import attempt_of, ledger_of
        from flora_provider.runs.identity import Intent
        from flora_provider.runs.start import Context as Try
        from flora_provider.runs.submit import Submit

        request = self._request()
        ti, started = context["ti"], context["dag_run"].start_date
        attempt = attempt_of(self, context)
        self._ledger = ledger_of(context)
        intent = Intent(
            dag_id=ti.dag_id,
            task_id=ti.task_id,
            run_id=ti.run_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            dag_run_started=started.isoformat() if started else "",
            connection=request.connection,
            clears=attempt.max_tries,
            # Without a ledger, a retry must derive the key from what it finds again: a rendered request may vary.
            body=request.template.encode() if self.has_templates and not self._ledger.durable else request.call.body,
            own_key=self.idempotency_key,
            # Without a ledger this is the only trace that a clear leaves, unless the author changes `retries`.
            clear_count=0 if attempt.max_tries == attempt.retries else attempt.max_tries,
        )
        return Submit(
            request=request,
            context=Try(
                intent=intent,
                ledger=self._ledger,
                attempt=attempt,
                earliest=started.timestamp() if started else 0.0,
                on_unknown=self.on_unknown_outcome,
                claimed=lambda: pushed_run_ids(context),
            ),
            on_changed=self.on_changed_request,
            renders_differently=lambda: self.renders_differently(context, lambda: self.call().body),
        )

    def _request(self) -> RunRequest:
        from flora_provider.runs.ledger import fingerprint_of
        from flora_provider.runs.request import RunRequest

        connection = f"{self.flora_conn_id} {self.hook.settings.base_url}"
        defaults = repr(tuple(self.hook.defaults))
        template = fingerprint_of(connection, defaults, self.as_written()) if self.was_rendered else ""
        return RunRequest(call=self.call(), connection=connection, template=template, **self.recovery())

    def _tell(self, context: Context, submission: Submission) -> None:
        """Push what is known now: a crash, or a user who looks, finds it there."""
        quote = submission.quoted_cost
        push_patiently(context, "run_id", submission.run_id)
        if quote is not None:
            push_if_possible(context, "quoted_cost_usd", quote)
        self.log.info("FLORA run %s%s", submission.run_id, f", quoted at {quote} USD" if quote is not None else "")

    def _url_of_project(self) -> str:
        base = urlsplit(self.hook.settings.base_url)
        project_id = self.project()
        return f"{base.scheme}://{base.netloc}/projects/{project_id}" if project_id else ""

    def _wait(self, submission: Submission, deadline: waiting.Deadline) -> dict[str, Any]:
        from flora_provider.runs.event import RunEvent

        now = time.time()
        if submission.run is not None and submission.run.is_terminal:
            event = RunEvent.ended(submission.run)
            if not event.awaits_bill(now=now):
                return event.result()
        interval = waiting.seconds(self.poll_interval) or 0.0
        estimated = getattr(submission.started, "estimated_seconds", None)
        if estimated is not None and not 0 <= estimated < inf:
            estimated = None
        known: dict[str, Any] = {"started_at": now, "estimated_seconds": estimated} if submission.run is None else {}
        is_urgent = deadline.at is not None and deadline.at <= now + waiting.SHORT_WAIT
        may_be_short = estimated is not None and estimated <= _MAY_BE_SHORT
        if self.deferrable and not (may_be_short and is_urgent):
            if may_be_short and (run := waiting.briefly(self, submission.run_id, poll_interval=interval, **known)):
                return run
            waiting.defer_until_ended(
                self,
                run_id=submission.run_id,
                flora_conn_id=self.flora_conn_id,
                poll_interval=interval,
                deadline=deadline,
                **known,
            )
        return waiting.in_worker(self, submission.run_id, poll_interval=interval, deadline=deadline, **known)
