"""May this failure be retried, and after how many seconds. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from flora_provider.api.errors import (
    FloraConflictError,
    FloraConnectionError,
    FloraError,
    FloraFileError,
    FloraStatusError,
)

# Seconds; the most that anybody is asked to stay away. A longer time is a server's mistake (a date in seconds, say, as
# a number), or one for which a scheduler should ask again meanwhile: nothing of ours may be silent for years.
MAX_RETRY_AFTER = 300.0
PAUSE_AFTER_429 = 5.0  # seconds, when a 429 names none; as FLORA's own sample
MAX_WAIT = 60.0  # seconds that a process waits itself; a longer time is for a scheduler to wait
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
# FLORA did not act on a request that it answered with 429; after these it may have.
_REFUSED_UNTOUCHED = frozenset({429})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long one call is tried.

    Attributes:
        max_retries: resends after the first try.
        first_delay: seconds before the first resend; doubles each time, with jitter of up to a quarter less.
        max_delay: the most that one computed delay may be, in seconds.
        max_retry_after: the most that FLORA may ask us to wait within a call, in seconds. Asked for more, the error
            is raised with its `retry_after`, for a scheduler can wait longer than a process should.
        budget: seconds from the first send after which no resend is decided on. One that was may still wait for its
            turn: where many callers share a pace, theirs add to it.
    """

    max_retries: int = 4
    first_delay: float = 0.5
    max_delay: float = 30.0
    max_retry_after: float = MAX_WAIT
    budget: float = 300.0

    def delay(
        self, failure: FloraError, *, attempt: int, elapsed: float, resendable: bool, random: float
    ) -> float | None:
        """Seconds to wait before sending the same bytes again, or None to give up.

        Args:
            failure: what went wrong.
            attempt: 0 for the first failure of the call.
            elapsed: seconds since its first send.
            resendable: whether sending it twice does no more than sending it once (a GET, or an idempotency key).
            random: a random number in [0, 1).
        """
        if attempt >= self.max_retries or not may_retry(failure, resendable=resendable):
            return None
        asked = failure.retry_after
        if asked is None:
            wait = min(self.first_delay * 2**attempt, self.max_delay) * (1 - random / 4)
        elif asked > self.max_retry_after:
            return None
        else:
            # Never earlier than asked, and not all at the same moment.
            wait = asked + max(self.first_delay, min(asked, self.max_delay) / 4) * random
        return wait if elapsed + wait <= self.budget else None


def may_retry(failure: FloraError, *, resendable: bool) -> bool:
    """Whether the same request may be sent again after this failure.

    Connection errors, timeouts, 408, 429, 500, 502, 503 and 504 may; 409 and other 4xx never. What is not
    `resendable` only when FLORA surely did not act on it, and what FLORA stored under the key not at all, for it would
    only be repeated. Else `x-should-retry` overrides the status, except for 409.
    """
    if isinstance(failure, FloraConnectionError):
        return resendable or not failure.ambiguous
    if isinstance(failure, FloraFileError):
        return failure.may_retry
    if not isinstance(failure, FloraStatusError) or isinstance(failure, FloraConflictError) or failure.replayed:
        return False
    passing = status_passes(failure.status) if failure.should_retry is None else failure.should_retry
    return passing and (resendable or failure.status in _REFUSED_UNTOUCHED)


def surely_untouched(failure: FloraError) -> bool:
    """Whether FLORA has not acted on the attempt that failed so: it was not reached, or refused the request (4xx).

    After 5xx, 408 and 409, and where an answer was lost, it may have.
    """
    if isinstance(failure, FloraConnectionError):
        return not failure.ambiguous
    return (
        isinstance(failure, FloraStatusError)
        and 400 <= failure.status < 500  # noqa: PLR2004 - HTTP: refused
        and failure.status not in (408, 409)
        and not failure.replayed
    )


def status_passes(status: int) -> bool:
    """Whether an answer with this status may be another one soon."""
    return status in _PASSING


def retry_after(headers: Mapping[str, str], *, status: int, now: float) -> float | None:
    """Seconds that the answer asks us to wait, 0 to 300; of a 429 that does not say, 5; of any other one, None.

    Reads `retry-after-ms`, then `retry-after` as seconds or as an HTTP date (as FLORA's SDK does). Nobody else reads
    these headers, so everybody sees the same bound.

    Args:
        headers: with lower-case names.
        status: of the answer.
        now: unix seconds, for a date.
    """
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        seconds = _number(headers.get(name))
        if seconds is not None:
            return min(seconds / unit, MAX_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return PAUSE_AFTER_429 if status in _REFUSED_UNTOUCHED else None
    return min(max(0.0, seconds), MAX_RETRY_AFTER)


def _number(text: str | None) -> float | None:
    # Plain digits: float() reads "1_0", "1e9" and other scripts' digits, too.
    return float(text) if text and re.fullmatch(r"\s*[0-9]+(\.[0-9]+)?\s*", text) else None
