"""What a way of polling costs and how late it is, in virtual time, before anybody runs it.

    python -m tests.support.polling_simulator [--interval SECONDS] [--max-interval SECONDS] [--runs N] [--seed N]

prints requests per run and how late the end is noticed, for run times, estimates and progress of many kinds. Nothing is
random but the seed.
"""

import argparse
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from statistics import fmean, median

from flora_provider.api.http.flow import FlowContext, Sleep
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.runs.poll_policy import PollPolicy
from flora_provider.runs.poller import RunPoller
from flora_provider.runs.polling import poll_until_done
from flora_provider.runs.ref import RunRef
from tests.support.fake_flora import OUTPUT, QUEUED_SHARE
from tests.support.flows import BEGIN, run_flow
from tests.support.responses import response

LONGEST = 100_000.0  # seconds of a wait
UPTIME = 1234.5  # seconds that the clock shows that nobody sets, when a wait begins
LATENCY = 0.03  # seconds from a request to its answer

# How long runs take, in seconds.
TIMES: dict[str, Callable[[random.Random], float]] = {
    "20-60 s": lambda rng: rng.uniform(20, 60),
    "30 s": lambda _: 30.0,
    "1-3 s": lambda rng: rng.uniform(1, 3),
    "lognormal": lambda rng: rng.lognormvariate(3.4, 0.6),  # half of them below 30 s, one in twenty above 80 s
    "10 or 110 s": lambda rng: rng.choice((10.0, 110.0)) * rng.uniform(0.9, 1.1),
    "video": lambda rng: rng.uniform(60, 360),
    "technique": lambda rng: rng.uniform(600, 900),
}
# What FLORA estimates beforehand.
ESTIMATES: dict[str, Callable[[random.Random, float], float | None]] = {
    "right": lambda rng, seconds: round(seconds / rng.uniform(0.7, 1.3)),
    "x 3": lambda _, seconds: round(seconds * 3),
    "/ 3": lambda _, seconds: round(seconds / 3),
    "none": lambda *_: None,
}
# What it shows of the way that is done.
PROGRESS: dict[str, Callable[[float], float]] = {
    "steps of 10": lambda share: int(share * 10) * 10,
    "none": lambda _: 0,
    "stuck at 100": lambda share: 100 if share > 0.5 else int(share * 20) * 10,
    "stuck at 90": lambda share: min(int(share * 20) * 10, 90),
    "slow, then fast": lambda share: int(share**2 * 10) * 10,
}


@dataclass(frozen=True)
class Figures:
    """Of many runs: requests for each, and how many seconds after its end it was noticed."""

    requests: list[int]
    lags: list[float]

    @property
    def requests_per_run(self):
        return fmean(self.requests)

    @property
    def median_lag(self):
        return median(self.lags)

    @property
    def p95_lag(self):
        return sorted(self.lags)[int(len(self.lags) * 0.95)]


class PollRecorder:
    """Answers the polls of one run, over a clock that only sleeps and answers move.

    Args:
        answer: makes the answer, which may be an exception, of the seconds since the start.

    Attributes:
        times: when each request was sent, in seconds since the start.
    """

    def __init__(self, answer):
        self.now = BEGIN
        self.times = []
        self._answer = answer

    def run(self, flow):
        return run_flow(flow, self._execute)

    def _execute(self, effect):
        if isinstance(effect, Sleep):
            self.now += effect.seconds
            return None
        self.times.append(self.now - BEGIN)
        assert self.times[-1] < LONGEST, "this wait does not end"
        answer = self._answer(self.times[-1] + LATENCY / 2)
        self.now += LATENCY
        return answer


@cache
def run_response(status, progress=0, **members):
    """The response to a poll of a run with this status."""
    outputs = {"outputs": [OUTPUT]} if status == "completed" else {}
    row = {"run_id": "run_1", "status": status, "progress": progress, "created_at": BEGIN * 1000, **outputs, **members}
    return response(200, row)


RUNNING = run_response("running", 10)
DONE = run_response("completed", 100)


def poll(answer, *, policy=None, random=lambda: 0.5, run_id="run_1", offset=lambda _: 0.0, **known):
    """How a wait ends that began with the run, and the recorder of its polls; `deadline` in seconds from then.

    `offset` gives by how many seconds the wall clock is ahead of the truth, so many seconds after the start.
    """
    recorder = PollRecorder(answer)
    if known.get("deadline") is not None:
        known["deadline"] += BEGIN
    now = BEGIN + offset(0.0)
    poller = RunPoller(RunRef(run_id), policy=policy or PollPolicy(), now=now, **{"started_at": BEGIN, **known})
    context = FlowContext(
        RetryPolicy(),
        lambda: recorder.now + offset(recorder.now - BEGIN),
        random,
        lambda: recorder.now - BEGIN + UPTIME,
    )
    return recorder.run(poll_until_done(poller, context)), recorder


def script(*responses, then=RUNNING):
    """One response after the other, whenever one is asked for; `then` the same for ever."""
    left = list(responses)
    return lambda _: left.pop(0) if left else then


def until(seconds, before, after=DONE):
    return lambda at: before if at < seconds else after


def simulate(policy=None, *, times="20-60 s", estimate="right", progress="steps of 10", runs=60, seed=7):
    """Poll that many runs of a kind, one by one."""
    rng = random.Random(seed)  # noqa: S311 - the same numbers for the same seed
    requests, lags = [], []
    for _ in range(runs):
        seconds = TIMES[times](rng)

        def answer(at, seconds=seconds):
            if at >= seconds:
                return DONE
            queued = seconds * QUEUED_SHARE
            if at < queued:
                return run_response("pending")
            percent = PROGRESS[progress]((at - queued) / (seconds - queued))
            return run_response("running", percent, started_at=(BEGIN + queued) * 1000)

        estimated = ESTIMATES[estimate](rng, seconds)
        _, recorder = poll(answer, policy=policy, random=rng.random, estimated_seconds=estimated)
        requests.append(len(recorder.times))
        lags.append(recorder.now - BEGIN - seconds)
    return Figures(requests, lags)


def main():
    parser = argparse.ArgumentParser(description="Requests per run and seconds of lag, for a way of polling.")
    parser.add_argument("--interval", type=float, default=PollPolicy().interval, help="least seconds between two polls")
    parser.add_argument(
        "--max-interval", type=float, default=PollPolicy().max_interval, help="most seconds between two polls"
    )
    parser.add_argument("--runs", type=int, default=300, help="of each kind")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    policy = PollPolicy(interval=options.interval, max_interval=options.max_interval)
    print(f"{'run time':<14}{'estimate':<10}{'progress':<18}{'requests':>9}{'lag p50':>9}{'p95':>7}{'max':>7}")  # noqa: T201
    for times, estimate, progress in product(TIMES, ESTIMATES, PROGRESS):
        kind = {"times": times, "estimate": estimate, "progress": progress}
        found = simulate(policy, **kind, runs=options.runs, seed=options.seed)
        numbers = f"{found.requests_per_run:9.1f}{found.median_lag:9.1f}{found.p95_lag:7.1f}{max(found.lags):7.1f}"
        print(f"{times:<14}{estimate:<10}{progress:<18}{numbers}")  # noqa: T201


if __name__ == "__main__":
    main()
