"""When to poll a run. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2, sqrt

from flora_provider.api import calls
from flora_provider.api.errors import FloraError
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.runs.end_range import PROGRESS_STEP, EndRange

# A failed poll is followed by another poll anyway, so a single one is not retried.
ONE_TRY = RetryPolicy(max_retries=0)

_SLACK = 0.1  # seconds by which clocks and answers may be off
_NARROW = 0.5  # of the interval: a narrower range of ends is not worth another poll before it
_MAX_HALVINGS = 2  # polls before the end for which time is left; an earlier one tells less

# A page of runs that are all waited for is read again after this part of the interval. What costs more is read later,
# by the square root, where requests and lag together cost least: so two processes that wait for half of the runs each
# send at most twice as many requests.
_LEAST_PART = 0.35
_SOON = 0.2  # of the interval: a poll that comes less than this before a page that shows the run is not worth it

GATHER_AT_MOST = 0.9  # seconds by which a poll may be put off to be made together with others
# Seconds, to be multiplied by `_page_part`: for each other run that is waited for, and for all of them at most.
_GATHER_PER_RUN, _GATHER_FOR_ALL = 0.06, 1.4


def gathering(*, runs: int, share: float) -> float:
    """Seconds by which polls are put off to be made together: none for one run, and the more the more a page costs.

    Args:
        runs: that are waited for.
        share: as of `PollPolicy.next_page`, where pages were read; else 0.
    """
    longest = min(max(runs - 1, 0) * _GATHER_PER_RUN, _GATHER_FOR_ALL)
    return min(longest * _page_part(max(share, 1 / max(runs, 1))), GATHER_AT_MOST)


def _page_part(share: float) -> float:
    """After which part of the interval a page is read again, up to 1."""
    return min(sqrt(max(share * calls.PAGE_SIZE, 1.0)) * _LEAST_PART, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """When to poll a run next.

    The first poll comes after 60 % of FLORA's estimate, but after 30 s at the latest. From then on progress decides: it
    tells a range in which the run ends. One to three polls narrow that range, and the last one comes at its end.
    Without progress the pause grows with the age of the run.

    A page of a history shows a hundred runs for one request. The more of the runs on it are waited for, the sooner it
    is read again: down to about a third of `interval`.

    For runs of 20 to 60 s with an estimate right within 30 % this needs 4 polls and notices the end 0.9 s late;
    `python -m tests.support.polling_simulator` prints the figures of others.

    Attributes:
        interval: the least pause between two polls of one run by itself, in seconds; FLORA's docs advise 2 to 5.
        max_interval: the largest pause, in seconds, unless `interval` is larger.
    """

    interval: float = 3.0
    max_interval: float = 15.0

    def first(self, *, estimated_seconds: float | None, elapsed: float) -> float:
        """Seconds until the first poll of a run that was started `elapsed` seconds ago."""
        due = self.interval if estimated_seconds is None else min(estimated_seconds * 0.6, 30.0)
        return max(due - elapsed, 0.0)

    def next(self, *, ends: EndRange, elapsed: float, since_poll: float, random: float) -> float:
        """Seconds until the next poll of the run by itself.

        Args:
            ends: what its progress tells.
            elapsed: seconds since the run was started.
            since_poll: seconds since the run was last polled by itself; less than `elapsed` tells of pages between.
            random: a random number in [0, 1); spreads the polls of many runs by a tenth where progress does not.
        """
        if not ends.is_known:
            return min(max(elapsed * 0.15, self.interval), self._longest) * (1 + random / 10)
        least = max(self.interval - since_poll, 0.0)
        at = self._halving(ends, elapsed + least)
        if at is None:
            at = ends.latest + _SLACK if ends.width <= self.interval else ends.earliest + ends.width / 4
        return min(max(at - elapsed, least), self._longest)

    def next_page(self, *, ends: EndRange, elapsed: float, share: float) -> float:
        """Seconds until a page that shows the run is worth reading.

        Args:
            ends: what its progress tells.
            elapsed: seconds since the run was started.
            share: requests that reading pages costs each run on them.
        """
        part = _page_part(share)
        pause = max(ends.earliest - elapsed, ends.width / 4 * part) if ends.is_known else elapsed * 0.15 * part
        return min(max(pause, self.interval * part), self._longest * part)

    def is_soon_enough(self, *, pause: float, page_pause: float) -> bool:
        """Whether the page that is worth reading after `page_pause` spares the poll that is due after `pause`."""
        return page_pause < pause + self.interval * _SOON

    def after_error(self, failure: FloraError, *, failed_polls: int, random: float) -> float:
        """Seconds until the next poll after so many failed polls in a row; never before FLORA allows it."""
        pause = min(self.interval * 2.0 ** min(failed_polls - 1, 5), max(30.0, self.interval)) * (1 + random / 4)
        return max(pause, (failure.retry_after or 0.0) * (1 + random / 10))

    @property
    def _longest(self) -> float:
        return max(self.max_interval / 1.1, self.interval)

    def _halving(self, ends: EndRange, after: float) -> float | None:
        """When to poll to narrow the range of ends, in seconds after the start; None if that is not worth it."""
        narrow = self.interval * _NARROW
        if ends.width <= narrow:
            return None
        later = min(ceil(log2(ends.width / narrow)) - 1, _MAX_HALVINGS)
        pause = max(self.interval, ends.latest * PROGRESS_STEP / 100)
        at = ends.halving(after=after, spare=later * pause)
        return at if at < ends.earliest and at + self.interval <= ends.latest + _SLACK else None
