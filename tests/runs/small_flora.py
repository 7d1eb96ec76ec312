"""A FLORA of runs and keys in memory, and tasks that can be killed at any moment. No network, no clock, no Airflow."""

import json
from dataclasses import dataclass, field

import pytest

from flora_provider.api import calls
from flora_provider.api.errors import FloraConnectionError
from flora_provider.api.exchange import Tools
from flora_provider.api.plan import Response, Sleep
from flora_provider.api.retry import RetryPolicy
from flora_provider.runs.identity import Intent
from flora_provider.runs.submit import Record, Submit

MODES = ("duplicate_409", "replay", "replay_failures", "current_state", "none")
WINDOW = 7200.0  # seconds for which FLORA remembers a key
TAKES = 30.0  # seconds of a run
PLACE = {"workspace_id": "ws_1", "project_id": "prj_1"}


class Killed(BaseException):
    """SIGKILL: nothing of the task runs any more."""


@dataclass
class VirtualRun:
    run_id: str
    key: str
    created_at: float
    fate: str  # "completed", or the error code with which it fails
    hidden_until: float = 0.0

    def row(self, now):
        ended = now >= self.created_at + TAKES
        row = {"run_id": self.run_id, "created_at": int(self.created_at * 1000), "progress": 100 if ended else 0}
        if not ended:
            return row | {"status": "running"}
        if self.fate == "completed":
            output = {"output_id": "output_1", "type": "imageUrl", "url": "https://media.example/1.png"}
            return row | {"status": "completed", "outputs": [output]}
        return row | {"status": "failed", "error_code": self.fate}

    @property
    def is_billed(self):
        return self.fate == "completed"


@dataclass
class SmallFlora:
    """FLORA by one of the accounts of what a known key means.

    Attributes:
        fates: of the runs to come; those after them complete.
        weather: what happens to the requests to come: "" for nothing, "lost" (no answer to what was done), "broken"
            (nothing was done), or the status of an error; those after them meet none.
        page_size: of the history.
    """

    mode: str = "duplicate_409"
    fates: list = field(default_factory=list)
    weather: list = field(default_factory=list)
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
    def looks(self):
        return [request.target for request in self.requests if request.target.startswith("/runs/")]

    @property
    def billed(self):
        return [run.run_id for run in self.runs.values() if run.is_billed]

    def start(self, key="", fate="completed"):
        run = VirtualRun(f"run_{len(self.runs) + 1}", key, self.now, fate, self.now + self.hidden_for)
        self.runs[run.run_id] = run
        return run

    def handle(self, request):
        """What FLORA answers; raises FloraConnectionError where no answer arrives."""
        self.requests.append(request)
        weather = self.weather.pop(0) if self.weather else ""
        if weather == "broken":
            raise FloraConnectionError("the connection broke")
        response = self._post(request, weather) if request.method == "POST" else self._get(request, weather)
        if weather == "lost":
            raise FloraConnectionError("the answer was lost")
        return response

    def _get(self, request, weather):
        if isinstance(weather, int):
            return refusal(weather, "trouble")
        if request.target == "/generations":
            return self._history(dict(request.query))
        run = self.runs.get(request.target.removeprefix("/runs/"))
        if run is None or self.now < run.hidden_until:
            return refusal(404, "not_found")
        return answer(200, run.row(self.now))

    def _history(self, query):
        rows = [run for run in reversed(self.runs.values()) if self.now >= run.hidden_until]
        begin = int(query.get("cursor", "0"))
        end = begin + self.page_size
        places = {**PLACE, "model": {"model_id": "m"}}
        shown = [{**run.row(self.now), "generation_id": run.run_id, **places} for run in rows[begin:end]]
        return answer(200, {"generations": shown, "meta": {"next_cursor": str(end) if end < len(rows) else None}})

    def _post(self, request, weather):
        key = dict(request.headers)["Idempotency-Key"]
        at, body, stored, run_id = self._keys.get(key, (-WINDOW, b"", None, ""))
        is_known = self.mode != "none" and stored is not None and self.now - at < WINDOW
        if isinstance(weather, int):
            response = refusal(weather, "trouble")
            if self.mode == "replay_failures" and not is_known:
                self._keys[key] = (self.now, request.body, response, "")
            return response
        if is_known:
            return self._repeat(stored, run_id, same=body == request.body)
        run = self.start(key, self.fates.pop(0) if self.fates else "completed")
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
        self.stored = "null"
        self._boundary = boundary

    def read(self):
        return Record.load(json.loads(self.stored))

    def write(self, record):
        self._boundary("before a ledger write")
        self.stored = json.dumps(record.dump())
        self._boundary("after a ledger write")


