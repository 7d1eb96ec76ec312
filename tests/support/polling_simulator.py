"""What a way of polling costs and how late it is, in virtual time, before anybody runs it.

    python -m tests.support.polling_simulator [--interval SECONDS] [--slowest SECONDS] [--runs N] [--seed N]

prints requests per run and how late the end is noticed, for run times, estimates and progress of many kinds. Nothing is
random but the seed.
"""

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import fmean, median

from flora_provider.api.http.context import FlowContext
from flora_provider.api.http.flow import Response, Sleep
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.runs.poll_policy import PollPolicy
from flora_provider.runs.poller import RunPoller
from flora_provider.runs.polling import poll_until_done
from flora_provider.runs.ref import RunRef

BEGIN = 1_750_000_000.0
LONGEST = 100_000.0  # seconds of a wait
UPTIME = 1234.5  # seconds that the clock shows that nobody sets, when a wait begins
LATENCY = 0.03  # seconds from a request to its answer

# How long runs take, in seconds.
TIMES: dict[str, Callable[[random.Random], float]] = {
    "20-60 s": lambda dice: dice.uniform(20, 60),
    "30 s": lambda _: 30.0,
    "1-3 s": lambda dice: dice.uniform(1, 3),
    "lognormal": lambda dice: dice.lognormvariate(3.4, 0.6),  # half of them below 30 s, one in twenty above 80 s
    "10 or 110 s": lambda dice: dice.choice((10.0, 110.0)) * dice.uniform(0.9, 1.1),
    "video": lambda dice: dice.uniform(60, 360),
    "technique": lambda dice: dice.uniform(600, 900),
}
# What FLORA estimates beforehand.
ESTIMATES: dict[str, Callable[[random.Random, float], float | None]] = {
    "right": lambda dice, seconds: round(seconds / dice.uniform(0.7, 1.3)),
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


class Stage:
    """One run, and a clock that only sleeps and answers move.

    Attributes:
        asked_at: when each request was sent, in seconds since the start.
    """

    def __init__(self, answer):
        self.now = BEGIN
        self.asked_at = []
        self._answer = answer

    def clock(self):
        return self.now

    def play(self, flow):
        """Obey a plan; the answer is made of the seconds since the start, and may be an exception."""
        try:
            effect = next(flow)
            while True:
                if isinstance(effect, Sleep):
                    self.now += effect.seconds
                    effect = flow.send(None)
                    continue
                self.asked_at.append(self.now - BEGIN)
                assert self.asked_at[-1] < LONGEST, "this wait does not end"
                answer = self._answer(self.now - BEGIN + LATENCY / 2)
                self.now += LATENCY
                effect = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
        except StopIteration as stop:
            return stop.value


@cache
def shown(status, progress=0, **members):
    """What FLORA answers to a look."""
    output = {"output_id": "output_1", "type": "imageUrl", "url": "https://media.example/1.png"}
    outputs = {"outputs": [output]} if status == "completed" else {}
    row = {"run_id": "run_1", "status": status, "progress": progress, "created_at": BEGIN * 1000, **outputs, **members}
    return Response(200, {}, json.dumps(row).encode())


RUNNING = shown("running", 10)
DONE = shown("completed", 100)


def error(status, **headers):
    return Response(status, {name.replace("_", "-"): str(value) for name, value in headers.items()}, b"")


def follow(answer, *, policy=None, random=lambda: 0.5, run_id="run_1", ahead=lambda _: 0.0, **known):
    """How a wait ends that began with the run, and its stage; `deadline` in seconds from then.

    `ahead` tells by how many seconds the wall clock is ahead of the truth, so many seconds after the start.
    """
    stage = Stage(answer)
    if known.get("deadline") is not None:
        known["deadline"] += BEGIN
    now = BEGIN + ahead(0.0)
    wait = RunPoller(RunRef(run_id), policy=policy or PollPolicy(), now=now, **{"started_at": BEGIN, **known})
    context = FlowContext(
        RetryPolicy(), lambda: stage.now + ahead(stage.now - BEGIN), random, lambda: stage.now - BEGIN + UPTIME
    )
    event = stage.play(poll_until_done(wait, context))
    return event, stage


def script(*answers, then=RUNNING):
    """One answer after the other, whenever they are asked for."""
    left = list(answers)
    return lambda _: left.pop(0) if left else then


def until(seconds, before, after=DONE):
    return lambda at: before if at < seconds else after


def simulate(policy=None, *, times="20-60 s", estimate="right", progress="steps of 10", runs=60, seed=7):
    """Follow that many runs of a kind, one by one."""
    dice = random.Random(seed)  # noqa: S311 - the same dice for the same seed
    requests, lags = [], []
    for _ in range(runs):
        seconds = TIMES[times](dice)

        def answer(at, seconds=seconds):
            return DONE if at >= seconds else shown("running", PROGRESS[progress](at / seconds))

        estimated = ESTIMATES[estimate](dice, seconds)
        _, stage = follow(answer, policy=policy, random=dice.random, estimated_seconds=estimated)
        requests.append(len(stage.asked_at))
        lags.append(stage.now - BEGIN - seconds)
    return Figures(requests, lags)


def main():
    parser = argparse.ArgumentParser(description="Requests per run and seconds of lag, for a way of polling.")
    parser.add_argument("--interval", type=float, default=PollPolicy().interval, help="least seconds between two looks")
    parser.add_argument("--slowest", type=float, default=PollPolicy().slowest, help="most seconds between two looks")
    parser.add_argument("--runs", type=int, default=300, help="of each kind")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    policy = PollPolicy(interval=given.interval, slowest=given.slowest)
    print(f"{'run time':<14}{'estimate':<10}{'progress':<18}{'requests':>9}{'lag p50':>9}{'p95':>7}{'max':>7}")  # noqa: T201
    for times in TIMES:
        for estimate in ESTIMATES:
            for progress in PROGRESS:
                kind = {"times": times, "estimate": estimate, "progress": progress}
                found = simulate(policy, **kind, runs=given.runs, seed=given.seed)
                numbers = (
                    f"{found.requests_per_run:9.1f}{found.median_lag:9.1f}{found.p95_lag:7.1f}{max(found.lags):7.1f}"
                )
                print(f"{times:<14}{estimate:<10}{progress:<18}{numbers}")  # noqa: T201


if __name__ == "__main__":
    main()
