"""A scheduler of polls and FLORA in virtual time: an hour of a thousand waits takes a second; only a seed is random.

`Simulation` runs the flows of a `PollScheduler` concurrently, as the shared poller does: one round after
the other, single polls beside it, and a throttle that all requests share.
"""

import heapq
import itertools
import json
import random
from collections import Counter
from operator import itemgetter

from flora_provider.api.errors import FloraConnectionError, FloraTimeoutError
from flora_provider.api.http.flow import FlowContext, Response, Sleep
from flora_provider.api.http.throttle import Throttle
from flora_provider.runs.poll_policy import ONE_TRY, PollPolicy
from flora_provider.runs.poller import RunPoller
from flora_provider.runs.ref import RunRef
from flora_provider.runs.scheduler import PollScheduler
from flora_provider.runs.subscription import Subscription
from tests.support.fake_flora import PAGES, FakeFlora, Fault
from tests.support.flows import BEGIN, Returned, advance
from tests.support.responses import response

LATENCY = 0.03
MAX_CONCURRENT_POLLS = 6  # as in the shared poller
DAY = 86_400.0


def on_pages(path):
    return path in PAGES


def on_single_polls(path):
    return path not in PAGES


# Which requests an outage hits.
HITS = {"pages": on_pages, "single polls": on_single_polls, "all": lambda _path: True}
# What FLORA, or what stands before it, may answer instead.
OUTAGES = {
    "503": Response(503),
    "a proxy's page": Response(502, {"content-type": "text/html"}, b"<html>"),
    "HTML with 200": Response(200, {"content-type": "text/html"}, b"<html>"),
    "resets": FloraConnectionError("broke"),
    "time-outs": FloraTimeoutError("late"),
    "429": Response(429, {"retry-after": "2"}),
}


def without_row(answer, run_id):
    """A page without the row of one run; None if it is no page."""
    page = json.loads(answer.body or b"null") if answer.status == 200 else None
    if not isinstance(page, dict) or "meta" not in page:
        return None
    return response(200, {name: [row for row in rows if row["run_id"] != run_id] if isinstance(rows, list) else rows
                          for name, rows in page.items()})  # fmt: skip


class Timeline:
    """What is to happen when, in all simulated processes."""

    def __init__(self):
        self.agenda = []
        self.processes = []
        self._numbers = itertools.count()

    def add(self, at, action):
        heapq.heappush(self.agenda, (at, next(self._numbers), action))


