"""A task over all its tries, killed at any moment, and its ledger. No clock but FLORA's, no Airflow."""

import json

import pytest

from flora_provider.api import calls
from flora_provider.api.errors import FloraConnectionError, FloraError
from flora_provider.api.http.flow import FlowContext, Sleep
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.runs.effects import ReadClaimedRuns, ReadLedger, RenderAgain, WriteLedger
from flora_provider.runs.intent import Intent
from flora_provider.runs.ledger import Attempt, load
from flora_provider.runs.request import RunRequest
from flora_provider.runs.submission import SubmitOptions
from flora_provider.runs.submitter import RunSubmitter
from tests.support.fake_flora import SCOPE
from tests.support.flows import run_flow


class ProcessKilled(BaseException):
    """SIGKILL: nothing of the task runs any more."""


class DurableLedger:
    """A ledger that outlives the task; its records go through JSON, as in Airflow's store."""

    durable = True

    def __init__(self, boundary):
        self.stored = []
        self._slot = 0
        self._boundary = boundary

    def read(self):
        return [load(json.loads(text)) for text in self.stored]

    def write(self, slot, record):
        self._boundary("before a ledger write")
        self._slot = slot
        self.stored[slot : slot + 1] = [json.dumps(record.dump())]
        self._boundary("after a ledger write")

    def release(self, attempt, *, started_nothing):
        """As `TaskStateLedger.release`."""
        for slot, record in enumerate(self.read()):
            if slot in (0, self._slot):
                changed = record.released(attempt, is_own=slot == self._slot, started_nothing=started_nothing)
                self.stored[slot] = json.dumps(changed.dump())


class NoLedger:
    """No ledger: Airflow before 3.3. What one request of one try has sent is known until the next one."""

    durable = False

    def __init__(self):
        self.records = []

    def read(self):
        return list(self.records)

    def write(self, slot, record):
        self.records[slot : slot + 1] = [record]

    def release(self, attempt, *, started_nothing):
        pass


