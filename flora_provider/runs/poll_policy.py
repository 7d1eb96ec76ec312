"""When to poll a run. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from flora_provider.api.errors import FloraError
from flora_provider.api.http.retry_policy import RetryPolicy

# A failed poll is followed by another poll anyway, so a single one is not retried.
ONE_TRY = RetryPolicy(max_retries=0)

_PROGRESS_STEP = 10.0  # percent


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """When to poll a run next.

    The first poll comes after 60 % of FLORA's estimate, but after 30 s at the latest. From then on progress decides: at
    60 % after 30 s, a run whose progress moves in steps of ten ends after 43 s at the earliest and 50 s at the latest,
    so it is polled then. Without progress the pause grows with the age of the run.

    For runs of 20 to 60 s with an estimate right within 30 % this needs 3 polls and notices the end 1.5 s late;
    `python -m tests.support.polling_simulator` prints the figures of others.

    Attributes:
        interval: the least pause between two polls, in seconds; FLORA's docs advise 2 to 5.
        max_interval: the largest pause, in seconds, unless `interval` is larger.
    """

    interval: float = 3.0
    max_interval: float = 15.0

    def first(self, *, estimated_seconds: float | None, elapsed: float) -> float:
        """Seconds until the first poll of a run that was started `elapsed` seconds ago."""
        due = self.interval if estimated_seconds is None else min(estimated_seconds * 0.6, 30.0)
        return max(due - elapsed, 0.0)

    def next(self, *, progress: float, elapsed: float, random: float) -> float:
        """Seconds until the next poll.

        Args:
            progress: 0 to 100, as FLORA shows it.
            elapsed: seconds since the run was started.
            random: a random number in [0, 1); spreads the polls of many runs by a tenth.
        """
        pause = elapsed * 0.15
        if 0 < progress < 100:  # noqa: PLR2004 - percent
            earliest = elapsed * 100 / min(progress + _PROGRESS_STEP, 100)
            latest = elapsed * 100 / progress
            pause = earliest + (latest - earliest) / 4 - elapsed
        return min(max(pause, self.interval), max(self.max_interval / 1.1, self.interval)) * (1 + random / 10)

    def after_error(self, failure: FloraError, *, failed_polls: int, random: float) -> float:
        """Seconds until the next poll after so many failed polls in a row; never before FLORA allows it."""
        pause = min(self.interval * 2.0 ** min(failed_polls - 1, 5), max(30.0, self.interval)) * (1 + random / 4)
        return max(pause, (failure.retry_after or 0.0) * (1 + random / 10))
