"""Wait for one run. Pure: when to look, what a look means, and a plan that looks until the wait is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flora_provider.api import calls, checks
from flora_provider.api.errors import (
    FloraAnswerError,
    FloraConnectionError,
    FloraError,
    FloraNotFoundError,
    FloraRateLimitError,
    FloraServerError,
    FloraStatusError,
)
from flora_provider.api.exchange import Tools, exchange
from flora_provider.api.models import Run
from flora_provider.api.plan import Plan, Sleep
from flora_provider.api.retry import RetryPolicy
from flora_provider.runs.event import RunEvent

log = logging.getLogger(__name__)

# A look that failed is followed by another look anyway, so a single one is not tried again.
ONE_TRY = RetryPolicy(max_retries=0)
# Runs that were just started, or that FLORA loses sight of for a moment, are 404 and come back.
VANISHED_FOR = 60.0
_PROGRESS_STEP = 10.0
_TELLING = 25.0  # percent of progress that are worth a line: at thousands of runs, lines cost more than looks


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """When to look at a run next.

    The first look comes after somewhat more than half of FLORA's estimate. From then on progress tells: at 60 % after
    30 s a run whose progress moves in steps of ten ends after 43 s at the earliest and 50 s at the latest, so that is
    when to look. Without progress the pause grows with the age of the run.

    For runs of 20 to 60 s with an estimate right within 30 % this needs 3 looks and notices the end 1.5 s late;
    `python -m tests.runs.simulator` tells what others cost.

    Attributes:
        interval: the least pause between two looks, in seconds; FLORA's docs advise 2 to 5.
        slowest: the largest pause, in seconds, unless `interval` is larger.
    """

    interval: float = 3.0
    slowest: float = 15.0

    def first(self, *, estimated_seconds: float | None, elapsed: float) -> float:
        """Seconds until the first look at a run that was started `elapsed` seconds ago."""
        due = self.interval if estimated_seconds is None else min(estimated_seconds * 0.6, 30.0)
        return max(due - elapsed, 0.0)

    def next(self, *, progress: float, elapsed: float, draw: float) -> float:
        """Seconds until the next look.

        Args:
            progress: 0 to 100, as FLORA shows it.
            elapsed: seconds since the run was started.
            draw: a random number in [0, 1); spreads the looks of many runs by a tenth.
        """
        pause = elapsed * 0.15
        if 0 < progress < 100:  # noqa: PLR2004 - percent
            earliest = elapsed * 100 / min(progress + _PROGRESS_STEP, 100)
            latest = elapsed * 100 / progress
            pause = earliest + (latest - earliest) / 4 - elapsed
        return min(max(pause, self.interval), max(self.slowest / 1.1, self.interval)) * (1 + draw / 10)

    def after_trouble(self, failure: FloraError, *, failures: int, draw: float) -> float:
        """Seconds until the next look after `failures` looks in a row that failed; never before FLORA allows it."""
        asked = failure.retry_after if isinstance(failure, FloraStatusError) else None
        pause = min(self.interval * 2.0 ** min(failures - 1, 5), max(30.0, self.interval)) * (1 + draw / 4)
        return pause if asked is None else max(pause, asked * (1 + draw / 10))


def is_weather(failure: FloraError, *, gone_for: float) -> bool:
    """Whether a failed look says nothing about the run.

    429, every 5xx, broken connections, answers that cannot be read, and 404 for less than a minute say nothing; 401,
    403 and the like are final, whatever `x-should-retry` says: a look costs nothing, and a wait is worth a run.
    """
    if isinstance(failure, FloraNotFoundError):
        return gone_for < VANISHED_FOR
    return isinstance(failure, FloraRateLimitError | FloraServerError | FloraConnectionError | FloraAnswerError)


class Wait:
    """One run that is waited for: when to look at it next, and what a look means.

    Each change of status is logged, progress that moved by a quarter, and each look that failed.

    Args:
        run_id: the run.
        policy: how often to look.
        now: unix seconds.
        deadline: unix seconds at which to stop waiting, after one last look if FLORA allows it; None to wait for ever.
        started_at: unix seconds at which the run was started; None when only a look can tell.
        estimated_seconds: FLORA's estimate; None for none.
        gone_since: unix seconds since when a run that is 404 counts as gone; None for its first 404 in a row. Looks
            that failed otherwise do not count: after an outage of a minute a 404 may still pass.

    Attributes:
        due: unix seconds of the next look.
        run_id, deadline: as given.
    """

    def __init__(
        self,
        run_id: str,
        *,
        policy: PollPolicy,
        now: float,
        deadline: float | None = None,
        started_at: float | None = None,
        estimated_seconds: float | None = None,
        gone_since: float | None = None,
    ) -> None:
        self.run_id = run_id
        self._policy = policy
        self.deadline = deadline
        self._started_at = started_at
        self._gone_since = gone_since
        self._told: tuple[str, float] = ("", 0.0)  # status and progress that were logged last
        self._failures = 0
        self._seen = False
        self._silent: tuple[float, FloraError] | None = None  # until when FLORA asked not to be asked
        pause = policy.first(estimated_seconds=estimated_seconds, elapsed=now - started_at) if started_at else 0.0
        self.due = self._in_time(now, pause)

    def saw(self, run: Run, *, now: float, draw: float) -> RunEvent | None:
        """A look succeeded. Returns how the wait ended, or None when it goes on at `due`."""
        self._gone_since, self._failures, self._silent, self._seen = None, 0, None, True
        if run.status != self._told[0] or run.progress - self._told[1] >= _TELLING:
            self._told = (run.status, run.progress)
            log.info("FLORA run %s: %s, %g %%", self.run_id, run.status, run.progress)
        if run.is_terminal:
            return RunEvent.ended(run)
        if self._started_at is None:
            self._started_at = min(run.created_at.timestamp(), now) if run.created_at else now
        pause = self._policy.next(progress=run.progress, elapsed=now - self._started_at, draw=draw)
        return self._go_on(now, pause)

    def missed(self, failure: FloraError, *, now: float, draw: float) -> RunEvent | None:
        """A look failed. Returns how the wait ended, or None when it goes on at `due`."""
        self._gone_since = (self._gone_since or now) if isinstance(failure, FloraNotFoundError) else None
        if not is_weather(failure, gone_for=now - (self._gone_since or now)):
            return RunEvent.refused(self.run_id, failure)
        self._failures += 1
        asked = failure.retry_after if isinstance(failure, FloraStatusError) else None
        self._silent = None if asked is None else (now + asked, failure)
        pause = self._policy.after_trouble(failure, failures=self._failures, draw=draw)
        log.warning("FLORA run %s could not be seen: %s. Looking again in %.0f s", self.run_id, failure, pause)
        return self._go_on(now, pause, failure)

    def unseen_end(self) -> RunEvent | None:
        """How the wait ends at `due` if that is before FLORA allows another look; None when it allows one."""
        if self._silent and self.due < self._silent[0]:
            return RunEvent.timed_out(self.run_id, last_error=self._silent[1], seen=self._seen)
        return None

    def _go_on(self, now: float, pause: float, failure: FloraError | None = None) -> RunEvent | None:
        if self.deadline is not None and now >= self.deadline:
            return RunEvent.timed_out(self.run_id, last_error=failure, seen=self._seen)
        self.due = self._in_time(now, pause)
        return None

    def _in_time(self, now: float, pause: float) -> float:
        due = now + pause
        return due if self.deadline is None else min(due, max(self.deadline, now))


def follow_run(wait: Wait, tools: Tools, *, look: Callable[[str], calls.Call[Run]] = calls.get_run) -> Plan[RunEvent]:
    """Look at one run until it has ended, the deadline has passed, or FLORA refuses to show it.

    Args:
        wait: the run, and when to look.
        tools: the client's. Looks are tried once, whatever its policy: another look follows anyway.
        look: which call shows the run.
    """
    try:
        call = look(wait.run_id)
    except FloraError as failure:
        return RunEvent.invalid(wait.run_id, str(failure))
    once = replace(tools, policy=ONE_TRY)
    while True:
        pause = wait.due - tools.clock()
        if pause > 0:
            yield Sleep(pause)
        if unseen := wait.unseen_end():
            return unseen
        try:
            run = yield from exchange(call, once)
        except FloraError as failure:
            event = wait.missed(failure, now=tools.clock(), draw=tools.draw())
        else:
            event = wait.saw(run, now=tools.clock(), draw=tools.draw())
        if event is not None:
            return event


def wait_for_run(
    run_id: str,
    tools: Tools,
    *,
    timeout: float | None = None,
    poll_interval: float = 3.0,
    started_at: float | None = None,
    estimated_seconds: float | None = None,
) -> Plan[dict[str, Any]]:
    """Wait until a run has ended; progress goes to the log when it changes.

        run = flora.perform(wait_for_run(started.run_id, flora.tools, timeout=600))

    Args:
        run_id: the run.
        tools: the client's.
        timeout: seconds; None to wait for ever. The run goes on all the same.
        poll_interval: least seconds between two looks.
        started_at: unix seconds at which it was started, if known.
        estimated_seconds: FLORA's estimate, if known.

    Returns:
        The finished run as a plain dict: run_id, status, outputs, charged_cost and its times.

    Raises:
        FloraInputError: an argument cannot be right.
        RunFailed: FLORA ended it as failed.
        RunTimedOut: `timeout` passed.
        WaitRefused: FLORA does not let us look at it.
    """
    checks.refuse(
        checks.problems(
            [
                ("run_id", run_id, checks.run_id),
                ("timeout", timeout, checks.optional(checks.seconds)),
                ("poll_interval", poll_interval, checks.positive),
            ]
        )
    )
    now = tools.clock()
    wait = Wait(
        run_id,
        policy=PollPolicy(interval=poll_interval),
        now=now,
        deadline=None if timeout is None else now + timeout,
        started_at=started_at,
        estimated_seconds=estimated_seconds,
    )
    return (yield from follow_run(wait, tools)).result()
