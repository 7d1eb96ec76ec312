"""FLORA and a shared poller in virtual time: an hour of a thousand waits takes a second; only a seed is random.

`Simulation` runs the flows of a `PollScheduler` concurrently, as the shared poller does: one round after
the other, single polls beside it, and a throttle that all requests share.
"""

import heapq
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from flora_provider.api.errors import FloraConnectionError, FloraError, FloraTimeoutError
from flora_provider.api.http.context import FlowContext
from flora_provider.api.http.flow import Response, Sleep
from flora_provider.api.http.throttle import Throttle
from flora_provider.runs.poll_policy import ONE_TRY, PollPolicy
from flora_provider.runs.poller import RunPoller
from flora_provider.runs.ref import RunRef
from flora_provider.runs.scheduler import PollScheduler, Subscription

LATENCY = 0.03
AT_ONCE = 6  # looks on their way, as in the watcher
BEGIN = 1_750_000_000.0
DAY = 86_400.0
PAGES = ("/generations", "/technique-runs")


@dataclass(frozen=True)
class VirtualRun:
    run_id: str
    started: float
    seconds: float
    listed: str  # the history that shows it, or "" for none
    estimated: float | None

    @property
    def ends(self):
        return self.started + self.seconds

    def row(self, now):
        share = min((now - self.started) / max(self.seconds, 1e-9), 1.0)
        row = {"run_id": self.run_id, "status": "running", "progress": int(share * 10) * 10, "created_at": self.started}
        if now >= self.ends:
            output = {"output_id": "o_1", "type": "imageUrl", "url": "https://media.example/1.png"}
            row |= {"status": "completed", "progress": 100, "outputs": [output]}
        return row


@dataclass
class Trouble:
    """What happens to requests for a while.

    `instead` takes the answer that would have been, and returns another one, an exception, or None to leave it.
    """

    instead: Callable[[Response], Response | FloraError | None]
    hits: Callable[[str], bool] = lambda _path: True
    since: float = 0.0
    until: float = float("inf")
    times: float = float("inf")


@dataclass
class Flora:
    """Answers at an instant. `record` has for each request when it came, its path, and the answer."""

    limit: float | None = None  # requests per second
    runs: dict[str, VirtualRun] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    record: list[tuple[float, str, Response | FloraError]] = field(default_factory=list)

    def __post_init__(self):
        self._tokens, self._at = self.limit or 0.0, BEGIN

    def answer(self, request, now):
        answer = self._refused(now) or self._answer(request, now)
        for trouble in self.troubles:
            if trouble.since <= now < trouble.until and trouble.times > 0 and trouble.hits(request.url):
                instead = trouble.instead(answer)
                if instead is not None:
                    trouble.times -= 1
                    answer = instead
                    break
        self.record.append((now, request.url, answer))
        return answer

    def asked_too_early(self):
        """Requests that came while a 429 that had arrived before asked for silence."""
        early, quiet = [], []
        for at, path, answer in self.record:
            early += [(at, path) for arrived, until in quiet if arrived < at < until]
            if isinstance(answer, Response) and answer.status == 429:
                quiet.append((at + LATENCY, at + LATENCY + float(answer.headers["retry-after"])))
        return early

    def _refused(self, now):
        if self.limit is None:
            return None
        self._tokens = min(self.limit, self._tokens + (now - self._at) * self.limit)
        self._at = now
        if self._tokens < 1:
            return Response(429, {"retry-after": "1"})
        self._tokens -= 1
        return None

    def _answer(self, request, now):
        if request.url in PAGES:
            query = dict(request.query)
            start, size = int(query.get("cursor", 0)), int(query["limit"])
            listed = [run for run in reversed(self.runs.values()) if run.listed == request.url]
            more = str(start + size) if len(listed) > start + size else None
            member = request.url[1:].replace("-", "_")
            rows = [run.row(now) for run in listed[start : start + size]]
            return ok({member: rows, "meta": {"next_cursor": more}})
        run = self.runs.get(request.url.removeprefix("/runs/"))
        return Response(404) if run is None else ok(run.row(now))


def on_pages(path):
    return path in PAGES


def on_single_polls(path):
    return path not in PAGES


def on_all(_path):
    return True


# What FLORA, or what stands before it, may answer instead.
OUTAGES = {
    "503": Response(503),
    "a proxy's page": Response(502, {"content-type": "text/html"}, b"<html>"),
    "HTML with 200": Response(200, {"content-type": "text/html"}, b"<html>"),
    "resets": FloraConnectionError("broke"),
    "time-outs": FloraTimeoutError("late"),
    "429": Response(429, {"retry-after": "2"}),
}


