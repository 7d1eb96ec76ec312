"""Spans, through OpenTelemetry, where the process has a tracer provider: each run that a task has taken is one.

Airflow from 3.2 on sets one up where its section `[traces]` says `otel_on`, and makes the span of the task, or of its
trigger, the current one, of which ours is a child. A process that was set up otherwise sends spans all the same.
A span never fails a task or a wait: what is raised here is logged at DEBUG, and nothing else happens.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from flora_provider import __version__
from flora_provider.api.errors import FloraError, RunFailed
from flora_provider.telemetry.facts import RunFacts

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

    from flora_provider.api.models import FinishedRun
    from flora_provider.runs.event import RunEvent

log = logging.getLogger(__name__)

SPAN = "flora.run"
"""The name of the span. Its attributes are the members of `RunFacts`, with `flora.` before their names."""

Request: TypeAlias = Callable[[], Mapping[str, Any] | None]
"""Gives XCom `request` of a run; called only where there are spans, for it may ask Airflow."""


def trace_completed(run: FinishedRun, request: Request) -> None:
    """Record a completed run as a span, once its task has it."""
    _record(lambda: RunFacts.completed(run, _asked(request)), run)


def trace_failed(failure: RunFailed, request: Request) -> None:
    """Record a failed run as a span, once its task has it."""
    _record(lambda: RunFacts.failed(failure, _asked(request)), failure.run)


def trace_ended(event: RunEvent, request: Request) -> None:
    """Record a run of a batch as a span, once the batch has remembered how it ended."""
    try:
        trace_completed(event.result(), request)
    except RunFailed as failure:
        trace_failed(failure, request)
    except FloraError:
        pass  # it may have ended, and a later poll tells


def is_traced() -> bool:
    """Whether this process sends spans: a look at two modules that are loaded, or are not."""
    # If nobody has loaded it, nobody has set up a provider.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return False
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider)


def _asked(request: Request) -> Mapping[str, Any] | None:
    try:
        return request()
    except Exception as error:  # noqa: BLE001 - whatever Airflow raises, the rest of the span is known
        log.debug("A span does not say what was asked for: Airflow raised %s", type(error).__name__)
        return None


def _record(facts: Callable[[], RunFacts], run: Mapping[str, Any] | None) -> None:
    try:
        if is_traced():
            from opentelemetry import trace  # noqa: PLC0415 - it need not be installed

            _send(trace.get_tracer("flora_provider", __version__), None, facts(), run)
    except Exception as error:  # noqa: BLE001 - whatever it is, a paid run is worth more than its span
        log.debug("A span was not recorded: %s was raised", type(error).__name__)


def _send(tracer: Tracer, parent: Context | None, facts: RunFacts, run: Mapping[str, Any] | None) -> None:
    from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 - the same

    began, ended = (_nanoseconds((run or {}).get(name)) for name in ("created_at", "completed_at"))
    attributes = {f"flora.{name}": value for name, value in facts.known().items()}
    span = tracer.start_span(SPAN, parent, SpanKind.CLIENT, attributes, start_time=began or ended)
    if facts.status == "failed":
        span.set_status(Status(StatusCode.ERROR, facts.error_code))
    else:
        span.set_status(Status(StatusCode.OK))
    span.end(None if ended is None else max(ended, began or ended))


def _nanoseconds(instant: str | None) -> int | None:
    """Since the epoch, of an instant in ISO 8601."""
    if not instant:
        return None
    at = datetime.fromisoformat(instant)
    return int(at.replace(microsecond=0).timestamp()) * 10**9 + at.microsecond * 1000
