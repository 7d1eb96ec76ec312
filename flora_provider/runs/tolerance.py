"""How long a wait tolerates a refusal, and waits for a bill that is not settled. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from flora_provider.api.errors import (
    FloraAnswerError,
    FloraConnectionError,
    FloraError,
    FloraNotFoundError,
    FloraRateLimitError,
    FloraServerError,
)

if TYPE_CHECKING:
    from flora_provider.api.models import FinishedRun

# A run that was just started may be 404 for some seconds, and so may any run for a moment.
NOT_FOUND_GRACE = 60.0  # seconds
# FLORA refuses a key, or what the key may see (401, 403, 404 of a run that was shown before, …). A rotated key, a
# connection that somebody is about to correct, a plan that is renewed: most are put right within minutes, and a poll
# costs nothing where the run is paid. Longer is for the task's `retries`, which show that something is wrong.
REFUSED_FOR = 300.0  # seconds
# FLORA settles a bill up to about a minute after the run has completed.
BILL_FOR = 90.0  # seconds after the completion
BILL_PAUSE = 5.0  # seconds until the first poll for a bill; doubles each time


def is_transient(failure: FloraError, *, not_found_for: float) -> bool:
    """Whether a failed poll says nothing about the run.

    429, every 5xx, broken connections, answers that cannot be read, and 404 for less than a minute say nothing; 401,
    403 and the like do, whatever `x-should-retry` says.
    """
    if isinstance(failure, FloraNotFoundError):
        return not_found_for < NOT_FOUND_GRACE
    return isinstance(failure, FloraRateLimitError | FloraServerError | FloraConnectionError | FloraAnswerError)


class Refusals:
    """How long FLORA has refused to show one run, without showing it in between.

    Args:
        since: when it began, on the wait's clock; None if it has not.

    Attributes:
        now: whether the latest poll was refused.
    """

    def __init__(self, since: float | None = None) -> None:
        self.now = False
        self._since = since
        self._limit = 0.0

    def none(self) -> None:
        """The latest poll was not refused."""
        self.now, self._since, self._limit = False, None, 0.0

    def another(self, failure: FloraError, *, now: float, seen: bool) -> bool:
        """The latest poll was refused. Returns whether it has lasted too long.

        Args:
            failure: how.
            now: on the wait's clock.
            seen: whether FLORA has shown the run before. An id that it never knew is given up after a minute.
        """
        self.now = True
        self._since = now if self._since is None else self._since
        unknown = isinstance(failure, FloraNotFoundError) and not seen
        self._limit = max(self._limit, NOT_FOUND_GRACE if unknown else REFUSED_FOR)
        return now - self._since >= self._limit


def bill_expected_for(run: FinishedRun, *, now: float, just_ended: bool = False) -> float:
    """Seconds for which FLORA may still settle the bill of a run; 0 when it is there, or will not come.

    Args:
        run: as `Run.to_dict` gives it.
        now: unix seconds.
        just_ended: it was seen going on a moment ago, so it has just ended, whatever clocks say.
    """
    if not lacks_bill(run):
        return 0.0
    if just_ended:
        return BILL_FOR
    completed_at = run["completed_at"]
    age = now - datetime.fromisoformat(completed_at).timestamp() if completed_at else BILL_FOR
    return min(max(BILL_FOR - age, 0.0), BILL_FOR)


def lacks_bill(run: FinishedRun) -> bool:
    """Whether this is a completed run whose bill may come; one without outputs is an error anyway."""
    is_good = run["status"] == "completed" and bool(run["outputs"])
    return is_good and run["completed_at"] is not None and run["charged_cost"] is None
