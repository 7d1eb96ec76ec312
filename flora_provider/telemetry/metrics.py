"""Metrics, through Airflow's own stats: StatsD, Datadog or OpenTelemetry, whichever its section `[metrics]` names.

A metric never fails a task or a wait: what its backend raises is logged at DEBUG, and nothing else happens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Stats

from flora_provider.api.calls import Call
from flora_provider.api.errors import FloraError, RunFailed

if TYPE_CHECKING:
    from flora_provider.api.http.flow import Request, Response
    from flora_provider.api.models import FinishedRun
    from flora_provider.runs.event import RunEvent

log = logging.getLogger(__name__)

REQUESTS = "flora.requests"
"""Counter: requests that this process sent to FLORA's API, each resend and each poll, answered or not."""

RATE_LIMITED = "flora.rate_limited"
"""Counter: those of them that FLORA answered with 429."""

RUNS_STARTED = "flora.runs_started"
"""Counter: runs that FLORA started for a request of this process. Tag `kind`: generation, technique or action."""

RUNS_FAILED = "flora.runs_failed"
"""Counter: failed runs that a task was given as its result. Tag `family`: of its error code, see `RetryAdvice`."""

COST_USD = "flora.cost_usd"
"""Counter of USD: bills of the runs that tasks have taken; a run that is not billed yet, or was reused, adds none."""

WAIT_SECONDS = "flora.wait_seconds"
"""Timer: how long a run that a task has taken took, from its creation to its completion, by FLORA's clock."""

_AMBIGUOUS = frozenset({408, 500, 502, 503, 504})  # statuses after which FLORA may have acted on the request
_RATE_LIMIT = 429


class RequestMetrics:
    """Counts the requests of one client, as its observer."""

    def __init__(self) -> None:
        self._unanswered: set[str] = set()  # keys with which this client may have started a run, unknown to it

    def __call__(self, request: Request, response: Response | None) -> None:
        """Count an attempt; `response` is None where no answer came."""
        with _never_failing():
            Stats.incr(REQUESTS)
            if response is not None and response.status == _RATE_LIMIT:
                Stats.incr(RATE_LIMITED)
            if isinstance(request, Call) and request.starts and self._has_started(request, response):
                _incr_part(RUNS_STARTED, "kind", request.starts)

    def _has_started(self, call: Call[Any], response: Response | None) -> bool:
        """Whether FLORA says now that this client has started a run.

        An answer that FLORA repeats is about a run of an earlier try, which has counted it; unless its first answer
        was lost on its way to this client.
        """
        key = dict(call.headers).get("Idempotency-Key", "")
        if response is not None and response.ok and b'"run_id"' in response.body:  # else it is of a proxy, say
            is_repeated = response.headers.get("idempotent-replayed", "").lower() == "true"
            was_lost = key in self._unanswered
            self._unanswered.discard(key)
            return was_lost or not is_repeated
        if response is None or response.ok or response.status in _AMBIGUOUS:
            self._unanswered.add(key)
        return False


def count_completed(run: FinishedRun) -> None:
    """Count a completed run, once its task has it."""
    with _never_failing():
        if cost := run["charged_cost"]:
            Stats.incr(COST_USD, cost)  # type: ignore[arg-type]  # every backend adds up fractions
        created, completed = run["created_at"], run["completed_at"]
        if created and completed:
            took = datetime.fromisoformat(completed) - datetime.fromisoformat(created)
            # As a timedelta, for each backend has its own unit: a StatsD timer has milliseconds.
            Stats.timing(WAIT_SECONDS, max(took, timedelta(0)))


def count_failed(failure: RunFailed) -> None:
    """Count a failed run, once its task has it."""
    with _never_failing():
        _incr_part(RUNS_FAILED, "family", failure.advice.name.lower())


def count_ended(event: RunEvent) -> None:
    """Count a run of a batch, once the batch has remembered how it ended."""
    try:
        count_completed(event.result())
    except RunFailed as failure:
        count_failed(failure)
    except FloraError:
        pass  # it may have ended, and a later poll tells


async def connect() -> None:
    """Make the process' stats backend, in a thread: it may look up a host name, which would block an event loop."""
    await asyncio.to_thread(_connect)


def _connect() -> None:
    with _never_failing():
        Stats.timer()  # of no name, so nothing is sent


def _incr_part(name: str, tag: str, value: str) -> None:
    """Count one under a name with a tag, and under a longer name for a StatsD without tags, as Airflow does."""
    Stats.incr(name, tags={tag: value})
    Stats.incr(f"{name}.{value}")


@contextmanager
def _never_failing() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, a paid run is worth more than its metric
        log.debug("A metric was not sent: %s was raised", type(error).__name__)
