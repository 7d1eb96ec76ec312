"""Ask Airflow's supervisor, which is asked synchronously, from a trigger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

ANSWERED_WITHIN = 120.0  # seconds; Airflow itself gives up on its api-server after some ten


def is_cancelled() -> bool:
    """Whether it is us who are cancelled, and not something that we have waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def in_thread(action: Callable[[], Any]) -> Any:
    """Ask in a thread.

    Raises:
        TimeoutError: it does not answer: it never answers what it cannot read (3.3.2).
    """
    try:
        async with asyncio.timeout(ANSWERED_WITHIN):
            return await asyncio.to_thread(action)
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise TimeoutError("Airflow's supervisor broke off") from None
