"""A workspace with a long history, and several triggerers that poll it, in virtual time.

    python -m tests.support.large_workspace [--waits N] [--triggerers N] [--limit N] [--history N]

prints how late the ends of runs are noticed, and for how many requests. Nothing is random but the seed.
"""

import argparse
import logging
import random
from dataclasses import dataclass, field

from tests.support.fake_flora import FakeFlora
from tests.support.polling_simulation import Simulation
from tests.support.responses import response


@dataclass
class LargeFlora(FakeFlora):
    """A FLORA with runs of others, older than all that are started, which it makes when a page shows them."""

    older: int = 0
    _newest_first: list = field(default_factory=list)

    def _history(self, path, query):
        if len(self._newest_first) != len(self.runs):
            self._newest_first = list(reversed(self.runs.values()))
        begin = int(query.get("cursor", "0"))
        end, mine = begin + int(query["limit"]), len(self._newest_first)
        rows = [run.row(self.now) for run in self._newest_first[begin:end]] if path == "/generations" else []
        total = mine + self.older if path == "/generations" else 0
        rows += [
            {"run_id": f"run_old_{number}", "status": "completed", "progress": 100}
            for number in range(max(begin, mine), min(end, total))
        ]
        meta = {"next_cursor": str(end) if end < total else None}
        return response(200, {path[1:].replace("-", "_"): rows, "meta": meta})


def triggerers_after(*, waits, triggerers, limit, history):
    """Simulated triggerers, after as many waits that began at once, and were spread over them, have ended.

    Args:
        waits: how many, for runs of 20 to 60 s whose estimates are right within 30 %.
        triggerers: how many, of which none knows of the others.
        limit: requests per second that FLORA answers, all of them together.
        history: rows of the workspace's history.
    """
    flora, rng = LargeFlora(limit=limit, older=history - waits), random.Random(16)  # noqa: S311 - the same numbers each time
    processes = [Simulation(seed=0, flora=flora)]
    processes += [Simulation(seed=number, beside=processes[0]) for number in range(1, triggerers)]
    for _ in range(waits):
        seconds = rng.uniform(20, 60)
        estimated = round(seconds * rng.uniform(0.7, 1.3))
        rng.choice(processes).wait(flora.start(seconds, estimated=estimated), interval=3.0)
    processes[0].run()
    return processes


def lags_of(processes):
    """All lags in seconds, the shortest first."""
    return sorted(lag for process in processes for lag in process.lags)


def main():
    parser = argparse.ArgumentParser(description="Lags and requests of many waits over several triggerers.")
    parser.add_argument("--waits", type=int, default=100_000)
    parser.add_argument("--triggerers", type=int, default=4)
    parser.add_argument("--limit", type=float, default=5.0, help="requests per second that FLORA answers")
    parser.add_argument("--history", type=int, default=1_000_000, help="rows of the workspace's history")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # each 429 of each run
    processes = triggerers_after(**vars(options))
    lags, requests = lags_of(processes), len(processes[0].flora.record)
    ended = sum(len(process.ended) for process in processes)
    median, p95, most = (lags[int(len(lags) * share)] for share in (0.5, 0.95, 1 - 1e-9))
    text = f"{ended:,} of {options.waits:,} ends noticed; lag p50 / p95 / max {median:.0f} / {p95:.0f} / {most:.0f} s; "
    print(text + f"{requests:,} requests, {requests / options.waits:.3f} per run")  # noqa: T201


if __name__ == "__main__":
    main()
