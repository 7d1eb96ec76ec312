"""What leaves a trigger, made fit for Airflow's wire and its database.

A triggerer dies of an event that it cannot encode or store, and again after a restart, for the event is fired again.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from flora_provider.api.errors import FloraError
from flora_provider.api.text import short_repr, storable
from flora_provider.api.urls import redact_urls
from flora_provider.runs.event import RunEvent
from flora_provider.runs.ref import RunRef

MOST_SHOWN = 1000  # characters of an unforeseen error


class _Payload(dict[str, Any]):
    """Airflow logs every event that a trigger fires; addresses of outputs are not for logs."""

    def __repr__(self) -> str:
        return f"{self['run_id']}: {self['kind']}"


def sendable(value: Any) -> Any:
    """The same JSON value, as every wire and every database of Airflow's takes it.

    Raises:
        TypeError, ValueError, RecursionError: there is none: it is not JSON, holds a number that is none (infinity), or
            a whole number that does not fit into 64 bits, or is nested too deeply.
    """
    read = json.loads(text := json.dumps(value, allow_nan=False), parse_int=_int64)
    return storable(read) if "\\u" in text else read  # what cannot be stored is an escape there


def _int64(digits: str) -> int:
    number = int(digits)
    if not -(2**63) <= number < 2**63:
        raise ValueError("a whole number does not fit into 64 bits")
    return number


def keepable(value: Any) -> Any:
    """A keyword argument as the metadata database keeps it; what it cannot keep, as text, which `run` refuses."""
    if isinstance(value, timedelta):
        return value  # Airflow has a form for it
    try:
        return sendable(value)
    except (TypeError, ValueError, RecursionError):
        return as_text(value)


def payload_of(event: RunEvent) -> dict[str, Any]:
    """The event's payload; should it hold what cannot be sent, that of an event that says so."""
    try:
        payload = sendable(event.to_payload())
    except (TypeError, ValueError, RecursionError) as error:
        payload = sendable(refused(RunRef(event.run_id), f"its event cannot be sent: {error_text(error)}").to_payload())
    return _Payload(payload)


def refused(ref: RunRef, why: str) -> RunEvent:
    """The event of a wait that came to nothing for a reason of our own side, which a retry may cure."""
    return RunEvent.refused(RunRef(as_text(ref.run_id)), FloraError(why))


def as_text(value: object) -> str:
    """A value as text of readable length, whatever it is."""
    if isinstance(value, str) and len(value) <= MOST_SHOWN:
        return str(storable(redact_urls(value)))
    try:
        text = short_repr(value)
    except Exception:  # noqa: BLE001 - somebody else's `__repr__`, or one that is nested too deeply
        text = f"some {type(value).__name__}"
    return str(storable(redact_urls(text)))


def error_text(error: BaseException) -> str:
    """What an exception says, in a length that can be read; of a group, what its first member says."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    try:
        said = str(error)[:MOST_SHOWN]
    except Exception:  # noqa: BLE001 - somebody else's `__str__`
        said = ""
    return str(storable(redact_urls(f"{type(error).__name__}{': ' if said else ''}{said}")))
