"""The sandbox's time: the machine's, or one that is moved by hand."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds since 1970, with a hand that can be moved forward.

    What a run is doing is computed from this clock whenever somebody looks, so moving it is enough to finish a run,
    to let an idempotency key expire or to refill a rate limit. There are no background tasks to wait for.
    With `source=lambda: 1_750_000_000.0` it stands still until `advance`.
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._advanced = 0.0

    def now(self) -> float:
        """Return the sandbox's time in unix seconds."""
        return self._source() + self._advanced

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds` (>= 0; time does not run backwards, and neither does a run)."""
        if seconds < 0:
            raise ValueError(f"the clock moves forward only, not by {seconds} s")
        self._advanced += seconds
