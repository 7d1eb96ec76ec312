"""How fast requests may follow one another. Pure: the caller brings the clock and sleeps."""

from __future__ import annotations

import threading

from flora_provider.api.http.retry_policy import MAX_WAIT

_FIRST_GAP = 0.2
_LARGEST_GAP = 2.0
_RECOVERY = 0.9  # each success shortens a widened gap to this part of it
_NEGLIGIBLE = 0.02


class Throttle:
    """The gap between the requests of one process, and the pauses that FLORA asks for.

    FLORA counts per workspace and publishes no limit, so the gap is what the user sets, or none. A 429 pauses everyone
    who shares this throttle, and widens the gap; successes narrow it again. Threads may share one.

    Args:
        requests_per_second: the most that may be sent; None for no limit of our own.
    """

    def __init__(self, requests_per_second: float | None = None) -> None:
        self._least = 1 / requests_per_second if requests_per_second else 0.0
        self._gap = self._least
        self._next = float("-inf")
        self._slowed = float("-inf")
        self._lock = threading.Lock()

    def copy(self) -> Throttle:
        """One that knows as much, for a child of this process, where a thread that holds the lock is not there."""
        other = Throttle()
        other._least, other._gap, other._next, other._slowed = self._least, self._gap, self._next, self._slowed
        return other

    def wait(self, now: float) -> float:
        """Seconds until a request may be sent; 0 says that it may be sent now, and counts it.

        Ask again after the wait, for a 429 may have come in meanwhile.
        """
        with self._lock:
            if now < self._next:
                return self._next - now
            # In a queue a sleep that overran is made up for, else its time would be lost to all who wait behind.
            queueing = now - self._next < self._gap
            self._next = (self._next if queueing else now) + self._gap
            return 0.0

    def answered(self, status: int, *, retry_after: float | None, sent: float, now: float) -> None:
        """Learn from an answer.

        Args:
            status: HTTP status.
            retry_after: seconds that the answer asks for, as `Response.retry_after`.
            sent: when the request was sent, on the clock of `now`.
            now: when the answer was there.
        """
        with self._lock:
            if status == 429:  # noqa: PLR2004 - HTTP: too many requests
                self._next = max(self._next, now + min(retry_after or 0.0, MAX_WAIT))
                # Requests already under way when the gap was widened say nothing about the wider gap.
                if sent >= self._slowed:
                    self._gap = max(self._least, min(max(self._gap * 2, _FIRST_GAP), _LARGEST_GAP))
                    self._slowed = now
            elif status < 400:  # noqa: PLR2004 - HTTP: no error
                narrower = self._gap * _RECOVERY
                self._gap = max(self._least, narrower if narrower > _NEGLIGIBLE else 0.0)
