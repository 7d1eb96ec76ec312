"""A FLORA of runs and keys in memory, and tasks that can be killed at any moment. No network, no clock, no Airflow."""

import json
from dataclasses import dataclass, field

import pytest

from flora_provider.api import calls
from flora_provider.api.errors import FloraConnectionError, FloraError
from flora_provider.api.http.context import FlowContext
from flora_provider.api.http.flow import Response, Sleep
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.runs.effects import ReadClaimedRuns, ReadLedger, RenderAgain, WriteLedger, with_handlers
from flora_provider.runs.intent import Intent
from flora_provider.runs.ledger import Attempt, load
from flora_provider.runs.request import RunRequest
from flora_provider.runs.start import SubmitOptions
from flora_provider.runs.submitter import RunSubmitter

MODES = ("duplicate_409", "replay", "replay_failures", "current_state", "none")
WINDOW = 7200.0  # seconds for which FLORA remembers a key
TAKES = 30.0  # seconds of a run
SCOPE = {"workspace_id": "ws_1", "project_id": "prj_1"}


class ProcessKilled(BaseException):
    """SIGKILL: nothing of the task runs any more."""


@dataclass
class VirtualRun:
    run_id: str
    key: str
    created_at: float
    behavior: str  # "completed", or the error code with which it fails
    hidden_until: float = 0.0
    model: str = "m"

    def row(self, now):
        ended = now >= self.created_at + TAKES
        row = {"run_id": self.run_id, "created_at": int(self.created_at * 1000), "progress": 100 if ended else 0}
        if not ended:
            return row | {"status": "running"}
        if self.behavior == "completed":
            output = {"output_id": "output_1", "type": "imageUrl", "url": "https://media.example/1.png"}
            return row | {"status": "completed", "outputs": [output]}
        return row | {"status": "failed", "error_code": self.behavior}

    @property
    def is_billed(self):
        return self.behavior == "completed"


@dataclass
class FakeFlora:
    """FLORA by one of the accounts of what a known key means.

    Attributes:
        behaviors: of the runs to come; those after them complete.
        outages: what happens to the requests to come: "" for nothing, "lost" (no answer to what was done), "broken"
            (nothing was done), "unreached" (the same, and it is known), or the status of an error; those after them
            meet none.
        page_size: of the history.
    """

    mode: str = "duplicate_409"
    behaviors: list = field(default_factory=list)
    outages: list = field(default_factory=list)
    page_size: int = 100
    hidden_for: float = 0.0
    now: float = 1_750_000_000.0
    runs: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)
    _keys: dict = field(default_factory=dict)

    @property
    def posts(self):
        return [request for request in self.requests if request.method == "POST"]

    @property
    def polls(self):
        return [request.url for request in self.requests if request.url.startswith("/runs/")]

    @property
    def billed(self):
        return [run.run_id for run in self.runs.values() if run.is_billed]

    def start(self, key="", behavior="completed", model="m"):
        run = VirtualRun(f"run_{len(self.runs) + 1}", key, self.now, behavior, self.now + self.hidden_for, model)
        self.runs[run.run_id] = run
        return run

    def handle(self, request):
        """What FLORA answers; raises FloraConnectionError where no answer arrives."""
        self.requests.append(request)
        outages = self.outages.pop(0) if self.outages else ""
        if outages in ("broken", "unreached"):
            raise FloraConnectionError("the connection broke", ambiguous=outages == "broken")
        response = self._post(request, outages) if request.method == "POST" else self._get(request, outages)
        if outages == "lost":
            raise FloraConnectionError("the answer was lost")
        return response

    def _get(self, request, outages):
        if isinstance(outages, int):
            return refusal(outages, "trouble")
        if request.url == "/generations":
            return self._history(dict(request.query))
        run = self.runs.get(request.url.removeprefix("/runs/"))
        if run is None or self.now < run.hidden_until:
            return refusal(404, "not_found")
        return answer(200, run.row(self.now))

    def _history(self, query):
        rows = [run for run in reversed(self.runs.values()) if self.now >= run.hidden_until]
        begin = int(query.get("cursor", "0"))
        end = begin + self.page_size
        shown = [
            {**run.row(self.now), "generation_id": run.run_id, **SCOPE, "model": {"model_id": run.model}}
            for run in rows[begin:end]
        ]
        return answer(200, {"generations": shown, "meta": {"next_cursor": str(end) if end < len(rows) else None}})

    def _post(self, request, outages):
        key = dict(request.headers)["Idempotency-Key"]
        at, body, stored, run_id = self._keys.get(key, (-WINDOW, b"", None, ""))
        is_known = self.mode != "none" and stored is not None and self.now - at < WINDOW
        if isinstance(outages, int):
            response = refusal(outages, "trouble")
            if self.mode == "replay_failures" and not is_known:
                self._keys[key] = (self.now, request.body, response, "")
            return response
        if is_known:
            return self._repeat(stored, run_id, same=body == request.body)
        behavior = self.behaviors.pop(0) if self.behaviors else "completed"
        run = self.start(key, behavior, json.loads(request.body).get("model", "m"))
        response = answer(201, {"run_id": run.run_id, "type": "generation", "charged_cost": 0.1})
        self._keys[key] = (self.now, request.body, response, run.run_id)
        return response

    def _repeat(self, stored, run_id, *, same):
        if self.mode == "duplicate_409":
            return refusal(409, "idempotency_duplicate")
        if self.mode == "current_state":
            return answer(200, self.runs[run_id].row(self.now))
        if not same:
            return refusal(422, "idempotency_conflict")
        return Response(stored.status, {**stored.headers, "idempotent-replayed": "true"}, stored.body)


