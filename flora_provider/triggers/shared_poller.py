"""All waits of one event loop that poll with the same settings: one client, one scheduler, one rate limit."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from flora_provider.api import validation
from flora_provider.api.errors import FloraError
from flora_provider.api.http.flow import FlowContext
from flora_provider.api.urls import project_url
from flora_provider.hooks.base import polling_client
from flora_provider.runs.event import RunEvent
from flora_provider.runs.poll_policy import ONE_TRY
from flora_provider.runs.scheduler import PollScheduler
from flora_provider.runs.subscription import Subscription
from flora_provider.triggers.connection_reader import ConnectionReader

if TYPE_CHECKING:
    from flora_provider.api.client import AsyncFloraClient
    from flora_provider.api.settings import Settings
    from flora_provider.runs.poller import RunPoller
    from flora_provider.runs.ref import RunRef

log = logging.getLogger(__name__)

# FLORA may ask us to stay away (429) beyond a wait's deadline; then the wait ends without a last poll.
DEADLINE_GRACE = 15.0  # seconds
MAX_CONCURRENT_POLLS = 6  # single polls in flight; FLORA was seen to take as many without a 429
# A poll that has taken this long makes room for another one, and may go on beside it if few do. Pages that have taken
# this long are not waited for: what is due meanwhile is polled singly.
SLOW_AFTER = 3.0  # seconds; FLORA answers in a tenth of it
MAX_SLOW_POLLS = 3  # in flight; with MAX_CONCURRENT_POLLS and a page they are as many as a client has connections


class SharedPoller:
    """Waits that poll with the same settings, on one event loop.

    Closed when its last subscriber leaves: its client, its task, and polls in flight.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scheduler = PollScheduler(FlowContext(ONE_TRY, time.time, random.random, time.monotonic))
        self._waiting: set[asyncio.Future[RunEvent | None]] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_POLLS)
        self._slow = asyncio.Semaphore(MAX_SLOW_POLLS)

    async def wait_for(self, poller: RunPoller) -> RunEvent | None:
        """Wait for a run; None when FLORA refused to show it and the wait goes on. Cancelling this leaves nothing."""
        future: asyncio.Future[RunEvent | None] = asyncio.get_running_loop().create_future()

        def end(event: RunEvent | None = None) -> None:
            if not future.done():
                future.set_result(event)

        subscription = Subscription(poller, on_end=end, on_refused=end)
        self._waiting.add(future)
        if self._scheduler.add(subscription):
            self._changed.set()
        if self._task is None:
            # In a context of its own: what it logs is about all waits, so it must not go to the log of the first.
            self._task = asyncio.create_task(self._work(), context=Context())
        try:
            return await future
        finally:
            self._scheduler.discard(subscription)
            self._leave(future)

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Do not close herein, though nobody waits at times: to make a client anew holds the loop for 25 ms."""
        future: asyncio.Future[RunEvent | None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            yield
        finally:
            self._leave(future)

    def _leave(self, future: asyncio.Future[RunEvent | None]) -> None:
        self._waiting.discard(future)
        if not self._waiting:
            self._unregister()
            if self._task:
                self._task.cancel()

    async def _work(self) -> None:
        try:
            async with polling_client(self._settings) as client, asyncio.TaskGroup() as polls:
                while True:
                    await self._until_next_round()
                    await self._round(client, polls)
        except Exception as error:  # of the settings no client can be made, say; nobody must wait for ever
            log.exception("The waits of this process over one connection end")
            self._scheduler.end_all(
                error if isinstance(error, FloraError) else FloraError(f"{type(error).__name__} was raised")
            )
        finally:
            self._unregister()
            for future in self._waiting:
                future.cancel()  # of those who were told nothing: somebody else has cancelled this task

    async def _round(self, client: AsyncFloraClient, polls: asyncio.TaskGroup) -> None:
        """Poll what is due. Neither slow pages nor slow polls delay the others for long."""
        pages = polls.create_task(self._pages(client))
        while True:
            read = self._scheduler.pages_read
            await asyncio.wait([pages], timeout=SLOW_AFTER)
            if not pages.done() and self._scheduler.pages_read > read:
                continue  # many pages under a low limit: single polls would only queue with them
            for ref in pages.result() if pages.done() else self._scheduler.due_now():
                await self._slots.acquire()
                poll = polls.create_task(self._poll(client, ref))
                polls.create_task(self._limit(poll, ref))
            if pages.done():
                return

    async def _pages(self, client: AsyncFloraClient) -> list[RunRef]:
        try:
            return await client.run(self._scheduler.round())
        except Exception as error:  # noqa: BLE001 - whatever it is, single polls may do
            self._scheduler.pages_crashed(error)
            return []

    async def _poll(self, client: AsyncFloraClient, ref: RunRef) -> None:
        try:
            await client.run(self._scheduler.poll(ref))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the others' polls
            self._scheduler.poll_crashed(ref, error)
        finally:
            self._changed.set()

    async def _limit(self, poll: asyncio.Task[None], ref: RunRef) -> None:
        """Free a poll's slot when it ends or is slow. A few slow polls go on; more are given up."""
        try:
            await asyncio.wait([poll], timeout=SLOW_AFTER)
        finally:
            self._slots.release()
        if not poll.done() and not self._slow.locked():
            async with self._slow:
                await asyncio.wait([poll])
        elif poll.cancel():
            self._scheduler.poll_given_up(ref, f"no answer within {SLOW_AFTER:g} s, as for others")
            self._changed.set()

    async def _until_next_round(self) -> None:
        while (pause := self._scheduler.next_round - time.monotonic()) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause, 3600.0)):
                    await self._changed.wait()

    def _unregister(self) -> None:
        """Give later subscribers a new one."""
        pollers = _of_this_loop().pollers
        if pollers.get(self._settings) is self:
            del pollers[self._settings]