class Oblivion:
    """No ledger: Airflow before 3.3."""

    durable = False

    def read(self):
        return None

    def write(self, record):
        pass


class Task:
    """One task instance over all its tries and clears.

    Args:
        flora: where it starts its run.
        task_id: of it; siblings have the same prompt.
        ledger: whether there is a durable one.
        options: of Submit.
    """

    def __init__(self, flora, task_id="fern", *, ledger=True, prompt="a fern", **options):
        self.flora = flora
        self.task_id = task_id
        self.prompt = prompt
        self.options = {"candidates": calls.list_generations(**PLACE), **options}
        self.ledger = Memory(self.boundary) if ledger else Oblivion()
        self.policy = RetryPolicy(max_retries=0)
        self.clears = 0
        self.tries = 0
        self.began = flora.now
        self.boundaries = []
        self._kill_at = None

    @property
    def intent(self):
        call = calls.generate(type="image", prompt=self.prompt, **PLACE)
        return Intent(
            dag_id="dag",
            task_id=self.task_id,
            run_id="manual__1",
            map_index=-1,
            dag_run_started=str(self.began),
            connection="flora_default",
            clears=self.clears,
            body=call.request().body,
        )

    @property
    def runs(self):
        """The runs that FLORA started for this task since it was last cleared."""
        mine = self.intent.key(1).removesuffix("1")
        return [run for run in self.flora.runs.values() if run.key.startswith(mine)]

    def boundary(self, name):
        """A moment at which the task may be killed."""
        self.boundaries.append(name)
        if self._kill_at is not None and len(self.boundaries) > self._kill_at:
            raise Killed(name)

    def clear(self):
        self.clears += 1

    def run(self, *, kill_at=None):
        """One try: the Submission, or what it raises; Killed at the n-th moment if it gets that far."""
        self.tries += 1
        self.boundaries, self._kill_at = [], kill_at
        submit = Submit(
            call=calls.generate(type="image", prompt=self.prompt, **PLACE),
            intent=self.intent,
            ledger=self.ledger,
            first_try=self.tries == 1,
            earliest=self.began,
            **self.options,
        )
        plan = submit.plan(Tools(self.policy, lambda: self.flora.now, lambda: 0.5))
        try:
            effect = next(plan)
            while True:
                effect = self._obey(plan, effect)
        except StopIteration as stop:
            return stop.value

    def _obey(self, plan, effect):
        if isinstance(effect, Sleep):
            self.boundary("before a sleep")
            self.flora.now += effect.seconds
            return plan.send(None)
        self.boundary(f"before {effect.request}")
        try:
            response = self.flora.handle(effect.request)
        except FloraConnectionError as failure:
            self.boundary(f"after {effect.request}")
            return plan.throw(failure)
        self.boundary(f"after {effect.request}")
        return plan.send(response)


def answer_lost(task):
    """A try whose run was started, but FLORA's answer never came."""
    _try_that_breaks(task, "lost")


def request_lost(task):
    """A try whose POST never reached FLORA."""
    _try_that_breaks(task, "broken")


def _try_that_breaks(task, how):
    task.flora.weather = [how]
    with pytest.raises(FloraConnectionError):
        task.run()
