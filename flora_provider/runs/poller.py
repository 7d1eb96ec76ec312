"""The wait for one run: when to poll it, and what an answer means. Pure."""

from __future__ import annotations

import logging
from math import inf

from flora_provider.api import validation
from flora_provider.api.errors import FloraError
from flora_provider.api.models import Run
from flora_provider.api.text import short_repr
from flora_provider.runs.end_range import EndRange
from flora_provider.runs.event import RunEvent
from flora_provider.runs.poll_policy import PollPolicy
from flora_provider.runs.ref import RunRef
from flora_provider.runs.tolerance import BILL_PAUSE, Refusals, bill_expected_for, is_transient, lacks_bill

log = logging.getLogger(__name__)

_MOST = 1e15  # seconds; beyond it, clocks and sums of floats break
LOG_EVERY = 60.0  # seconds: at thousands of runs, log lines cost more than polls


class RunPoller:
    """The wait for one run: when to poll it next, and what an answer means.

    It takes instants of wall clocks (see `problems`) and counts durations on a monotonic clock, which `begin` starts: a
    wall clock that is set meanwhile, or that differs from the one that wrote an instant, neither delays a poll nor
    moves the deadline.

    Its end is logged, until then its progress once a minute, and each failed poll.

    Args:
        ref: the run.
        policy: how often to poll.
        now: unix seconds.
        deadline: unix seconds at which to stop waiting, after one last poll if FLORA allows it; None to wait for ever.
        started_at: unix seconds at which the run was started; None if only FLORA knows.
        estimated_seconds: FLORA's estimate; None for none.
        awaits_bill: wait for the bill of a completed run, for a minute or so; else it ends without one.
        not_found_since: unix seconds since when FLORA refuses to show the run (404, 401, …); None for its first refusal
            in a row. Polls that failed otherwise do not count: after an outage of a minute a 404 may still pass.

    Attributes:
        ref: as given.
        due: when to poll next, on the monotonic clock.
        page_due: from when on a page that shows the run is worth reading, on the same clock; never after `due`.
        seen: whether FLORA has shown the run.
    """

    def __init__(
        self,
        ref: RunRef,
        *,
        policy: PollPolicy,
        now: float,
        deadline: float | None = None,
        started_at: float | None = None,
        estimated_seconds: float | None = None,
        not_found_since: float | None = None,
        awaits_bill: bool = True,
    ) -> None:
        self.ref = ref
        self.due = self.page_due = inf
        self.seen = False
        self._given = (policy, now, deadline, started_at, estimated_seconds, not_found_since)
        self._policy = policy
        self._awaits_bill = awaits_bill
        self._begun: float | None = None
        self._deadline: float | None = None
        self._started_at: float | None = None
        self._refusals = Refusals()
        self._log_at = inf  # when its progress is worth a log line again
        self._failures = 0
        self._ends = EndRange()
        self._polled = -inf  # when it was last polled by itself
        self._went_on = False  # FLORA has shown it unfinished
        self._not_before: tuple[float, FloraError] | None = None  # when FLORA allows a poll again; which answer said so
        self._unbilled: RunEvent | None = None  # how the run ended, while its bill is waited for
        self._bill_until = 0.0
        self._bill_polls = 0

    def problems(self) -> list[str]:
        """One sentence, with name and value, for each value that cannot be right."""
        policy, _, deadline, started_at, estimated_seconds, _ = self._given
        return validation.problems(
            [
                ("run_id", self.ref.run_id, validation.run_id),
                ("technique", self.ref.technique, validation.optional(validation.slug_or_id)),
                ("poll_interval", policy.interval, _above_zero),
                ("deadline", deadline, validation.optional(_number)),
                ("started_at", started_at, validation.optional(_number)),
                ("estimated_seconds", estimated_seconds, validation.optional(_estimate)),
            ]
        )

    def begin(self, at: float) -> None:
        """Start to count on a monotonic clock, whose time all methods take as `now`. Does nothing the second time."""
        if self._begun is not None:
            return
        _, now, deadline, started_at, estimated_seconds, not_found_since = self._given
        self._begun, self._unix_then, self._log_at = at, now, at + LOG_EVERY
        self._deadline = None if deadline is None else at + max(deadline - now, 0.0)
        self._refusals = Refusals(None if not_found_since is None else at - max(now - not_found_since, 0.0))
        pause = 0.0
        if started_at is not None:
            # A clock that is behind the one that wrote the instant must not make a duration negative.
            elapsed = max(now - started_at, 0.0)
            self._started_at = at - elapsed
            if estimated_seconds is not None and _number("", estimated_seconds):
                estimated_seconds = None
            pause = self._policy.first(estimated_seconds=estimated_seconds, elapsed=elapsed)
        self.due = self.page_due = self._in_time(at, pause)

    @property
    def remaining(self) -> float | None:
        """Seconds from the start of the wait to its deadline, at least 0; None without one."""
        return None if self._deadline is None or self._begun is None else self._deadline - self._begun

    @property
    def is_refused(self) -> bool:
        """Whether FLORA refused the latest poll: the connection is worth another reading before the next one."""
        return self._refusals.now

    def on_run(self, run: Run, *, now: float, random: float, share: float = 1.0) -> RunEvent | None:
        """Take in the state of the run. Returns how the wait ended, or None when it goes on at `due`.

        Args:
            run: as FLORA has shown it.
            now: the time of the clock.
            random: a random number in [0, 1).
            share: requests that this poll has cost the run: 1 by itself, less on a page that shows others as well.
        """
        self._refusals.none()
        self._failures, self._not_before, self.seen = 0, None, True
        if now >= self._log_at or (run.is_terminal and self._unbilled is None):
            self._log_at = now + LOG_EVERY
            log.info("FLORA run %s: %s, %g %%", self.ref.run_id, run.status, run.progress)
        if run.is_terminal:
            return self._ended(run, now)
        if self._unbilled is not None:  # FLORA's lists may be a moment behind
            return self._await_bill(self._unbilled, now, not_before=now)
        self._went_on = True
        if self._started_at is None:
            age = 0.0 if run.created_at is None else max(self._unix(now) - run.created_at.timestamp(), 0.0)
            self._started_at = now - age
        elapsed = now - self._started_at
        self._ends = self._ends.narrowed(progress=run.progress, elapsed=elapsed, queued=_seconds_queued(run))
        if share >= 1:
            self._polled = now
        since_poll = now - self._polled
        pause = self._policy.next(ends=self._ends, elapsed=elapsed, since_poll=since_poll, random=random)
        page_pause = self._policy.next_page(ends=self._ends, elapsed=elapsed, share=share)
        if self._policy.is_soon_enough(pause=pause, page_pause=page_pause):
            pause = max(pause, page_pause)
        return self._go_on(now, pause, page_pause)

    def on_error(self, failure: FloraError, *, now: float, random: float) -> RunEvent | None:
        """Take in a failed poll. Returns how the wait ended, or None when it goes on at `due`."""
        asked = failure.retry_after
        if self._unbilled is not None:
            return self._await_bill(self._unbilled, now, not_before=now + (asked or 0.0))
        if is_transient(failure, not_found_for=inf):
            self._refusals.none()
        elif self._refusals.another(failure, now=now, seen=self.seen):
            return RunEvent.refused(self.ref, failure)
        self._failures += 1
        self._not_before = None if asked is None else (now + asked, failure)
        pause = self._policy.after_error(failure, failed_polls=self._failures, random=random)
        log.warning("FLORA run %s could not be polled: %s. Polling again in %.0f s", self.ref.run_id, failure, pause)
        return self._go_on(now, pause, pause, failure)

    def poll_at(self, now: float) -> None:
        """Poll at once, for the connection has changed; but not before FLORA allows it."""
        self.due = min(self.due, max(now, self._not_before[0] if self._not_before else now))
        self.page_due = min(self.page_due, self.due)

    def expire(self) -> RunEvent | None:
        """How the wait ends if its deadline comes before FLORA allows another poll; None when it allows one."""
        if self._not_before and self.due < self._not_before[0]:
            return RunEvent.timed_out(self.ref, last_error=self._not_before[1], seen=self.seen)
        return None

    def end_at_deadline(self) -> RunEvent:
        """How the wait ends when its deadline passes before an answer comes."""
        return self._unbilled or RunEvent.timed_out(self.ref)

    def _ended(self, run: Run, now: float) -> RunEvent | None:
        event = RunEvent.ended(run, self.ref.technique)
        if event.run is None or not self._awaits_bill or not lacks_bill(event.run):
            return event
        if self._unbilled is None:
            left = bill_expected_for(event.run, now=self._unix(now), just_ended=self._went_on)
            self._bill_until = now + left
        self._unbilled = event
        return self._await_bill(event, now, not_before=now)

    def _await_bill(self, event: RunEvent, now: float, *, not_before: float) -> RunEvent | None:
        """Wait for the bill of a completed run, but not for long, and without failing for what happens meanwhile."""
        until = self._bill_until if self._deadline is None else min(self._bill_until, self._deadline)
        if now >= until or not_before >= until:
            log.warning(
                "FLORA run %s completed, but FLORA has not settled its bill: it is given as None", self.ref.run_id
            )
            return event
        pause = BILL_PAUSE * 2.0 ** min(self._bill_polls, 10)
        self._bill_polls += 1
        self.due = self.page_due = min(max(now + pause, not_before), until)
        return None

    def _go_on(self, now: float, pause: float, page_pause: float, failure: FloraError | None = None) -> RunEvent | None:
        if self._deadline is not None and now >= self._deadline:
            return RunEvent.timed_out(self.ref, last_error=failure, seen=self.seen)
        self.due = self._in_time(now, pause)
        self.page_due = min(now + page_pause, self.due)
        return None

    def _in_time(self, now: float, pause: float) -> float:
        due = now + pause
        return due if self._deadline is None else min(due, max(self._deadline, now))

    def _unix(self, now: float) -> float:
        """The wall clock's time, as if nobody had set it since the wait began."""
        return self._unix_then + now - (self._begun or 0.0)


def _seconds_queued(run: Run) -> float:
    return (
        0.0 if run.started_at is None or run.created_at is None else (run.started_at - run.created_at).total_seconds()
    )


def _number(name: str, value: object) -> str | None:
    """Refuse numbers that clocks and sums of floats cannot take."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST:  # NaN is not
        return None
    return f"{name} is {short_repr(value)}: give a number of seconds"


def _above_zero(name: str, value: object) -> str | None:
    if isinstance(value, int | float) and _number(name, value) is None and value > 0:
        return None
    return f"{name} is {short_repr(value)}: give a number of seconds above zero"


def _estimate(name: str, value: object) -> str | None:
    """Accept any number, for FLORA gives it: one out of all bounds counts as none, since the run is paid."""
    return None if type(value) in (int, float) else _number(name, value)
