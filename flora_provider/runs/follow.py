"""Plans that look at one run until the wait for it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flora_provider.api import calls, checks
from flora_provider.api.errors import FloraError
from flora_provider.api.exchange import Tools, exchange
from flora_provider.api.models import Run
from flora_provider.api.plan import Plan, Sleep
from flora_provider.api.retry import RetryPolicy
from flora_provider.runs.event import RunEvent
from flora_provider.runs.patience import VANISHED_FOR, is_weather
from flora_provider.runs.wait import PollPolicy, Wait

# Whoever follows a run needs these as well.
__all__ = [
    "ONE_TRY",
    "VANISHED_FOR",
    "PollPolicy",
    "Wait",
    "follow_run",
    "is_weather",
    "look_once",
    "wait_for_run",
    "wait_within",
]

# A look that failed is followed by another look anyway, so a single one is not tried again.
ONE_TRY = RetryPolicy(max_retries=0)


def look_once(
    wait: Wait, tools: Tools, *, look: Callable[[str], calls.Call[Run]] = calls.get_run
) -> Plan[RunEvent | None]:
    """Look at one run when it is due. Returns how the wait ended, or None when it goes on.

    Args:
        wait: the run, and when to look.
        tools: the client's. A look is tried once, whatever its policy: another one follows anyway.
        look: which call shows the run.
    """
    wait.begin(tools.steady())
    try:
        call = look(wait.run_id)
    except FloraError as failure:
        return RunEvent.invalid(wait.run_id, str(failure))
    pause = wait.due - tools.steady()
    if pause > 0:
        yield Sleep(pause)
    if unseen := wait.unseen_end():
        return unseen
    try:
        run = yield from exchange(call, replace(tools, policy=ONE_TRY))
    except FloraError as failure:
        return wait.missed(failure, now=tools.steady(), draw=tools.draw())
    return wait.saw(run, now=tools.steady(), draw=tools.draw())


def follow_run(wait: Wait, tools: Tools, *, look: Callable[[str], calls.Call[Run]] = calls.get_run) -> Plan[RunEvent]:
    """Look at one run until it has ended, the deadline has passed, or FLORA has refused to show it for minutes.

    Arguments as of `look_once`.
    """
    while (event := (yield from look_once(wait, tools, look=look))) is None:
        pass
    return event


def wait_within(
    run_id: str,
    *,
    now: float,
    timeout: float | None = None,
    poll_interval: float | timedelta = 3.0,
    started_at: float | None = None,
    estimated_seconds: float | None = None,
) -> Wait:
    """A wait of at most `timeout` seconds from `now`, in unix seconds; the rest is as of `wait_for_run`.

    Raises:
        FloraInputError: an argument cannot be right.
    """
    interval = poll_interval.total_seconds() if isinstance(poll_interval, timedelta) else poll_interval
    checks.refuse(checks.problems([("timeout", timeout, checks.optional(checks.seconds))]))
    wait = Wait(
        run_id,
        policy=PollPolicy(interval=interval),
        now=now,
        deadline=None if timeout is None else now + timeout,
        started_at=started_at,
        estimated_seconds=estimated_seconds,
    )
    checks.refuse(wait.problems())
    return wait


def wait_for_run(
    run_id: str,
    tools: Tools,
    *,
    timeout: float | None = None,
    poll_interval: float | timedelta = 3.0,
    started_at: float | None = None,
    estimated_seconds: float | None = None,
) -> Plan[dict[str, Any]]:
    """Wait until a run has ended; progress goes to the log when it changes.

        run = flora.perform(wait_for_run(started.run_id, flora.tools, timeout=600))

    A bill that is missing is waited for, until about 90 s after the run has completed.

    Args:
        run_id: the run.
        tools: the client's.
        timeout: seconds; None to wait for ever. The run goes on all the same.
        poll_interval: least seconds between two looks, or a timedelta.
        started_at: unix seconds at which it was started, if known.
        estimated_seconds: FLORA's estimate, if known.

    Returns:
        The finished run as a plain dict: run_id, status, outputs, charged_cost and its times.

    Raises:
        FloraInputError: an argument cannot be right.
        RunFailed: FLORA ended it as failed.
        RunTimedOut: `timeout` passed.
        WaitRefused: FLORA has refused for minutes to show it.
    """
    wait = wait_within(
        run_id,
        now=tools.clock(),
        timeout=timeout,
        poll_interval=poll_interval,
        started_at=started_at,
        estimated_seconds=estimated_seconds,
    )
    return (yield from follow_run(wait, tools)).result()
