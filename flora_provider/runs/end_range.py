"""When a run ends, as far as its progress tells. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, inf

PROGRESS_STEP = 10.0  # percent
_LEAST_STEP = 1e-3  # seconds; of a run that is just beginning, progress tells nothing


@dataclass(frozen=True, slots=True)
class EndRange:
    """The earliest and the latest end of a run, in seconds after its start.

    FLORA shows progress in steps of ten percent of the time since the run left the queue: at 60 % after 30 s it ends
    after 43 s at the earliest and 50 s at the latest. Each further poll narrows that.

    Attributes:
        queued: seconds until the run left the queue, as far as FLORA says.
        earliest: no end is sooner.
        latest: no end is later; infinity while nothing is known.
    """

    queued: float = 0.0
    earliest: float = 0.0
    latest: float = inf

    @property
    def is_known(self) -> bool:
        """Whether the run has shown any progress."""
        return self.latest < inf

    @property
    def width(self) -> float:
        """Seconds between the earliest and the latest end."""
        return self.latest - self.earliest

    def narrowed(self, *, progress: float, elapsed: float, queued: float = 0.0) -> EndRange:
        """What is known after a poll that has shown the run unfinished `elapsed` seconds after its start."""
        queued = min(max(queued, 0.0), elapsed)
        if not 0 < progress < 100 or elapsed * 100 / progress == inf:  # noqa: PLR2004 - percent
            return EndRange(queued)
        earliest = queued + (elapsed - queued) * 100 / min(progress + PROGRESS_STEP, 100)
        latest = queued + (elapsed - queued) * 100 / progress
        both = EndRange(queued, max(earliest, self.earliest, elapsed), min(latest, self.latest))
        # Where progress is not linear, polls contradict each other: then only the latest one counts.
        return both if both.width > 0 else EndRange(queued, max(earliest, elapsed), max(latest, elapsed))

    def halving(self, *, after: float, spare: float) -> float:
        """When a poll tells in which half of the range the end is.

        A run that ends in the middle of the range enters a step then, so progress tells whether ours is ahead of it.

        Args:
            after: seconds after the start, before which the poll must not come.
            spare: seconds to leave between the poll and the earliest end, if there are so many.

        Returns:
            Seconds after the start; infinity if there is no such time.
        """
        step = ((self.earliest + self.latest) / 2 - self.queued) * PROGRESS_STEP / 100
        if not _LEAST_STEP < step < inf:
            return inf
        soonest, last = ceil((after - self.queued) / step), floor((self.earliest - spare - self.queued) / step)
        return self.queued + max(soonest, last, 1) * step
