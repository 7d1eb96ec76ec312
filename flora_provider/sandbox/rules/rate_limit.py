"""A token bucket: the rate limit of a workspace (contract, section 6)."""

from __future__ import annotations

import math

from flora_provider.sandbox.http.responses import ApiError
from flora_provider.sandbox.settings import Settings
from flora_provider.sandbox.world.clock import Clock


class RateLimit:
    """Counts the requests of the key's workspace. The bucket holds what one second allows, and at least one request."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._tokens = math.inf
        self._at = clock.now()

    def count(self) -> None:
        """Let a request pass, or refuse it with a 429 and `retry-after` in whole seconds (at least 1)."""
        rate = self._settings.requests_per_second
        if rate is None:
            return
        now = self._clock.now()
        self._tokens = min(max(1.0, rate), self._tokens + (now - self._at) * rate)
        self._at = now
        if self._tokens < 1:
            wait = max(1, math.ceil((1 - self._tokens) / rate))
            raise ApiError(429, "rate_limited", "Rate limit exceeded.", headers={"retry-after": str(wait)})
        self._tokens -= 1
