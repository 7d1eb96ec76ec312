"""A small FLORA of our own: behaves as the API's contract says, faults included, without an account.

It knows neither Airflow nor the provider's client, so that it stays an independent oracle for both.
"""

from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.clock import Clock
from flora_provider.sandbox.fate import Fate
from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.settings import Settings

__all__ = ["Clock", "Fate", "Fault", "Sandbox", "Settings"]