def ok(payload):
    return Response(200, {}, json.dumps(payload).encode())


class Simulation:
    """A Flora, a Watch, and time.

    Attributes:
        told: for each run, the events that its waits ended with, and when.
        refusals: how often a wait was told that FLORA refuses to show its run, by run id.
    """

    def __init__(self, *, seed=0, limit=None, requests_per_second=None):
        self.now = BEGIN
        self.flora = Flora(limit)
        draw = random.Random(seed).random  # noqa: S311 - the same dice for the same seed
        self.watch = PollScheduler(FlowContext(ONE_TRY, lambda: self.now, draw))
        self.reported = {}
        self.refusals = Counter()
        self._numbers = itertools.count()
        self._agenda = []
        self._pacer = Throttle(requests_per_second)
        self._left = 0  # plans that are waited for before the next round
        self._queue, self._looking = [], 0

    # What a test does

    def start(self, count=1, *, seconds=30.0, listed="/generations", estimated="right"):
        """Runs that somebody starts now."""
        runs = []
        for _ in range(count):
            run_id = f"run_{len(self.flora.runs)}"
            estimate = seconds if estimated == "right" else estimated
            runs.append(VirtualRun(run_id, self.now, seconds, listed, estimate))
            self.flora.runs[run_id] = runs[-1]
        return runs

    def wait(self, *runs, deadline=None, interval=5.0):
        """Wait for them; `deadline` in seconds from now."""
        return [self._wait(run, deadline, interval) for run in runs]

    def _wait(self, run, deadline, interval):
        wait = RunPoller(
            RunRef(run.run_id),
            policy=PollPolicy(interval=interval),
            now=self.now,
            deadline=None if deadline is None else self.now + deadline,
            started_at=run.started,
            estimated_seconds=run.estimated,
        )
        watched = Subscription(
            wait,
            on_end=lambda event: self.reported.setdefault(run.run_id, []).append((self.now, event)),
            on_refused=lambda: self.refusals.update([run.run_id]),
        )
        self.watch.add(watched)
        return watched

    def after(self, seconds, act):
        heapq.heappush(self._agenda, (self.now + seconds, next(self._numbers), act))

    def run(self, seconds=None):
        """Let so many seconds pass; None: until nobody waits any more, but no more than a day."""
        until = self.now + (DAY if seconds is None else seconds)
        while len(self.watch) or self._agenda:
            round_at = max(self.watch.next_round, self.now) if not (self._left or self._queue) else float("inf")
            at = min(round_at, self._agenda[0][0] if self._agenda else float("inf"))
            if at > until:
                break
            self.now = at
            if self._agenda and self._agenda[0][0] <= at:
                heapq.heappop(self._agenda)[-1]()
            else:
                self._perform(self.watch.round(), self._hand_out)
        if seconds is not None:
            self.now = until

    def inject(self, instead, **where):
        """Answer this instead (see `Trouble`): always the same, or what a function makes of the true answer."""
        self.flora.troubles.append(Trouble(instead if callable(instead) else lambda _: instead, **where))

    @property
    def ended(self):
        """The runs that were waited for until they ended, each of whose waits was told once."""
        return [
            run_id for run_id, reported in self.reported.items() if [event.kind for _, event in reported] == ["ended"]
        ]

    def asked(self, since=0.0):
        """The paths of all requests from an instant on."""
        return [path for at, path, _ in self.flora.record if at >= since]

    # What the watcher does

    def _hand_out(self, run_ids):
        self._queue += run_ids
        while self._queue and self._looking < AT_ONCE:
            self._looking += 1
            self._perform(self.watch.poll(self._queue.pop(0)), self._looked, is_look=True)

    def _looked(self, _shown):
        self._looking -= 1
        self._hand_out([])

    # What the client does

    def _perform(self, flow, then, *, is_look=False):
        self._left += not is_look

        def step(resume, value):
            try:
                effect = resume(value)
            except StopIteration as end:
                self._left -= not is_look
                then(end.value)
            else:
                if isinstance(effect, Sleep):
                    self.after(effect.seconds, lambda: step(flow.send, None))
                else:
                    self._send(effect.request, flow, step)

        step(flow.send, None)

    def _send(self, request, flow, step):
        if (pause := self._pacer.wait(self.now)) > 0:
            self.after(pause, lambda: self._send(request, flow, step))
            return
        sent, answer = self.now, self.flora.answer(request, self.now)

        def arrived():
            if isinstance(answer, FloraConnectionError):
                step(flow.throw, answer)
                return
            asked = answer.retry_after(self.now)
            self._pacer.answered(answer.status, retry_after=asked, sent=sent, now=self.now)
            step(flow.send, answer)

        self.after(LATENCY, arrived)
