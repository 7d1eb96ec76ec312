"""Waits bear a refusal for minutes before they leave it to `retries`; a test of what comes then has no minutes."""

from flora_provider.runs import patience

REFUSED_FOR = 45.0  # seconds


def shorten():
    """In this process, and in those that it forks."""
    assert patience.REFUSED_FOR >= REFUSED_FOR
    patience.REFUSED_FOR = REFUSED_FOR
