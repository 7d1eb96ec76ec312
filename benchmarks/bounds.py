"""What must hold, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MEDIAN, P95, P99 = 0, 1, 1  # the first two of a wait's lag, the last of the loop's lag


@dataclass(frozen=True, slots=True)
class Bound:
    """A promise, what was measured, and the most that it may be."""

    promise: str
    measured: float
    most: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether it was kept."""
        return self.measured <= self.most


def bounds(results: dict[str, Any]) -> Iterator[Bound]:
    """All that can be told from what was measured."""
    for name in ("1 wait", "10 waits"):
        if alone := results.get(name):
            yield Bound(f"{name}: requests per run", alone["requests"] / alone["count"], 5)
            yield Bound(f"{name}: median lag", alone["lag"][MEDIAN], 1.2, " s")
    if (ours := results.get("1000 ours")) and (peer := results.get("1000 HttpEventTrigger")):
        yield Bound("1,000 waits: requests per run", ours["requests"] / ours["count"], 0.5)
        yield Bound("1,000 waits: connections", ours["connections"], 10)
        yield Bound("1,000 waits: median lag", ours["lag"][MEDIAN], 1, " s")
        yield Bound("1,000 waits: lag p95", ours["lag"][P95], 2.5, " s")
        yield Bound("1,000 waits: loop lag p99", ours["loop_lag"][P99], 20, " ms")
        yield Bound("1,000 waits: CPU over that of HttpEventTrigger as late", ours["cpu"] / peer["cpu"], 0.1)
        yield Bound("1,000 waits: memory per run", ours["memory"] / ours["count"] / 1000, 10, " KB")
    if polls := results.get("load", {}).get("poll"):
        yield Bound("the sandbox: time for a poll", 1e6 / polls["per_second"], 200, " us")
    if sandbox := results.get("sandbox"):
        yield Bound("the sandbox: memory of 100,000 runs", sandbox["memory"] / 1e9, 1, " GB")
        yield Bound("the sandbox: a page of 100,000 runs over one of 100", sandbox["many"] / sandbox["few"], 1.2)
        yield Bound("the sandbox: their last page over the first", sandbox["oldest"] / sandbox["many"], 1.2)
    for count in (5_000, 10_000):
        if ours := results.get(f"{count} ours"):
            yield Bound(f"{count:,} waits: not noticed", ours["count"] - ours["noticed"], 0)
            yield Bound(f"{count:,} waits: loop lag p99", ours["loop_lag"][P99], 20, " ms")
            yield Bound(f"{count:,} waits: answers 429", ours["refused"], 0)
    if (ours := results.get("10000 ours")) and (limited := results.get("10000 limited")):
        yield Bound("10,000 waits at 5 requests/s: not noticed", limited["count"] - limited["noticed"], 0)
        yield Bound("10,000 waits at 5 requests/s: requests before Retry-After allows", limited["too_early"], 0)
        yield Bound("10,000 waits at 5 requests/s: requests over those without a limit",
                    limited["requests"] / ours["requests"], 1.2)  # fmt: skip
    yield from batch_bounds(results)


def batch_bounds(results: dict[str, Any]) -> Iterator[Bound]:
    """Those of many prompts in one task."""
    if rows := results.get("10000 rows"):
        worker = max(rows[step]["memory"] for step in ("plan", "save"))
        kept = max(rows[step]["kept"] for step in ("plan", "run", "save"))
        yield Bound("a batch of 10,000 rows: not completed", rows["count"] - rows["summary"]["completed"], 0)
        yield Bound("a batch of 10,000 rows: memory of the triggerer", rows["run"]["memory"] / 1e6, 100, " MB")
        yield Bound("a batch of 10,000 rows: memory of a worker", worker / 1e6, 100, " MB")
        yield Bound("a batch of 10,000 rows: CPU of a turn of the loop p99", rows["run"]["held"][P99], 20, " ms")
        yield Bound("a batch of 10,000 rows: longest XCom", kept / 1000, 10, " KB")
    ways = results.get("500 prompts", {}).get("ways", {})
    if (mine := ways.get("batch")) and (pair := ways.get("mapped_pair")):
        yield Bound("500 prompts: CPU of a batch over that of a mapped pair", mine["cpu"] / pair["cpu"], 0.05)
