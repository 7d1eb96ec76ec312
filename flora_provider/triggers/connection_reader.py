"""Read a connection once for all waits of an event loop that need it at the same time."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from flora_provider.api.errors import FloraError
from flora_provider.hooks.base import read_without_blocking

if TYPE_CHECKING:
    from flora_provider.api.settings import Settings
    from flora_provider.hooks.connection import Defaults

log = logging.getLogger(__name__)

# A secrets backend, an API server or a database that restarts is back within a minute or two. A wait that has not begun
# to poll can afford to retry for that long; longer is for the task's `retries`.
RETRIES_FOR = 150.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0  # seconds; doubles from the first to the second


class ConnectionReader:
    """Reads one connection. A caller gets it as it was at the call, or later.

    Callers during a read share the next one: a thousand waits that begin at once take two reads.
    """

    def __init__(self, flora_conn_id: str) -> None:
        self._flora_conn_id = flora_conn_id
        self._one_at_a_time = asyncio.Lock()
        self._begun = 0  # reads
        self._found: tuple[int, tuple[Settings, Defaults] | FloraError | None] = (0, None)  # by which read

    async def read(self) -> Settings:
        """The connection as it is now; raises as `read_without_blocking`."""
        return (await self.read_with_defaults())[0]

    async def read_with_defaults(self) -> tuple[Settings, Defaults]:
        """The same, with the connection's workspace and project."""
        begun = self._begun
        async with self._one_at_a_time:
            number, found = self._found
            if found is None or number <= begun:  # that one had begun before this was called
                self._begun = number = self._begun + 1
                try:
                    found = await read_without_blocking(self._flora_conn_id)
                except FloraError as failure:
                    found = failure
                self._found = number, found
            if isinstance(found, FloraError):
                raise found
            return found

    async def read_with_retries(self) -> Settings:
        """The same, retried for some minutes: whatever is wrong, a paid run may depend on it."""
        until, pause = time.monotonic() + RETRIES_FOR, FIRST_PAUSE
        while True:
            try:
                return await self.read()
            except FloraError as failure:
                if time.monotonic() >= until:
                    raise
                log.warning("%s. Reading it again in %g s", failure, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