class Task:
    """One task instance over all its tries and clears.

    Args:
        flora: where it starts its run.
        task_id: of it; siblings have the same prompt.
        ledger: whether there is a durable one.
        model: that is asked for.
        template: what the author wrote.
        options: of the submitter and its handlers.

    Attributes:
        retries: that the author has given the task; clears set `max_tries` to the try plus these.
    """

    def __init__(self, flora, task_id="fern", *, ledger=True, prompt="a fern", model=None, template="", **options):
        self.flora = flora
        self.task_id = task_id
        self.prompt = prompt
        self.model = model
        self.template = template
        self.connection = "flora_default https://flora.example/api/v1"
        self.params = None
        self.problems = []  # what FLORA's catalog says of the request
        self.candidates = options.pop("candidates", calls.list_generations(**SCOPE))
        self.options = options
        self.ledger = DurableLedger(self.boundary) if ledger else NoLedger()
        self.policy = RetryPolicy(max_retries=0)
        self.retries = self.max_tries = 3
        self.may_run_long = False
        self.dag_run_clears = 0
        self.tries = 0
        self.began = flora.now
        self.keys = []  # that were sent since the last clear
        self.boundaries = []
        self._kill_at = None

    @property
    def request(self):
        return RunRequest(
            call=calls.generate(type="image", prompt=self.prompt, model=self.model, params=self.params, **SCOPE),
            connection=self.connection,
            template=self.template,
            check=self._check,
            candidates=self.candidates,
            search_for={"model_id": self.model} if self.model else {},
            budget=self.options.get("budget"),
            new_seeds=self.options.get("new_seeds"),
        )

    @property
    def intent(self):
        return Intent(
            dag_id="dag",
            task_id=self.task_id,
            run_id="manual__1",
            map_index=-1,
            dag_run_started=str(self.began),
            connection=self.connection,
            clears=self.max_tries,
            body=self.template.encode() if self.template and not self.ledger.durable else self.request.call.body,
        )

    @property
    def attempt(self):
        return Attempt(
            try_number=self.tries,
            max_tries=self.max_tries,
            retries=self.retries,
            clear_number=self.dag_run_clears,
            may_run_long=self.may_run_long,
            process="process of this try",
        )

    @property
    def runs(self):
        """The runs that FLORA started for this task since it was last cleared."""
        return [run for run in self.flora.runs.values() if run.key in self.keys]

    def boundary(self, name):
        """A moment at which the task may be killed."""
        self.boundaries.append(name)
        if self._kill_at is not None and len(self.boundaries) > self._kill_at:
            raise ProcessKilled(name)

    def clear(self):
        """As Airflow clears a task that does not run."""
        self.dag_run_clears += 1
        self.max_tries = self.tries + self.retries
        self.keys = []

    def clear_running(self):
        """As Airflow clears one that runs: its process is killed, and `max_tries` stays."""
        self.dag_run_clears += 1
        self.keys = []

    def run(self, *, kill_at=None, **changes):
        """One try of one request, see `execute`; `changes` to attributes come before it."""
        self._change(changes)
        self.tries += 1
        return self.execute(kill_at=kill_at)

    def fails(self, error=FloraError, match=None, *, outages=None, **changes):
        """One try during these outages, which fails; returns the error."""
        self._change(changes)
        if outages is not None:
            self.flora.outages = outages
        with pytest.raises(error, match=match) as caught:
            self.run()
        return caught.value

    def execute(self, *, kill_at=None, after=""):
        """One request of the try: the Submission, or its error; ProcessKilled at step n, if reached.

        `after` is the run of the same request, in the same try, that has failed.
        """
        self.boundaries, self._kill_at, self.after = [], kill_at, after
        if not (self.ledger.durable or after):
            self.ledger.records.clear()
        try:
            return self._execute()
        except ProcessKilled:
            raise
        except FloraError as error:
            self._kill_at = None
            self.ledger.release(self.attempt, started_nothing=error.started_nothing)
            raise

    def _change(self, changes):
        for name, value in changes.items():
            setattr(self, name, value)

    def _check(self, _context):
        return self.problems
        yield

    def _execute(self):
        own = {"on_changed": "fail", "renders_differently": lambda: False, "claimed": frozenset, **self.options}
        options = SubmitOptions(
            intent=self.intent,
            attempt=self.attempt,
            durable=self.ledger.durable,
            earliest=self.began,
            on_unknown=own.get("on_unknown", "fail"),
            on_changed=own["on_changed"],
            on_clear=own.get("on_clear", "new_run"),
            after=self.after,
        )
        submitter = RunSubmitter(request=self.request, options=options)
        handlers = {
            ReadLedger: lambda _: self.ledger.read(),
            WriteLedger: lambda effect: self.ledger.write(effect.slot, effect.record),
            ReadClaimedRuns: lambda _: own["claimed"](),
            RenderAgain: lambda _: own["renders_differently"](),
        }
        context = FlowContext(self.policy, lambda: self.flora.now, lambda: 0.5)

        def execute(effect):
            handler = handlers.get(type(effect), self._execute_effect)
            try:
                return handler(effect)
            except FloraError as error:
                return error  # which `run_flow` raises in the flow

        return run_flow(submitter.flow(context), execute)

    def _execute_effect(self, effect):
        if isinstance(effect, Sleep):
            self.boundary("before a sleep")
            self.flora.now += effect.seconds
            return None
        self.boundary(f"before {effect.request}")
        if effect.request.method == "POST":
            self.keys.append(dict(effect.request.headers)["Idempotency-Key"])
        answer = self.flora.handle(effect.request)
        self.boundary(f"after {effect.request}")
        return answer


def answer_lost(task):
    """One try whose run was started, but FLORA's answer never came."""
    task.fails(FloraConnectionError, outages=["lost"])
    return task


def request_lost(task):
    """One try whose POST never reached FLORA."""
    task.fails(FloraConnectionError, outages=["broken"])
    return task
