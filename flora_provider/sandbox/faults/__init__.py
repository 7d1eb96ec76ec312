"""Faults: what goes wrong, with which calls, and how often."""

from flora_provider.sandbox.faults.faults import Fault, Faults

__all__ = ["Fault", "Faults"]
