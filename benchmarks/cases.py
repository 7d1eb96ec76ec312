"""What is measured: how many waits, of whom, and how."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.processes import started

Side = Literal["ours", "HttpEventTrigger"]
DEFAULT_INTERVAL = 3.0  # seconds; that of our operators and sensors
# Seconds between two polls of `HttpEventTrigger`, whose median lag is somewhat more than half of it: as late as ours.
SAME_LAG_INTERVAL = 1.0
# The longest that FLORA advises: ten thousand waits of `HttpEventTrigger` cannot poll as often as any interval says.
LONGEST_INTERVAL = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Waits that run at once, on one event loop.

    Attributes:
        count: how many.
        side: whose trigger.
        interval: its `poll_interval`, in seconds.
        watchers: in how many groups, on connections of their own, that know nothing of each other.
        limit: requests per second that FLORA answers; None for any number.
        seconds: between which two durations all runs lie.
        idle: seconds for which nothing happens first, to know what the meter costs.
    """

    count: int
    side: Side = "ours"
    interval: float = DEFAULT_INTERVAL
    watchers: int = 1
    limit: float | None = None
    seconds: tuple[float, float] = (20.0, 60.0)
    idle: float = 5.0

    def measure(self) -> dict[str, Any]:
        """Start server and waits, each in a process of its own, and return what both have measured."""
        with started("benchmarks.server") as flora, started("benchmarks.waiting") as waits:
            card = flora.heard()
            job = {"side": self.side, "interval": self.interval, "watchers": self.watchers, "idle": self.idle}
            waits.ask(json.dumps(card | job))
            runs = flora.ask(f"start {self.count} {self.seconds[0]} {self.seconds[1]}")
            if self.limit is not None:
                flora.ask(f"limit {self.limit}")
            return {"count": self.count, **waits.ask(json.dumps(runs)), **flora.ask("report")}


ALONE = {
    # Two hundred samples of each in one go: they share nothing but the loop.
    "1 wait": Case(count=200, watchers=200),
    "10 waits": Case(count=200, watchers=20),
}
PEER_INTERVALS = {100: SAME_LAG_INTERVAL, 1_000: SAME_LAG_INTERVAL, 10_000: LONGEST_INTERVAL}
SIDE_BY_SIDE: dict[int, dict[str, Case]] = {
    count: {
        "ours": Case(count=count),
        "HttpEventTrigger": Case(count=count, side="HttpEventTrigger", interval=interval),
    }
    for count, interval in PEER_INTERVALS.items()
}
OURS_ALONE = {"5000 ours": Case(count=5_000)}
LIMITED = Case(count=10_000, limit=5.0)
