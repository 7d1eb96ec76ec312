"""A small FLORA of our own: behaves as the API's contract says, faults included, without an account.

It knows neither Airflow nor the provider's client, so that it stays an independent oracle for both.

The names below load on first use: pytest imports this package at each of its starts, for the plugin in it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flora_provider.sandbox.app import Sandbox
    from flora_provider.sandbox.faults import Fault
    from flora_provider.sandbox.http.responses import ApiError
    from flora_provider.sandbox.sending import send_webhooks
    from flora_provider.sandbox.server import MissingExtraError, SandboxServer
    from flora_provider.sandbox.settings import Settings
    from flora_provider.sandbox.testing import FloraSandbox, StartedRun
    from flora_provider.sandbox.world.clock import Clock
    from flora_provider.sandbox.world.run_behavior import RunBehavior

__all__ = [
    "ApiError", "Clock", "Fault", "FloraSandbox", "MissingExtraError", "RunBehavior", "Sandbox", "SandboxServer",
    "Settings", "StartedRun", "send_webhooks",
]  # fmt: skip

_MODULES = {
    "ApiError": "http.responses",
    "Clock": "world.clock",
    "Fault": "faults",
    "FloraSandbox": "testing",
    "MissingExtraError": "server",
    "RunBehavior": "world.run_behavior",
    "Sandbox": "app",
    "SandboxServer": "server",
    "Settings": "settings",
    "StartedRun": "testing",
    "send_webhooks": "sending",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
