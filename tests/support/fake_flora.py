"""A FLORA of runs and keys in memory. No network, and no clock but its own."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from flora_provider.api.errors import FloraConnectionError, FloraError
from flora_provider.api.http.flow import Response
from tests.support.flows import BEGIN
from tests.support.responses import error_response, response

MODES = ("duplicate_409", "replay", "replay_failures", "current_state", "none")
KEY_WINDOW = 7200.0  # seconds for which FLORA remembers a key
RUN_SECONDS = 30.0
QUEUED_SHARE = 0.1  # of a run's time
SCOPE = {"workspace_id": "ws_1", "project_id": "prj_1"}
PAGES = {"/generations": "generation_id", "/technique-runs": "technique_run_id"}
OUTPUT = {"output_id": "output_1", "type": "imageUrl", "url": "https://media.example/1.png"}


@dataclass(frozen=True)
class VirtualRun:
    """A run that ends by itself.

    Attributes:
        behavior: "completed", or the error code with which it fails.
        history: the one that shows it, or "" for none.
        hidden_until: unix seconds from which on FLORA shows it.
    """

    run_id: str
    started: float
    seconds: float = RUN_SECONDS
    key: str = ""
    behavior: str = "completed"
    model: str = "m"
    history: str = "/generations"
    estimated: float | None = None
    hidden_until: float = 0.0

    @property
    def ends(self):
        return self.started + self.seconds

    @property
    def is_billed(self):
        return self.behavior == "completed"

    def row(self, now):
        row = {"run_id": self.run_id, "created_at": int(self.started * 1000), "progress": 0}
        runs_since = self.started + self.seconds * QUEUED_SHARE
        if now < runs_since:
            return row | {"status": "pending"}
        row["started_at"] = int(runs_since * 1000)
        if now < self.ends:
            share = (now - runs_since) / (self.ends - runs_since)
            return row | {"status": "running", "progress": int(share * 10) * 10}
        if self.behavior == "completed":
            return row | {"status": "completed", "progress": 100, "outputs": [OUTPUT]}
        return row | {"status": "failed", "progress": 100, "error_code": self.behavior}


@dataclass
class Fault:
    """What happens to requests for a while.

    Attributes:
        replace: takes the answer that would have been, and returns another one, an exception, or None to leave it.
        hits: whether it is about the requests of a path.
    """

    replace: Callable[[Response], Response | FloraError | None]
    hits: Callable[[str], bool] = lambda _path: True
    since: float = 0.0
    until: float = float("inf")
    times: float = float("inf")

    def answer(self, path, answer, now):
        """The answer to give instead; None to leave it."""
        if not (self.since <= now < self.until and self.times > 0 and self.hits(path)):
            return None
        replaced = self.replace(answer)
        self.times -= replaced is not None
        return replaced


@dataclass
class FakeFlora:
    """FLORA by one of the accounts of what a known key means.

    Attributes:
        behaviors: of the runs to come; those after them complete.
        outages: what happens to the requests to come: "" for nothing, "lost" (no answer to what was done), "broken"
            (nothing was done), "unreached" (the same, and it is known), or the status of an error; those after them
            meet none.
        faults: the same by path and time.
        page_size: of a history, at most.
        limit: requests per second.
        record: when each request came, its path, and the answer.
    """

    mode: str = "duplicate_409"
    behaviors: list = field(default_factory=list)
    outages: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    page_size: int = 100
    hidden_for: float = 0.0
    limit: float | None = None
    now: float = BEGIN
    runs: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)
    record: list = field(default_factory=list)
    _keys: dict = field(default_factory=dict)

    def __post_init__(self):
        self._tokens, self._refilled_at = self.limit or 0.0, self.now

    @property
    def posts(self):
        return [request for request in self.requests if request.method == "POST"]

    @property
    def polls(self):
        return [request.url for request in self.requests if request.url.startswith("/runs/")]

    @property
    def billed(self):
        return [run.run_id for run in self.runs.values() if run.is_billed]

    def start(self, seconds=RUN_SECONDS, **members):
        """A run that somebody starts now; `members` of VirtualRun."""
        run = VirtualRun(
            f"run_{len(self.runs) + 1}", self.now, seconds, hidden_until=self.now + self.hidden_for, **members
        )
        self.runs[run.run_id] = run
        return run

    def handle(self, request):
        """What FLORA answers; FloraConnectionError where no answer arrives."""
        self.requests.append(request)
        answer = self._refused() or self._answer(request)
        for fault in self.faults:
            if (replaced := fault.answer(request.url, answer, self.now)) is not None:
                answer = replaced
                break
        self.record.append((self.now, request.url, answer))
        return answer

    def _refused(self):
        if self.limit is None:
            return None
        self._tokens = min(self.limit, self._tokens + (self.now - self._refilled_at) * self.limit)
        self._refilled_at = self.now
        if self._tokens < 1:
            return response(429, retry_after=1)
        self._tokens -= 1
        return None

    def _answer(self, request):
        outage = self.outages.pop(0) if self.outages else ""
        if outage in ("broken", "unreached"):
            return FloraConnectionError("the connection broke", ambiguous=outage == "broken")
        answer = self._post(request, outage) if request.method == "POST" else self._get(request, outage)
        return FloraConnectionError("the answer was lost") if outage == "lost" else answer

    def _get(self, request, outage):
        if isinstance(outage, int):
            return error_response(outage, "trouble")
        if request.url in PAGES:
            return self._history(request.url, dict(request.query))
        run = self.runs.get(request.url.removeprefix("/runs/"))
        if run is None or self.now < run.hidden_until:
            return error_response(404, "not_found")
        return response(200, run.row(self.now))

    def _history(self, path, query):
        runs = [run for run in reversed(self.runs.values()) if run.history == path and self.now >= run.hidden_until]
        begin = int(query.get("cursor", "0"))
        end = begin + min(self.page_size, int(query["limit"]))
        rows = [
            {**run.row(self.now), PAGES[path]: run.run_id, **SCOPE, "model": {"model_id": run.model}}
            for run in runs[begin:end]
        ]
        meta = {"next_cursor": str(end) if end < len(runs) else None}
        return response(200, {path[1:].replace("-", "_"): rows, "meta": meta})

    def _post(self, request, outage):
        key = dict(request.headers)["Idempotency-Key"]
        at, body, stored, run_id = self._keys.get(key, (-KEY_WINDOW, b"", None, ""))
        is_known = self.mode != "none" and stored is not None and self.now - at < KEY_WINDOW
        if isinstance(outage, int):
            answer = error_response(outage, "trouble")
            if self.mode == "replay_failures" and not is_known:
                self._keys[key] = (self.now, request.body, answer, "")
            return answer
        if is_known:
            return self._repeat(stored, run_id, same=body == request.body)
        behavior = self.behaviors.pop(0) if self.behaviors else "completed"
        run = self.start(key=key, behavior=behavior, model=json.loads(request.body).get("model", "m"))
        answer = response(201, {"run_id": run.run_id, "type": "generation", "charged_cost": 0.1})
        self._keys[key] = (self.now, request.body, answer, run.run_id)
        return answer

    def _repeat(self, stored, run_id, *, same):
        if self.mode == "duplicate_409":
            return error_response(409, "idempotency_duplicate")
        if self.mode == "current_state":
            return response(200, self.runs[run_id].row(self.now))
        if not same:
            return error_response(422, "idempotency_conflict")
        return Response(stored.status, {**stored.headers, "idempotent-replayed": "true"}, stored.body)
