"""The sandbox's time: the machine's, or one that stands still and is moved by hand."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable

LAST = 250_000_000_000.0
"""How far the clock goes, in unix seconds: the year 9892. Dates end with 9999, and what expires later is one too."""


class Clock:
    """Seconds since 1970, which can be stopped, and moved forward. Any thread may do so.

    What a run is doing is computed from this clock whenever somebody looks, so moving it is enough to finish a run,
    to let an idempotency key expire or to refill a rate limit. There are no background tasks to wait for.
    With `source=lambda: 1_750_000_000.0`, or with `frozen_at`, it stands still until `advance`.
    """

    def __init__(self, source: Callable[[], float] = time.time, *, frozen_at: float | None = None) -> None:
        self._source = source
        # What the clock showed, and what the source showed then; None while it stands still. One value, so that
        # reading it needs no lock.
        self._set: tuple[float, float | None] = (0.0, 0.0) if frozen_at is None else (frozen_at, None)
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return the sandbox's time in unix seconds."""
        display, since = self._set
        return display if since is None else display + (self._source() - since)

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still."""
        return self._set[1] is None

    def freeze(self) -> None:
        """Stop the clock where it is."""
        with self._lock:
            self._set = (self.now(), None)

    def resume(self) -> None:
        """Let a stopped clock go on from where it is."""
        with self._lock:
            if self.is_frozen:
                self._set = (self.now(), self._source())

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds` (>= 0; time does not run backwards, and neither does a run)."""
        with self._lock:
            self._advance(seconds)

    def move_to(self, when: float) -> None:
        """Move the clock forward to a time in unix seconds."""
        with self._lock:
            self._advance(when - self.now())

    def _advance(self, seconds: float) -> None:
        if not seconds >= 0:
            raise ValueError(f"the clock moves forward only, not by {seconds} s")
        if self.now() + seconds > LAST:
            raise ValueError(f"the clock ends with the year 9892; it cannot move by {seconds} s")
        display, since = self._set
        self._set = (display + seconds, since)


def unix_seconds(value: str | float) -> float:
    """Return a time as unix seconds, given as such or in ISO 8601 (without a zone: UTC); raises ValueError."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = _from_iso(value)
    if isinstance(value, bool) or not 0 <= seconds <= LAST:
        raise ValueError(f"must be a time from 1970 to 9892, in unix seconds or ISO 8601; got {value!r:.80}")
    return seconds


def _from_iso(value: object) -> float:
    try:
        when = dt.datetime.fromisoformat(str(value))
    except ValueError:
        return -1.0
    return (when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp()
