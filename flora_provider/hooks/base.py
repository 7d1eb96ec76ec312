"""A hook's connection and its clients; the verbs are in the files beside it, by subject."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from flora_provider.api import validation
from flora_provider.api.calls.base import call_problems
from flora_provider.api.client import AsyncFloraClient, FloraClient
from flora_provider.api.errors import FloraError, FloraInputError
from flora_provider.hooks.connection import LIST_COMMAND, Defaults, naming, read_connection, variable_problems
from flora_provider.hooks.lazy import lazy
from flora_provider.runs.polling import poll_once
from flora_provider.telemetry.metrics import RequestMetrics, connect

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from flora_provider.api.calls import Call
    from flora_provider.api.settings import Settings
    from flora_provider.runs.event import RunEvent
    from flora_provider.runs.poller import RunPoller

T = TypeVar("T")
log = logging.getLogger(__name__)

# Seconds that a poll may take, in the triggerer: it is tried again anyway, and others wait for its place meanwhile.
POLL_TIMEOUT = 10.0


class ConnectionNotRead(FloraError):  # noqa: N818 - named for what happened
    """Airflow gave no connection of that name: there is none, or it could not be asked. Left to a task's `retries`."""

    def __init__(self, conn_id: str, reason: str) -> None:
        super().__init__(
            f"connection {conn_id!r} could not be read: {reason}. If there is none, make one of type FLORA (Admin, "
            f"Connections), or export AIRFLOW_CONN_{conn_id.upper()}. If there is one, whatever keeps it (a secrets "
            "backend, Airflow's API server or database) was away, and a retry reads it again"
        )


@contextmanager
def existing(conn_id: str) -> Iterator[None]:
    """Look up a connection herein.

    Raises:
        FloraInputError: this is no name of a connection.
        ConnectionNotRead: there is none, or it could not be asked for. Airflow says "not found" in both cases.
    """
    validation.raise_problems(validation.problems([("flora_conn_id", conn_id, validation.non_empty_text)]))
    try:
        yield
    except AirflowNotFoundException:
        with naming(conn_id):
            validation.raise_problems(variable_problems(conn_id))
        raise ConnectionNotRead(conn_id, "Airflow did not find it") from None
    except FloraError:
        raise
    except Exception as error:  # a database's, a backend's, the execution API's: there is no end of kinds
        # Its text may show a part of the connection.
        raise ConnectionNotRead(conn_id, f"asking for it raised {type(error).__name__}") from error


async def read_without_blocking(conn_id: str) -> tuple[Settings, Defaults]:
    """A connection as it is now, on an event loop; raises as `existing` and `read_connection`."""
    await connect()
    with existing(conn_id):
        connection = await get_async_connection(conn_id)
        extra = await _extra_of(connection)
    return read_connection(connection, extra)


async def _extra_of(connection: Connection) -> dict[str, Any]:
    """The extra of a connection. Airflow asks its supervisor to mask secrets in it, which must not block the loop."""
    from asgiref.sync import sync_to_async  # noqa: PLC0415 - only a wait needs it

    if hasattr(connection, "aextra_dejson"):  # Airflow 3.3.2 and newer
        extra: dict[str, Any] = await connection.aextra_dejson()
        return extra
    return await sync_to_async(lambda: connection.extra_dejson)()


def polling_client(settings: Settings) -> AsyncFloraClient:
    """A client for polls: it waits for an answer 10 s, or a sixth of the connection's timeout where that is longer."""
    shorter = replace(settings, timeout=min(settings.timeout, max(POLL_TIMEOUT, settings.timeout / 6)))
    return AsyncFloraClient(shorter, observer=RequestMetrics())


def blocking_client(settings: Settings) -> FloraClient:
    """A client for tasks."""
    return FloraClient(settings, observer=RequestMetrics())


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

    @lazy
    def _connection(self) -> tuple[Settings, Defaults]:
        return self._read_connection()

    def _read_connection(self) -> tuple[Settings, Defaults]:
        with existing(self.flora_conn_id):
            connection = self.get_connection(self.flora_conn_id)
            extra = connection.extra_dejson
        return read_connection(connection, extra)

    def poll_until_done(self, poller: RunPoller) -> RunEvent:
        """Poll one run until the wait is over. After FLORA has refused a poll, the connection is read again."""
        while True:
            event = self.client().run(poll_once(poller, self.client().context))
            if poller.is_refused:
                self._read_again()
            if event is not None:
                return event

    def _read_again(self) -> None:
        """Use the connection as it is now, if it has changed and can be used; else go on with what there is."""
        try:
            now = self._read_connection()
            if now == self._connection:
                return
            with naming(self.flora_conn_id):
                client = blocking_client(now[0])
        except FloraError as failure:
            log.warning("Going on with the connection as it was: %s", failure)
            return
        log.info("Connection %r was changed; going on with what it is now", self.flora_conn_id)
        self.close()
        self._connection, self._client = now, client

    @property
    def settings(self) -> Settings:
        """How to reach FLORA, from the connection."""
        return self._connection[0]

    @property
    def defaults(self) -> Defaults:
        """Workspace and project for tasks that name none."""
        return self._connection[1]

    def scope(self, workspace_id: str | None = None, project_id: str | None = None) -> dict[str, Any]:
        """Workspace and project, each the connection's where None; FloraInputError where that names none either."""
        return {"workspace_id": self.workspace(workspace_id), "project_id": self.project(project_id)}

    def workspace(self, workspace_id: str | None = None) -> str:
        """The workspace, as of `scope`."""
        return self._given_or_default("workspace_id", workspace_id)

    def project(self, project_id: str | None = None) -> str:
        """The project, as of `scope`."""
        return self._given_or_default("project_id", project_id)

    def _given_or_default(self, name: str, value: str | None) -> str:
        value = value or getattr(self.defaults, name)
        if not value:
            raise FloraInputError(
                f"no {name} anywhere: give one to the task, or to the extra of connection {self.flora_conn_id!r}; "
                f"`{LIST_COMMAND} {self.flora_conn_id}` lists yours"
            )
        return value

    @lazy
    def _client(self) -> FloraClient:
        settings = self.settings
        with naming(self.flora_conn_id):
            return blocking_client(settings)

    def client(self) -> FloraClient:
        """The blocking client of this hook: one, made at its first use, closed with the hook."""
        return self._client

    def get_conn(self) -> FloraClient:
        """The same, under Airflow's usual name."""
        return self.client()

    def send(self, call: Call[T], idempotency_key: str | None = None) -> T:
        """Send any call of `flora_provider.api.calls`, as the client does, under a key if one is given.

        Raises:
            FloraInputError: this is no call, or it takes no key, or this is none.
        """
        validation.raise_problems(call_problems(call))
        return self.client().send(call if idempotency_key is None else call.with_key(idempotency_key))

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
                if shared.client is None:
                    settings, _ = await read_without_blocking(self.flora_conn_id)
                    with naming(self.flora_conn_id):
                        shared.client = AsyncFloraClient(settings, observer=RequestMetrics())
            yield shared.client
        finally:
            shared.blocks -= 1
            if not shared.blocks:
                del self._shared[loop]
                if shared.client:
                    await shared.client.close()

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
