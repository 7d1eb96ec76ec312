"""Clients over a connection as it is, for a trigger that starts runs."""

from __future__ import annotations

from typing import Self

from flora_provider.api.client import AsyncFloraClient
from flora_provider.api.errors import FloraError
from flora_provider.api.settings import Settings
from flora_provider.telemetry.metrics import RequestMetrics
from flora_provider.triggers.connection_reader import ConnectionReader


class ConnectionClients:
    """A client that is made anew when the connection changes. Open and close it with `async with`.

    Args:
        flora_conn_id: the connection.

    Attributes:
        current: the client to use now; none before it is opened.
    """

    current: AsyncFloraClient

    def __init__(self, flora_conn_id: str) -> None:
        self._reader = ConnectionReader(flora_conn_id)
        self._made: list[AsyncFloraClient] = []

    async def renew(self, failed: AsyncFloraClient) -> bool:
        """Read the connection again, for FLORA refuses the key of a client; True if there is another one to use."""
        if self.current is failed:
            try:
                settings = await self._reader.read()
            except FloraError:
                return False
            # Runs of one place are none of another.
            if settings == failed.settings or settings.base_url != failed.settings.base_url:
                return False
            if self.current is failed:
                self._use(settings)
        return True

    def _use(self, settings: Settings) -> None:
        self.current = AsyncFloraClient(settings, observer=RequestMetrics())
        self._made.append(self.current)

    async def __aenter__(self) -> Self:
        """Read the connection; raises as `ConnectionReader.read_with_retries`."""
        self._use(await self._reader.read_with_retries())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all that were made: others' requests may have been on their way when one was replaced."""
        for client in self._made:
            await client.close()
