"""All waits of one process that look with the same settings: one client, one watch, one rate limit."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from flora_provider.api import checks
from flora_provider.api.errors import FloraError
from flora_provider.hooks.base import polling_client
from flora_provider.runs.event import RunEvent
from flora_provider.runs.watch import Watch, Watched
from flora_provider.triggers.lookups import Lookups

if TYPE_CHECKING:
    from flora_provider.api.client import AsyncFloraClient
    from flora_provider.api.settings import Settings
    from flora_provider.runs.wait import Wait

log = logging.getLogger(__name__)

# FLORA may keep us waiting (429) beyond a wait's deadline; then the wait ends without a last look.
OVERDUE = 15.0  # seconds
AT_ONCE = 6  # single looks on their way; FLORA was seen to take as many without a 429
# A look that has taken this long makes room for another one, and may go on beside it if few do. Pages that have taken
# this long are not waited for: what is due meanwhile is looked at singly.
HANGS_AFTER = 3.0  # seconds; FLORA answers in a tenth of it
HANGING = 3  # looks that may; with AT_ONCE and a page they are as many as a client has connections


class Watcher:
    """Waits that look with the same settings, on one event loop.

    The last one that leaves closes it: its client, its task, and looks on their way.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._watch = Watch(clock=time.monotonic, draw=random.random, unix_time=time.time)
        self._waiting: set[asyncio.Future[RunEvent | None]] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._hanging = asyncio.Semaphore(HANGING)

    async def wait_for(self, wait: Wait) -> RunEvent | None:
        """Wait for a run; None when FLORA refused to show it and the wait goes on. Cancelling this leaves nothing."""
        future: asyncio.Future[RunEvent | None] = asyncio.get_running_loop().create_future()

        def end(event: RunEvent | None = None) -> None:
            if not future.done():
                future.set_result(event)

        watched = Watched(wait, tell=end, refused=end)
        self._waiting.add(future)
        if self._watch.add(watched):
            self._changed.set()
        if self._task is None:
            # In a context of its own: what it logs is about all waits, so it must not go to the log of the first.
            self._task = asyncio.create_task(self._work(), context=Context())
        try:
            return await future
        finally:
            self._waiting.discard(future)
            self._watch.discard(watched)
            if not self._waiting:
                self._forget()
                self._task.cancel()

    async def _work(self) -> None:
        try:
            async with polling_client(self._settings) as client, asyncio.TaskGroup() as looks:
                while True:
                    await self._until_next_round()
                    await self._round(client, looks)
        except Exception as error:  # of the settings no client can be made, say; nobody must wait for ever
            log.exception("The waits of this process over one connection end")
            self._watch.end_all(
                error if isinstance(error, FloraError) else FloraError(f"{type(error).__name__} was raised")
            )
        finally:
            self._forget()
            for future in self._waiting:
                future.cancel()  # of those who were told nothing: somebody else has cancelled this task

    async def _round(self, client: AsyncFloraClient, looks: asyncio.TaskGroup) -> None:
        """Look at what is due. Neither pages nor looks that take long hold up the others for long."""
        pages = looks.create_task(self._pages(client))
        while True:
            await asyncio.wait([pages], timeout=HANGS_AFTER)
            for run_id in pages.result() if pages.done() else self._watch.due_now():
                await self._slots.acquire()
                looking = looks.create_task(self._look(client, run_id))
                looks.create_task(self._make_room(looking, run_id))
            if pages.done():
                return

    async def _pages(self, client: AsyncFloraClient) -> list[str]:
        try:
            return await client.perform(self._watch.round())
        except Exception as error:  # noqa: BLE001 - whatever it is, single looks may do
            self._watch.pages_broke(error)
            return []

    async def _look(self, client: AsyncFloraClient, run_id: str) -> None:
        try:
            await client.perform(self._watch.look(run_id))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the others' looks
            self._watch.broke(run_id, error)
        finally:
            self._changed.set()

    async def _make_room(self, looking: asyncio.Task[None], run_id: str) -> None:
        """Give a look's place to another one when it ends or hangs. Few that hang go on; more are given up."""
        try:
            await asyncio.wait([looking], timeout=HANGS_AFTER)
        finally:
            self._slots.release()
        if not looking.done() and not self._hanging.locked():
            async with self._hanging:
                await asyncio.wait([looking])
        elif looking.cancel():
            self._watch.gave_up(run_id, f"FLORA did not answer within {HANGS_AFTER:g} s, as for others")
            self._changed.set()

    async def _until_next_round(self) -> None:
        while (pause := self._watch.next_round - time.monotonic()) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause, 3600.0)):
                    await self._changed.wait()

    def _forget(self) -> None:
        """Whoever comes next gets a new watcher."""
        watchers = _here().watchers
        if watchers.get(self._settings) is self:
            del watchers[self._settings]


