"""What a flow takes from its client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flora_provider.api.http.retry_policy import RetryPolicy


@dataclass(slots=True)
class FlowContext:
    """Retry policy, clocks and random source of a flow; `client.context` is a client's.

    Attributes:
        policy: how often and how long each request is tried.
        clock: unix seconds.
        random: random numbers in [0, 1), for jitter and for keys.
        monotonic: seconds of a monotonic clock; None to take `clock`.
    """

    policy: RetryPolicy
    clock: Callable[[], float]
    random: Callable[[], float]
    monotonic: Callable[[], float] | None = None

    def steady(self) -> float:
        """Seconds to measure durations with: they do not jump when somebody sets the time."""
        return (self.monotonic or self.clock)()