class Simulation:
    """FLORA, a scheduler of polls, and time.

    Args:
        seed: of all random numbers.
        limit: requests per second that FLORA answers.
        requests_per_second: the most that the process sends.
        flora: another FLORA than one without runs.
        beside: another process, which polls the same FLORA at the same time.

    Attributes:
        reported: for each run, the events that its waits ended with, and when.
        record: when each request of this process was sent, its path, and the answer.
        refusals: how often FLORA's refusal to show a run was reported, by run id.
    """

    def __init__(self, *, seed=0, limit=None, requests_per_second=None, flora=None, beside=None):
        self.flora = beside.flora if beside else flora or FakeFlora(limit=limit)
        number = random.Random(seed).random  # noqa: S311 - the same numbers for the same seed
        self.scheduler = PollScheduler(FlowContext(ONE_TRY, lambda: self.now, number))
        self.reported = {}
        self.refusals = Counter()
        self.record = []
        self.timeline = beside.timeline if beside else Timeline()
        self.timeline.processes.append(self)
        self._throttle = Throttle(requests_per_second)
        self._unfinished = 0  # flows that the next round waits for
        self._queue, self._polling = [], 0

    @property
    def now(self):
        return self.flora.now

    @now.setter
    def now(self, value):
        self.flora.now = value

    # What a test does

    def start(self, count=1, *, seconds=30.0, history="/generations", estimated="right"):
        """Runs that somebody starts now."""
        estimate = seconds if estimated == "right" else estimated
        return [self.flora.start(seconds, history=history, estimated=estimate) for _ in range(count)]

    def wait(self, *runs, deadline=None, interval=5.0):
        """Wait for them; `deadline` in seconds from now."""
        return [self._wait(run, deadline, interval) for run in runs]

    def _wait(self, run, deadline, interval):
        poller = RunPoller(
            RunRef(run.run_id),
            policy=PollPolicy(interval=interval),
            now=self.now,
            deadline=None if deadline is None else self.now + deadline,
            started_at=run.started,
            estimated_seconds=run.estimated,
        )
        subscription = Subscription(
            poller,
            on_end=lambda event: self.reported.setdefault(run.run_id, []).append((self.now, event)),
            on_refused=lambda: self.refusals.update([run.run_id]),
        )
        self.scheduler.add(subscription)
        return subscription

    def after(self, seconds, action):
        self.timeline.add(self.now + seconds, action)

    def run(self, seconds=None):
        """Let so many seconds pass; None: until nobody waits any more, but no more than a day."""
        until = self.now + (DAY if seconds is None else seconds)
        agenda, processes = self.timeline.agenda, self.timeline.processes
        while agenda or any(len(process.scheduler) for process in processes):
            round_at, process = min(((process.round_at(), process) for process in processes), key=itemgetter(0))
            at = min(round_at, agenda[0][0] if agenda else float("inf"))
            if at > until:
                break
            self.now = at
            if agenda and agenda[0][0] <= at:
                heapq.heappop(agenda)[-1]()
            else:
                process.start_round()
        if seconds is not None:
            self.now = until

    def round_at(self):
        is_busy = self._unfinished or self._queue
        return float("inf") if is_busy else max(self.scheduler.next_round, self.now)

    def start_round(self):
        self._run_flow(self.scheduler.round(), self._start_polls)

    def inject(self, replace, **where):
        """Answer this instead (see `Fault`): always the same, or what a function makes of the true answer."""
        self.flora.faults.append(Fault(replace if callable(replace) else lambda _: replace, **where))

    @property
    def events(self):
        return [event for reported in self.reported.values() for _, event in reported]

    @property
    def kinds(self):
        return {event.kind for event in self.events}

    @property
    def lags(self):
        """Seconds from the end of each run until it was reported."""
        return [at - self.flora.runs[run_id].ends for run_id, reported in self.reported.items() for at, _ in reported]

    @property
    def ended(self):
        """The runs that were waited for until they ended, and reported once."""
        return [
            run_id for run_id, reported in self.reported.items() if [event.kind for _, event in reported] == ["ended"]
        ]

    def asked(self, since=0.0):
        """The paths of all requests from an instant on."""
        return [path for at, path, _ in self.flora.record if at >= since]

    @property
    def paged_at(self):
        """When pages were asked for, in seconds from the beginning."""
        return [at - BEGIN for at, path, _ in self.flora.record if path in PAGES]

    @property
    def asked_singly(self):
        return [path for path in self.asked() if path not in PAGES]

    def asked_too_early(self):
        """Requests that came while a 429 that had arrived before asked for silence."""
        early, quiet = [], []
        for at, path, answer in self.record:
            early += [(at, path) for arrived, until in quiet if arrived < at < until]
            if isinstance(answer, Response) and answer.status == 429:
                quiet.append((at + LATENCY, at + LATENCY + float(answer.headers["retry-after"])))
        return early

    # What the shared poller does

    def _start_polls(self, refs):
        self._queue += refs
        while self._queue and self._polling < MAX_CONCURRENT_POLLS:
            self._polling += 1
            self._run_flow(self.scheduler.poll(self._queue.pop(0)), self._polled, is_poll=True)

    def _polled(self, _value):
        self._polling -= 1
        self._start_polls([])

    # What the client does

    def _run_flow(self, flow, then, *, is_poll=False):
        self._unfinished += not is_poll

        def resume(result=None):
            effect = advance(flow, result)
            if isinstance(effect, Returned):
                self._unfinished -= not is_poll
                then(effect.value)
            elif isinstance(effect, Sleep):
                self.after(effect.seconds, resume)
            else:
                self._send(effect.request, resume)

        resume()

    def _send(self, request, resume):
        if (pause := self._throttle.wait(self.now)) > 0:
            self.after(pause, lambda: self._send(request, resume))
            return
        sent, answer = self.now, self.flora.handle(request)
        self.record.append((sent, request.url, answer))

        def arrive():
            if isinstance(answer, Response):
                asked = answer.retry_after(self.now)
                self._throttle.answered(answer.status, retry_after=asked, sent=sent, now=self.now)
            resume(answer)

        self.after(LATENCY, arrive)
