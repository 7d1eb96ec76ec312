"""Flows that poll one run until the wait for it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from flora_provider.api import validation
from flora_provider.api.calls.sending import send_call
from flora_provider.api.errors import FloraError
from flora_provider.api.http.flow import Flow, FlowContext, Sleep
from flora_provider.api.models import FinishedRun
from flora_provider.runs.event import RunEvent
from flora_provider.runs.poll_policy import ONE_TRY, PollPolicy
from flora_provider.runs.poller import RunPoller
from flora_provider.runs.ref import RunRef


def poll_once(poller: RunPoller, context: FlowContext) -> Flow[RunEvent | None]:
    """Poll one run when it is due, once, whatever the policy: another poll follows anyway.

    Returns how the wait ended, or None when it goes on.
    """
    poller.begin(context.steady())
    try:
        call = poller.ref.poll_call()
    except FloraError as failure:
        return RunEvent.invalid(poller.ref, str(failure))
    pause = poller.due - context.steady()
    if pause > 0:
        yield Sleep(pause)
    if expired := poller.expire():
        return expired
    try:
        run = yield from send_call(call, replace(context, policy=ONE_TRY))
    except FloraError as failure:
        return poller.on_error(failure, now=context.steady(), random=context.random())
    return poller.on_run(run, now=context.steady(), random=context.random())


def poll_until_done(poller: RunPoller, context: FlowContext) -> Flow[RunEvent]:
    """Poll one run until it has ended, the deadline has passed, or FLORA has refused to show it for minutes."""
    while (event := (yield from poll_once(poller, context))) is None:
        pass
    return event


def new_poller(
    ref: RunRef, *, now: float, timeout: float | None, poll_interval: float | timedelta, **known: Any
) -> RunPoller:
    """A poller that waits at most `timeout` seconds from `now`, in unix seconds; `known` as of `RunPoller`."""
    interval = poll_interval.total_seconds() if isinstance(poll_interval, timedelta) else poll_interval
    validation.raise_problems(validation.problems([("timeout", timeout, validation.optional(validation.seconds))]))
    deadline = None if timeout is None else now + timeout
    poller = RunPoller(ref, policy=PollPolicy(interval=interval), now=now, deadline=deadline, **known)
    validation.raise_problems(poller.problems())
    return poller


def wait_for_run(
    run_id: str,
    context: FlowContext,
    *,
    technique: str | None = None,
    timeout: float | None = None,
    poll_interval: float | timedelta = 3.0,
    started_at: float | None = None,
    estimated_seconds: float | None = None,
) -> Flow[FinishedRun]:
    """Wait until a run has ended; progress goes to the log when it changes.

        run = flora.run(wait_for_run(started.run_id, flora.context, timeout=600))

    A bill that is missing is waited for, until about 90 s after the run has completed.

    Args:
        run_id: the run.
        context: the client's.
        technique: id or slug, for a run that `calls.start_technique` started; None for every other run.
        timeout: seconds; None to wait for ever. The run goes on all the same.
        poll_interval: least seconds between two polls, or a timedelta.
        started_at: unix seconds at which it was started, if known.
        estimated_seconds: FLORA's estimate, if known.

    Returns:
        The finished run as a plain dict: run_id, status, outputs, charged_cost and its times.

    Raises:
        FloraInputError: an argument cannot be right.
        RunFailed: FLORA ended it as failed.
        RunError: it completed without an output.
        RunTimedOut: `timeout` passed.
        WaitRefused: FLORA has refused for minutes to show it.
    """
    ref, known = RunRef(run_id, technique), {"started_at": started_at, "estimated_seconds": estimated_seconds}
    poller = new_poller(ref, now=context.clock(), timeout=timeout, poll_interval=poll_interval, **known)
    return (yield from poll_until_done(poller, context)).result()
