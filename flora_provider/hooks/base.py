"""A hook's connection and its clients; the verbs are in `flora.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from flora_provider.api import checks
from flora_provider.api.client import AsyncFloraClient, FloraClient
from flora_provider.api.errors import FloraInputError
from flora_provider.hooks.connection import Defaults, naming, read_connection, variable_problems
from flora_provider.hooks.once import once

if TYPE_CHECKING:
    from flora_provider.api.settings import Settings


@contextmanager
def existing(conn_id: str) -> Iterator[None]:
    """Look up a connection herein.

    Raises:
        FloraInputError: there is none of that name.
    """
    checks.refuse(checks.problems([("flora_conn_id", conn_id, checks.text)]))
    try:
        yield
    except AirflowNotFoundException:
        with naming(conn_id):
            checks.refuse(variable_problems(conn_id))
        raise FloraInputError(
            f"connection {conn_id!r} is not there: make one of type FLORA (Admin, Connections), or export "
            f"AIRFLOW_CONN_{conn_id.upper()}"
        ) from None


@dataclass(slots=True)
class _Shared:
    """The client of one event loop, and how many blocks use it."""

    making: asyncio.Lock = field(default_factory=asyncio.Lock)
    client: AsyncFloraClient | None = None
    blocks: int = 0


class ConnectedHook(BaseHook):
    """A connection of type `flora`, read once, and one client for it.

    Args:
        flora_conn_id: the connection.
    """

    conn_name_attr = "flora_conn_id"
    default_conn_name = "flora_default"
    conn_type = "flora"
    hook_name = "FLORA"

    def __init__(self, flora_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.flora_conn_id = flora_conn_id
        self._shared: dict[asyncio.AbstractEventLoop, _Shared] = {}

    @once
    def _connection(self) -> tuple[Settings, Defaults]:
        with existing(self.flora_conn_id):
            connection = self.get_connection(self.flora_conn_id)
        return read_connection(connection, connection.extra_dejson)

    @property
    def settings(self) -> Settings:
        """How to reach FLORA, from the connection."""
        return self._connection[0]

    @property
    def defaults(self) -> Defaults:
        """Workspace and project for tasks that name none."""
        return self._connection[1]

    def place(self, workspace_id: str | None = None, project_id: str | None = None) -> dict[str, Any]:
        """Workspace and project, each the connection's where None.

        Raises:
            FloraInputError: neither the caller nor the connection names one.
        """
        return {"workspace_id": self.workspace(workspace_id), "project_id": self.project(project_id)}

    def workspace(self, workspace_id: str | None = None) -> str:
        """The workspace, the connection's where None.

        Raises:
            FloraInputError: neither the caller nor the connection names one.
        """
        return self._given_or_default("workspace_id", workspace_id)

    def project(self, project_id: str | None = None) -> str:
        """The project, the connection's where None.

        Raises:
            FloraInputError: neither the caller nor the connection names one.
        """
        return self._given_or_default("project_id", project_id)

    def _given_or_default(self, name: str, value: str | None) -> str:
        value = value or getattr(self.defaults, name)
        if not value:
            raise FloraInputError(
                f"no {name} anywhere: give one to the task, or to the extra of connection {self.flora_conn_id!r}"
            )
        return value

    @once
    def _client(self) -> FloraClient:
        settings = self.settings
        with naming(self.flora_conn_id):
            return FloraClient(settings)

    def client(self) -> FloraClient:
        """The blocking client of this hook: one, made at its first use, closed with the hook."""
        return self._client

    def get_conn(self) -> FloraClient:
        """The same, under Airflow's usual name."""
        return self.client()

    @asynccontextmanager
    async def async_client(self) -> AsyncIterator[AsyncFloraClient]:
        """The client of this hook for this event loop: blocks at a time share one, and the last one closes it.

        Reading the connection does not block the loop.
        """
        loop = asyncio.get_running_loop()
        shared = self._shared.setdefault(loop, _Shared())
        shared.blocks += 1
        try:
            async with shared.making:
                shared.client = shared.client or await self._new_async_client()
            yield shared.client
        finally:
            shared.blocks -= 1
            if not shared.blocks:
                del self._shared[loop]
                if shared.client:
                    await shared.client.close()

    async def _new_async_client(self) -> AsyncFloraClient:
        with existing(self.flora_conn_id):
            connection = await get_async_connection(self.flora_conn_id)
        settings, _ = read_connection(connection, await get_async_extra_dejson(connection))
        with naming(self.flora_conn_id):
            return AsyncFloraClient(settings)

    def close(self) -> None:
        """Close the connections, if any were opened."""
        if client := self.__dict__.pop("_client", None):
            client.close()

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close."""
        self.close()
