"""A small FLORA of our own: behaves as the API's contract says, faults included, without an account.

It knows neither Airflow nor the provider's client, so that it stays an independent oracle for both.
"""

from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.http.responses import ApiError
from flora_provider.sandbox.sending import send_webhooks
from flora_provider.sandbox.server import MissingExtraError, SandboxServer
from flora_provider.sandbox.settings import Settings
from flora_provider.sandbox.world.clock import Clock
from flora_provider.sandbox.world.run_behavior import RunBehavior

__all__ = [
    "ApiError", "Clock", "Fault", "MissingExtraError", "RunBehavior", "Sandbox", "SandboxServer", "Settings",
    "send_webhooks",
]  # fmt: skip
