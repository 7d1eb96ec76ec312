"""What a run means over time. Nothing here knows Airflow, a socket or a clock.

The names below load on first use: a DAG file imports `runs.event`, which must load neither httpx nor pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flora_provider.runs.polling import wait_for_run
    from flora_provider.runs.ref import RunRef

__all__ = ["RunRef", "wait_for_run"]

_MODULES = {"RunRef": "ref", "wait_for_run": "polling"}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
