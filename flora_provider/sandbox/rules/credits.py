"""What an account may still spend; a start it cannot pay is refused (contract, 3.2 and 7.5)."""

from __future__ import annotations

import heapq

from flora_provider.sandbox.http.responses import ApiError
from flora_provider.sandbox.settings import Settings
from flora_provider.sandbox.world.clock import Clock
from flora_provider.sandbox.world.runs import Run

_ROUNDING = 1e-9
"""USD by which sums of prices may be off."""


class Credits:
    """The account behind `Settings.credits_usd`: a run reserves its quote, and at its end pays its bill instead.

    The end is noticed when somebody looks. Runs that were started while credits were unlimited are not paid.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._open: list[tuple[float, str, float, float]] = []  # a heap: end, run_id, quote, bill

    def settle(self) -> None:
        """Let the runs that have ended pay their bills."""
        now = self._clock.now()
        while self._open and self._open[0][0] <= now:
            bill = heapq.heappop(self._open)[3]
            if self._settings.credits_usd is not None:
                # A bill may be above its quote; no account is below zero.
                self._settings.credits_usd = max(0.0, self._settings.credits_usd - bill)

    def shortage(self, usd: float) -> ApiError | None:
        """Return the 402 for a start that costs more than is left, if it does."""
        if self._settings.credits_usd is None:
            self._open.clear()
            return None
        self.settle()
        available = max(0.0, self._settings.credits_usd - sum(quote for _, _, quote, _ in self._open))
        if usd <= available + _ROUNDING:
            return None
        return ApiError(402, "insufficient_credits", f"Insufficient credits. available: {available:.2f}")

    def reserve(self, run: Run) -> None:
        """Set a run's quote aside until it ends."""
        if self._settings.credits_usd is not None:
            heapq.heappush(self._open, (run.created_at + run.seconds, run.run_id, run.quote, run.settled))