class ConnectionWaits:
    """Waits over one connection, on one event loop; see `waits_over`.

    Each wait polls with the settings that it is given, or with the connection as it is when the wait begins. When FLORA
    refuses to show the run, the connection is read again, so a key that was rotated meanwhile is picked up. A wait
    whose key still works keeps it, whatever the connection has become: it may lead to another workspace by now.
    """

    def __init__(self, flora_conn_id: str) -> None:
        self._flora_conn_id = flora_conn_id
        self._reader = ConnectionReader(flora_conn_id)

    async def default_project_url(self) -> str:
        """Where FLORA shows the connection's project; empty without one. Raises as `read_without_blocking`."""
        settings, defaults = await self._reader.read_with_defaults()
        return project_url(settings.base_url, defaults.project_id)

    def kept_open(self, settings: Settings) -> AbstractContextManager[None]:
        """Keep what waits with these settings share, for whoever waits again and again."""
        return _shared_poller(settings).kept_open()

    async def wait_for(self, poller: RunPoller, settings: Settings | None = None) -> RunEvent:
        """Wait for a run. Cancelling this leaves nothing behind.

        Args:
            poller: the run.
            settings: to begin with, of whoever has just started it; else the connection is read.
        """
        named = ("flora_conn_id", self._flora_conn_id, validation.non_empty_text)
        if found := validation.problems([named]) + poller.problems():
            return RunEvent.invalid(poller.ref, "; ".join(found))
        poller.begin(time.monotonic())
        limit = None if poller.remaining is None else poller.remaining + DEADLINE_GRACE
        try:
            async with asyncio.timeout(limit) as until:
                return await self._poll_until_done(poller, settings)
        except TimeoutError:
            if not until.expired():
                raise
            return poller.end_at_deadline()

    async def _poll_until_done(self, poller: RunPoller, settings: Settings | None) -> RunEvent:
        try:
            settings = settings or await self._reader.read_with_retries()
        except FloraError as failure:
            return RunEvent.refused(poller.ref, failure)
        worked: Settings | None = None  # with which FLORA has shown the run
        tried = {settings}
        while True:
            event = await _shared_poller(settings).wait_for(poller)
            if event is not None:
                return event
            if poller.seen and worked is None:
                worked = settings
            try:
                now = await self._reader.read()
            except FloraError as failure:
                log.warning("FLORA refuses to show run %s, and %s", poller.ref.run_id, failure)
                now = settings
            # What was refused just now may be a moment's trouble of the right key: a connection that leads elsewhere
            # by now does not replace it for good.
            now = worked if now == settings and worked is not None else now
            if now != settings:
                log.info(
                    "FLORA run %s: polling with connection %r as it is now", poller.ref.run_id, self._flora_conn_id
                )
                settings = now
                if settings not in tried:  # else two that are refused by turns would never pause
                    tried.add(settings)
                    poller.poll_at(time.monotonic())


@dataclass(slots=True)
class _Shared:
    """What is shared on one event loop."""

    pollers: dict[Settings, SharedPoller] = field(default_factory=dict)
    connections: dict[str, ConnectionWaits] = field(default_factory=dict)


_BY_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()


def _of_this_loop() -> _Shared:
    return _BY_LOOP.setdefault(asyncio.get_running_loop(), _Shared())


def _shared_poller(settings: Settings) -> SharedPoller:
    """The one of this event loop for these settings; a new one if nobody waits with them yet."""
    pollers = _of_this_loop().pollers
    if settings not in pollers:
        pollers[settings] = SharedPoller(settings)
    return pollers[settings]


def waits_over(flora_conn_id: str) -> ConnectionWaits:
    """All waits of this event loop over a connection."""
    connections = _of_this_loop().connections
    if not isinstance(flora_conn_id, str):  # a trigger that was made by hand may have anything here; its wait says so
        return ConnectionWaits(flora_conn_id)
    return connections.setdefault(flora_conn_id, ConnectionWaits(flora_conn_id))