class ConnectionWaits:
    """Waits over one connection, on one event loop; `watcher_for` finds it.

    Each wait looks with the connection as it is when the wait begins. When FLORA refuses to show the run, the
    connection is read again, so a key that was rotated meanwhile is picked up. A wait whose key still works keeps it,
    whatever the connection has become: it may lead to another workspace by now.
    """

    def __init__(self, flora_conn_id: str) -> None:
        self._flora_conn_id = flora_conn_id
        self._lookups = Lookups(flora_conn_id)

    async def wait_for(self, wait: Wait) -> RunEvent:
        """Wait for a run. Cancelling this leaves nothing behind."""
        found = checks.problems([("flora_conn_id", self._flora_conn_id, checks.text)]) + wait.problems()
        if found:
            return RunEvent.invalid(wait.run_id, "; ".join(found))
        wait.begin(time.monotonic())
        limit = None if wait.remaining is None else wait.remaining + OVERDUE
        try:
            async with asyncio.timeout(limit) as overdue:
                return await self._follow(wait)
        except TimeoutError:
            if not overdue.expired():
                raise
            return wait.overdue()

    async def _follow(self, wait: Wait) -> RunEvent:
        try:
            settings = await self._lookups.persistently()
        except FloraError as failure:
            return RunEvent.refused(wait.run_id, failure)
        worked: Settings | None = None  # with which FLORA has shown the run
        tried = {settings}
        while True:
            event = await _watcher(settings).wait_for(wait)
            if event is not None:
                return event
            if wait.seen and worked is None:
                worked = settings
            try:
                now = await self._lookups.once()
            except FloraError as failure:
                log.warning("FLORA refuses to show run %s, and %s", wait.run_id, failure)
                now = settings
            # What was refused just now may be a moment's trouble of the right key: a connection that leads elsewhere
            # by now does not replace it for good.
            now = worked if now == settings and worked is not None else now
            if now != settings:
                log.info("FLORA run %s: looking with connection %r as it is now", wait.run_id, self._flora_conn_id)
                settings = now
                if settings not in tried:  # else two that are refused by turns would never pause
                    tried.add(settings)
                    wait.look_at(time.monotonic())


@dataclass(slots=True)
class _Here:
    """What is shared on one event loop."""

    watchers: dict[Settings, Watcher] = field(default_factory=dict)
    connections: dict[str, ConnectionWaits] = field(default_factory=dict)


_BY_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, _Here] = WeakKeyDictionary()


def _here() -> _Here:
    return _BY_LOOP.setdefault(asyncio.get_running_loop(), _Here())


def _watcher(settings: Settings) -> Watcher:
    """The watcher of this event loop for these settings; a new one if nobody waits with them yet."""
    watchers = _here().watchers
    if settings not in watchers:
        watchers[settings] = Watcher(settings)
    return watchers[settings]


def watcher_for(flora_conn_id: str) -> ConnectionWaits:
    """All waits of this event loop over a connection."""
    connections = _here().connections
    if not isinstance(flora_conn_id, str):  # whoever makes a trigger by hand may give anything; its wait says so
        return ConnectionWaits(flora_conn_id)
    return connections.setdefault(flora_conn_id, ConnectionWaits(flora_conn_id))
