"""Waits bear a refusal for minutes before they leave it to `retries`; a test of what comes then has no minutes."""

from flora_provider.runs import tolerance

REFUSED_FOR = 45.0  # seconds


def shorten():
    """In this process, and in those that it forks."""
    assert tolerance.REFUSED_FOR >= REFUSED_FOR
    tolerance.REFUSED_FOR = REFUSED_FOR