def answer(status, payload):
    return Response(status, {}, json.dumps(payload).encode())


def refusal(status, code):
    return answer(status, {"error": {"code": code, "message": f"{code}."}})


class Memory:
    """A durable ledger, which outlives the task; what it is given goes through JSON, as in Airflow's store."""

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
    """No ledger: Airflow before 3.3."""

    durable = False

    def read(self):
        return []

    def write(self, slot, record):
        pass

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
        options: of Submit and its context.

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
        self.candidates = options.pop("candidates", calls.list_generations(**SCOPE))
        self.options = options
        self.ledger = Memory(self.boundary) if ledger else NoLedger()
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
            call=calls.generate(type="image", prompt=self.prompt, model=self.model, **SCOPE),
            connection=self.connection,
            template=self.template,
            candidates=self.candidates,
            search_for={"model_id": self.model} if self.model else {},
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

    def run(self, *, kill_at=None):
        """One try of one request, see `execute`."""
        self.tries += 1
        return self.execute(kill_at=kill_at)

    def execute(self, *, kill_at=None):
        """One request of the try: the Submission, or its error; ProcessKilled at step n, if reached."""
        self.boundaries, self._kill_at = [], kill_at
        try:
            return self._execute()
        except ProcessKilled:
            raise
        except FloraError as error:
            self._kill_at = None
            self.ledger.release(self.attempt, started_nothing=error.started_nothing)
            raise

    def _execute(self):
        own = {"on_changed": "fail", "renders_differently": lambda: False, "claimed": frozenset, **self.options}
        options = SubmitOptions(
            intent=self.intent,
            attempt=self.attempt,
            durable=self.ledger.durable,
            earliest=self.began,
            on_unknown=own.get("on_unknown", "fail"),
            on_changed=own["on_changed"],
        )
        submitter = RunSubmitter(request=self.request, options=options)
        handlers = {
            ReadLedger: lambda _: self.ledger.read(),
            WriteLedger: lambda effect: self.ledger.write(effect.slot, effect.record),
            ReadClaimedRuns: lambda _: own["claimed"](),
            RenderAgain: lambda _: own["renders_differently"](),
        }
        context = FlowContext(self.policy, lambda: self.flora.now, lambda: 0.5)
        flow = with_handlers(submitter.flow(context), handlers)
        try:
            effect = next(flow)
            while True:
                effect = self._obey(flow, effect)
        except StopIteration as stop:
            return stop.value

    def _obey(self, flow, effect):
        if isinstance(effect, Sleep):
            self.boundary("before a sleep")
            self.flora.now += effect.seconds
            return flow.send(None)
        self.boundary(f"before {effect.request}")
        if effect.request.method == "POST":
            self.keys.append(dict(effect.request.headers)["Idempotency-Key"])
        try:
            response = self.flora.handle(effect.request)
        except FloraConnectionError as failure:
            self.boundary(f"after {effect.request}")
            return flow.throw(failure)
        self.boundary(f"after {effect.request}")
        return flow.send(response)


def answer_lost(task):
    """A try whose run was started, but FLORA's answer never came."""
    _try_that_breaks(task, "lost")


def request_lost(task):
    """A try whose POST never reached FLORA."""
    _try_that_breaks(task, "broken")


def _try_that_breaks(task, how):
    task.flora.outages = [how]
    with pytest.raises(FloraConnectionError):
        task.run()
