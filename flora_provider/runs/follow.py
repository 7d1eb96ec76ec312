"""Plans that look at one run until the wait for it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flora_provider.api import calls, validation
from flora_provider.api.errors import FloraError
from flora_provider.api.http.flow import Flow, Sleep
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.api.http.retrying import FlowContext, send_call
from flora_provider.api.models import Run
from flora_provider.runs.event import RunEvent
from flora_provider.runs.poller import PollPolicy, RunPoller

# Whoever follows a run needs these as well.
__all__ = [
    "ONE_TRY",
    "PollPolicy",
    "RunPoller",
    "poll_once",
    "poll_until_done",
    "wait_for_run",
    "wait_within",
]

# A look that failed is followed by another look anyway, so a single one is not tried again.
ONE_TRY = RetryPolicy(max_retries=0)


def poll_once(
    wait: RunPoller, context: FlowContext, *, look: Callable[[str], calls.Call[Run]] = calls.get_run
) -> Flow[RunEvent | None]:
    """Look at one run when it is due. Returns how the wait ended, or None when it goes on.

    Args:
        wait: the run, and when to look.
        context: the client's. A look is tried once, whatever its policy: another one follows anyway.
        look: which call shows the run.
    """
    wait.begin(context.steady())
    try:
        call = look(wait.run_id)
    except FloraError as failure:
        return RunEvent.invalid(wait.run_id, str(failure))
    pause = wait.due - context.steady()
    if pause > 0:
        yield Sleep(pause)
    if unseen := wait.expire():
        return unseen
    try:
        run = yield from send_call(call, replace(context, policy=ONE_TRY))
    except FloraError as failure:
        return wait.on_error(failure, now=context.steady(), random=context.random())
    return wait.on_run(run, now=context.steady(), random=context.random())


def poll_until_done(
    wait: RunPoller, context: FlowContext, *, look: Callable[[str], calls.Call[Run]] = calls.get_run
) -> Flow[RunEvent]:
    """Look at one run until it has ended, the deadline has passed, or FLORA has refused to show it for minutes.

    Arguments as of `look_once`.
    """
    while (event := (yield from poll_once(wait, context, look=look))) is None:
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
) -> RunPoller:
    """A wait of at most `timeout` seconds from `now`, in unix seconds; the rest is as of `wait_for_run`.

    Raises:
        FloraInputError: an argument cannot be right.
    """
    interval = poll_interval.total_seconds() if isinstance(poll_interval, timedelta) else poll_interval
    validation.raise_problems(validation.problems([("timeout", timeout, validation.optional(validation.seconds))]))
    wait = RunPoller(
        run_id,
        policy=PollPolicy(interval=interval),
        now=now,
        deadline=None if timeout is None else now + timeout,
        started_at=started_at,
        estimated_seconds=estimated_seconds,
    )
    validation.raise_problems(wait.problems())
    return wait


def wait_for_run(
    run_id: str,
    context: FlowContext,
    *,
    timeout: float | None = None,
    poll_interval: float | timedelta = 3.0,
    started_at: float | None = None,
    estimated_seconds: float | None = None,
) -> Flow[dict[str, Any]]:
    """Wait until a run has ended; progress goes to the log when it changes.

        run = flora.run(wait_for_run(started.run_id, flora.context, timeout=600))

    A bill that is missing is waited for, until about 90 s after the run has completed.

    Args:
        run_id: the run.
        context: the client's.
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
        now=context.clock(),
        timeout=timeout,
        poll_interval=poll_interval,
        started_at=started_at,
        estimated_seconds=estimated_seconds,
    )
    return (yield from poll_until_done(wait, context)).result()
