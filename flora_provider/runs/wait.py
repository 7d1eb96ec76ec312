"""One run that is waited for: when to look at it, and what a look means. Pure."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import inf

from flora_provider.api import checks
from flora_provider.api.errors import FloraError, FloraStatusError
from flora_provider.api.models import Run
from flora_provider.runs.event import RunEvent
from flora_provider.runs.patience import BILL_PAUSE, Refusals, bill_expected_for, is_weather, lacks_bill

log = logging.getLogger(__name__)

_MOST = 1e15  # seconds; beyond it, clocks and sums of floats break
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


class Wait:
    """One run that is waited for: when to look at it next, and what a look means.

    It is made of instants, whoever gives them (see `problems`), and counts durations on a clock that never jumps, which
    `begin` starts: a wall clock that is set meanwhile, or that differs from the one that wrote an instant, neither
    holds up a look nor moves the deadline.

    Each change of status is logged, progress that moved by a quarter, and each look that failed.

    Args:
        run_id: the run.
        policy: how often to look.
        now: unix seconds.
        deadline: unix seconds at which to stop waiting, after one last look if FLORA allows it; None to wait for ever.
        started_at: unix seconds at which the run was started; None when only a look can tell.
        estimated_seconds: FLORA's estimate; None for none.
        gone_since: unix seconds since when FLORA refuses to show the run (404, 401, …); None for its first refusal in
            a row. Looks that failed otherwise do not count: after an outage of a minute a 404 may still pass.

    Attributes:
        run_id: as given.
        due: when to look next, on the clock that never jumps.
        seen: whether FLORA has shown the run.
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
        self.due = inf
        self.seen = False
        self._given = (policy, now, deadline, started_at, estimated_seconds, gone_since)
        self._policy = policy
        self._begun: float | None = None
        self._deadline: float | None = None
        self._started_at: float | None = None
        self._refusals = Refusals()
        self._told: tuple[str, float] = ("", 0.0)  # status and progress that were logged last
        self._failures = 0
        self._went_on = False  # it was seen before it ended
        self._silent: tuple[float, FloraError] | None = None  # until when FLORA asked not to be asked
        self._unbilled: RunEvent | None = None  # how the run ended, while its bill is waited for
        self._bill_until = 0.0
        self._bill_polls = 0

    def problems(self) -> list[str]:
        """One sentence, with name and value, for each value that no wait can be made of."""
        policy, _, deadline, started_at, estimated_seconds, _ = self._given
        return checks.problems(
            [
                ("run_id", self.run_id, checks.run_id),
                ("poll_interval", policy.interval, _above_zero),
                ("deadline", deadline, checks.optional(_number)),
                ("started_at", started_at, checks.optional(_number)),
                ("estimated_seconds", estimated_seconds, checks.optional(_estimate)),
            ]
        )

    def begin(self, at: float) -> None:
        """Start to count, on a clock that never jumps; `now` of all methods is its time. Again, it does nothing."""
        if self._begun is not None:
            return
        _, now, deadline, started_at, estimated_seconds, gone_since = self._given
        self._begun, self._unix_then = at, now
        self._deadline = None if deadline is None else at + max(deadline - now, 0.0)
        self._refusals = Refusals(None if gone_since is None else at - max(now - gone_since, 0.0))
        pause = 0.0
        if started_at is not None:
            # A clock that is behind the one that wrote the instant must not make a duration negative.
            elapsed = max(now - started_at, 0.0)
            self._started_at = at - elapsed
            if estimated_seconds is not None and _number("", estimated_seconds):
                estimated_seconds = None
            pause = self._policy.first(estimated_seconds=estimated_seconds, elapsed=elapsed)
        self.due = self._in_time(at, pause)

    @property
    def remaining(self) -> float | None:
        """Seconds from the start of the wait to its deadline, at least 0; None without one."""
        return None if self._deadline is None or self._begun is None else self._deadline - self._begun

    @property
    def is_refused(self) -> bool:
        """Whether FLORA refused the latest look: the connection is worth another reading before the next one."""
        return self._refusals.now

    def saw(self, run: Run, *, now: float, draw: float) -> RunEvent | None:
        """A look succeeded. Returns how the wait ended, or None when it goes on at `due`."""
        self._refusals.none()
        self._failures, self._silent, self.seen = 0, None, True
        if run.status != self._told[0] or run.progress - self._told[1] >= _TELLING:
            self._told = (run.status, run.progress)
            log.info("FLORA run %s: %s, %g %%", self.run_id, run.status, run.progress)
        if run.is_terminal:
            return self._ended(run, now)
        if self._unbilled is not None:  # FLORA's lists may be a moment behind
            return self._await_bill(self._unbilled, now, not_before=now)
        self._went_on = True
        if self._started_at is None:
            age = 0.0 if run.created_at is None else max(self._unix(now) - run.created_at.timestamp(), 0.0)
            self._started_at = now - age
        pause = self._policy.next(progress=run.progress, elapsed=now - self._started_at, draw=draw)
        return self._go_on(now, pause)

    def missed(self, failure: FloraError, *, now: float, draw: float) -> RunEvent | None:
        """A look failed. Returns how the wait ended, or None when it goes on at `due`."""
        asked = failure.retry_after if isinstance(failure, FloraStatusError) else None
        if self._unbilled is not None:
            return self._await_bill(self._unbilled, now, not_before=now + (asked or 0.0))
        if is_weather(failure, gone_for=inf):
            self._refusals.none()
        elif self._refusals.another(failure, now=now, seen=self.seen):
            return RunEvent.refused(self.run_id, failure)
        self._failures += 1
        self._silent = None if asked is None else (now + asked, failure)
        pause = self._policy.after_trouble(failure, failures=self._failures, draw=draw)
        log.warning("FLORA run %s could not be seen: %s. Looking again in %.0f s", self.run_id, failure, pause)
        return self._go_on(now, pause, failure)

    def look_at(self, now: float) -> None:
        """Look at once, for the connection has changed; but not before FLORA allows it."""
        self.due = min(self.due, max(now, self._silent[0] if self._silent else now))

    def unseen_end(self) -> RunEvent | None:
        """How the wait ends at `due` if that is before FLORA allows another look; None when it allows one."""
        if self._silent and self.due < self._silent[0]:
            return RunEvent.timed_out(self.run_id, last_error=self._silent[1], seen=self.seen)
        return None

    def overdue(self) -> RunEvent:
        """How the wait ends when its deadline passes before an answer comes."""
        return self._unbilled or RunEvent.timed_out(self.run_id)

    def _ended(self, run: Run, now: float) -> RunEvent | None:
        event = RunEvent.ended(run)
        if event.run is None or not lacks_bill(event.run):
            return event
        if self._unbilled is None:
            left = bill_expected_for(event.run, now=self._unix(now), just_ended=self._went_on)
            self._bill_until = now + left
        self._unbilled = event
        return self._await_bill(event, now, not_before=now)

    def _await_bill(self, event: RunEvent, now: float, *, not_before: float) -> RunEvent | None:
        """The run has completed: go on for its bill, but not for long, and let nothing that happens now fail it."""
        until = self._bill_until if self._deadline is None else min(self._bill_until, self._deadline)
        if now >= until or not_before >= until:
            log.warning("FLORA run %s completed, but FLORA has not settled its bill: it is given as None", self.run_id)
            return event
        pause = BILL_PAUSE * 2.0 ** min(self._bill_polls, 10)
        self._bill_polls += 1
        self.due = min(max(now + pause, not_before), until)
        return None

    def _go_on(self, now: float, pause: float, failure: FloraError | None = None) -> RunEvent | None:
        if self._deadline is not None and now >= self._deadline:
            return RunEvent.timed_out(self.run_id, last_error=failure, seen=self.seen)
        self.due = self._in_time(now, pause)
        return None

    def _in_time(self, now: float, pause: float) -> float:
        due = now + pause
        return due if self._deadline is None else min(due, max(self._deadline, now))

    def _unix(self, now: float) -> float:
        """The wall clock's time, as it would be had nobody set it since the wait began."""
        return self._unix_then + now - (self._begun or 0.0)


def _number(name: str, value: object) -> str | None:
    """A number that clocks and sums of floats can bear."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST:  # NaN is not
        return None
    return f"{name} is {checks.shown(value)}: give a number of seconds"


def _above_zero(name: str, value: object) -> str | None:
    if isinstance(value, int | float) and _number(name, value) is None and value > 0:
        return None
    return f"{name} is {checks.shown(value)}: give a number of seconds above zero"


def _estimate(name: str, value: object) -> str | None:
    """FLORA's own, so one that is out of all bounds is no problem, but counts as none: the run is paid."""
    return None if type(value) in (int, float) else _number(name, value)
