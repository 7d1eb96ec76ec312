"""All waits of one process over one connection: one client, one watcher, one rate limit."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
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


class Watcher:
    """Waits over one connection, on one event loop; `watcher_for` finds it.

    It works as long as somebody waits, then closes its client. When FLORA refuses the key, the connection is read
    again: a key that was rotated meanwhile is picked up.
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
            self._task = asyncio.create_task(self._work())
        limit = None if wait.deadline is None else max(wait.deadline - time.time(), 0.0) + OVERDUE
        try:
            async with asyncio.timeout(limit):
                return await future
        except TimeoutError:
            return RunEvent.timed_out(wait.run_id)
        finally:
            self._waiting.discard(future)
            self._watch.discard(watched)
            if not self._waiting:
                self._changed.set()

    async def _work(self) -> None:
        refused: FloraAuthenticationError | None = None
        refused_key = ""
        try:
            while self._watch:
                async with FloraHook(self._flora_conn_id).async_client() as client:
                    if refused and client.settings.api_key == refused_key:
                        self._watch.end_all(refused)
                    else:
                        refused, refused_key = await self._rounds(client), client.settings.api_key
        except FloraError as error:
            # The connection was changed into one that cannot work.
            self._watch.end_all(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            for future in self._waiting:
                if not future.done():
                    future.set_exception(error)
        finally:
            _watchers().pop(self._flora_conn_id, None)

    async def _rounds(self, client: AsyncFloraClient) -> FloraAuthenticationError | None:
        """Look at what is due until nobody waits any more, or FLORA refuses the key."""
        while (at := self._watch.next_round) is not None:
            pause = at - time.time()
            if pause > 0:
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()
                continue
            try:
                alone = await client.perform(self._watch.round())
                async with asyncio.TaskGroup() as looks:
                    for run_id in alone:
                        looks.create_task(client.perform(self._watch.look(run_id)))
            except* FloraAuthenticationError as group:
                refused = next(error for error in group.exceptions if isinstance(error, FloraAuthenticationError))
            else:
                continue
            return refused
        return None


def watcher_for(flora_conn_id: str) -> Watcher:
    """The watcher of this event loop for a connection; a new one if nobody waits over it yet."""
    watchers = _watchers()
    if flora_conn_id not in watchers:
        watchers[flora_conn_id] = Watcher(flora_conn_id)
    return watchers[flora_conn_id]


_WATCHERS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Watcher]] = WeakKeyDictionary()


def _watchers() -> dict[str, Watcher]:
    return _WATCHERS.setdefault(asyncio.get_running_loop(), {})
