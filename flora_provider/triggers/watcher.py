"""All waits of one process over one connection: one client, one watcher, one rate limit."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from flora_provider.api.errors import FloraAuthenticationError, FloraError
from flora_provider.hooks.flora import FloraHook
from flora_provider.runs.event import RunEvent
from flora_provider.runs.watch import Watch, Watched

if TYPE_CHECKING:
    from flora_provider.api.client import AsyncFloraClient
    from flora_provider.runs.follow import Wait

# FLORA may keep us waiting (429) beyond a wait's deadline; then the wait ends without a last look.
OVERDUE = 15.0  # seconds
AT_ONCE = 6  # single looks on their way; FLORA was seen to take as many without a 429


class Watcher:
    """Waits over one connection, on one event loop; `watcher_for` finds it.

    The last one who waits closes it: its client, its task, and looks on their way. When FLORA refuses the key, the
    connection is read again, so a key that was rotated meanwhile is picked up.
    """

    def __init__(self, flora_conn_id: str) -> None:
        self._flora_conn_id = flora_conn_id
        self._watch = Watch(clock=time.time, draw=random.random)
        self._waiting: set[asyncio.Future[RunEvent]] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def wait_for(self, wait: Wait) -> RunEvent:
        """Wait for a run. Cancelling this leaves nothing behind."""
        future: asyncio.Future[RunEvent] = asyncio.get_running_loop().create_future()
        watched = Watched(wait, tell=lambda event: None if future.done() else future.set_result(event))
        self._waiting.add(future)
        if self._watch.add(watched):
            self._changed.set()
        if self._task is None:
            # In a context of its own: what it logs is about all waits, so it must not go to the log of the first.
            self._task = asyncio.create_task(self._work(), context=Context())
        limit = None if wait.deadline is None else max(wait.deadline - time.time(), 0.0) + OVERDUE
        try:
            async with asyncio.timeout(limit) as overdue:
                return await future
        except TimeoutError:
            if not overdue.expired():
                raise
            return RunEvent.timed_out(wait.run_id)
        finally:
            self._waiting.discard(future)
            self._watch.discard(watched)
            if not self._waiting:
                self._forget()
                self._task.cancel()

    async def _work(self) -> None:
        refusal: FloraAuthenticationError | None = None
        refused_key = ""
        try:
            while True:
                async with FloraHook(self._flora_conn_id).async_client() as client:
                    if refusal and client.settings.api_key == refused_key:
                        raise refusal  # noqa: TRY301 - the client is closed before anybody is told
                    refusal, refused_key = await self._rounds(client), client.settings.api_key
        except FloraError as error:
            # The key is refused, or the connection was changed into one that cannot work.
            self._watch.end_all(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            for future in self._waiting:
                if not future.done():
                    future.set_exception(error)
        finally:
            self._forget()
            for future in self._waiting:
                future.cancel()  # of those who were told nothing: somebody else has cancelled this task

    async def _rounds(self, client: AsyncFloraClient) -> FloraAuthenticationError:
        """Look at what is due, until FLORA refuses the key; that is returned."""
        self._watch.restart()
        slots = asyncio.Semaphore(AT_ONCE)
        try:
            # A look that takes long holds up nobody: the next round does not wait for it.
            async with asyncio.TaskGroup() as looks:
                while True:
                    await self._until_next_round()
                    for run_id in await client.perform(self._watch.round()):
                        await slots.acquire()
                        looks.create_task(self._look(client, run_id, slots))
        except* FloraAuthenticationError as group:
            refusals = [error for error in group.exceptions if isinstance(error, FloraAuthenticationError)]
        return refusals[0]

    async def _look(self, client: AsyncFloraClient, run_id: str, slots: asyncio.Semaphore) -> None:
        try:
            await client.perform(self._watch.look(run_id))
        finally:
            slots.release()
            self._changed.set()

    async def _until_next_round(self) -> None:
        while (pause := self._watch.next_round - time.time()) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause, 3600.0)):
                    await self._changed.wait()

    def _forget(self) -> None:
        """Whoever comes next gets a new watcher."""
        watchers = _watchers()
        if watchers.get(self._flora_conn_id) is self:
            del watchers[self._flora_conn_id]


def watcher_for(flora_conn_id: str) -> Watcher:
    """The watcher of this event loop for a connection; a new one if nobody waits over it yet."""
    watchers = _watchers()
    if flora_conn_id not in watchers:
        watchers[flora_conn_id] = Watcher(flora_conn_id)
    return watchers[flora_conn_id]


_WATCHERS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Watcher]] = WeakKeyDictionary()


def _watchers() -> dict[str, Watcher]:
    return _WATCHERS.setdefault(asyncio.get_running_loop(), {})
