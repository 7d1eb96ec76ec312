"""The clients: the only file that opens sockets, looks up names or sleeps.

    with FloraClient(api_key="…") as flora:
        fern = calls.generate(type="image", prompt="a fern", workspace_id="ws_1", project_id="prj_1")
        started = flora.send(fern.with_key("fern-1"))
        run = flora.perform(wait_for_run(started.run_id, flora.tools))
        for project in flora.items(calls.list_projects(workspace_id="ws_1")):
            …

`AsyncFloraClient` is the same with `await` and `async for`. Both obey plans (see `plan.py`), so they differ in nothing
but colour.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from flora_provider.api import transport as http
from flora_provider.api.answers import Answer
from flora_provider.api.arriving import Arriving, FileArriving, as_response, raw
from flora_provider.api.calls.call import Call
from flora_provider.api.checks import shown
from flora_provider.api.environment import usable_proxy
from flora_provider.api.errors import FloraError, FloraInputError
from flora_provider.api.exchange import Tools, exchange
from flora_provider.api.models import Page
from flora_provider.api.pace import Pacer
from flora_provider.api.paging import PageWalk
from flora_provider.api.plan import Effect, Fetch, Plan, Request, Response, Send, Sleep
from flora_provider.api.process import PACERS, PROCESS, awaited
from flora_provider.api.retry import RetryPolicy, retry_after
from flora_provider.api.settings import Settings

T = TypeVar("T")
M = TypeVar("M", bound=Answer)


class _Client:
    """What both colours share.

    Args:
        settings: how to reach FLORA; None to take the same as keywords (`api_key`, `base_url`, `timeout`, …). Of those,
            `api_key` and `base_url` come from `FLORA_API_KEY` and `FLORA_BASE_URL` unless given.

    Attributes:
        settings: the same.
        retry: how each call is retried.

    Raises:
        FloraInputError: a setting cannot be right, or there is no key.
    """

    def __init__(self, settings: Settings | None = None, **keywords: Any) -> None:
        if settings is None:
            settings = Settings.from_environment(**keywords)
        elif keywords:
            raise TypeError("give settings or keywords, not both")
        self.settings = settings
        self.retry = RetryPolicy(max_retries=settings.max_retries)

    @property
    def tools(self) -> Tools:
        """What plans for this client are to be given, such as `upload` and `wait_for_run`."""
        return Tools(self.retry, time.time, random.random, time.monotonic)


class FloraClient(_Client):
    """FLORA, blocking. Threads may share one. Close it, or use it in a `with` statement.

    Plans run where you call it. What they send is sent by an `AsyncFloraClient`, on an event loop that all blocking
    clients of a process share, in a thread of its own: only there can an attempt as a whole be bounded in time,
    whatever a server trickles. One that was made before a fork works in the child, too, over connections of its own.
    """

    def __init__(
        self, settings: Settings | None = None, *, transport: httpx.AsyncBaseTransport | None = None, **keywords: Any
    ) -> None:
        super().__init__(settings, **keywords)
        self._sender = AsyncFloraClient(self.settings, transport=transport)

    def send(self, call: Call[T]) -> T:
        """Send a call, with its retries, and return its answer. What it may raise is in `errors.py`."""
        return self.perform(exchange(call, self.tools))

    def items(self, call: Call[Page[M]], *, max_items: int | None = None) -> Iterator[M]:
        """Go through all pages from this one on, each item once; `max_items` None for all."""
        walk = PageWalk(call, max_items=max_items)
        while walk.call is not None:
            yield from walk.take(self.send(walk.call))

    def perform(self, plan: Plan[T]) -> T:
        """Obey a plan to its end, and return what it returns."""
        _refuse_unless_plan(plan)
        step: Callable[[Any], Effect] = plan.send
        result: Any = None
        try:
            while True:
                try:
                    effect = step(result)
                except StopIteration as end:
                    value: T = end.value
                    return value
                try:
                    step, result = plan.send, self._act(effect)
                except FloraError as failure:
                    step, result = plan.throw, failure
        finally:
            plan.close()

    def _act(self, effect: Effect) -> Any:
        if isinstance(effect, Sleep):
            return time.sleep(effect.seconds)
        return awaited(self._sender.act(effect))

    def close(self) -> None:
        """Close the connections."""
        awaited(self._sender.close())

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class _Line:
    """What the requests of one client in one process go through."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None) -> None:
        self.process = PROCESS.number
        limit = settings.requests_per_second
        self.pacer = PACERS.setdefault((settings.base_url, settings.api_key, limit), Pacer(limit))
        self.turn = asyncio.Lock()
        # Waiting for a connection is no part of an attempt. Files take long, and must not hold up calls.
        self.for_calls = asyncio.Semaphore(http.CONNECTIONS)
        self.for_files = asyncio.Semaphore(http.CONNECTIONS)
        arguments = http.client_arguments(settings)
        with usable_proxy(arguments["proxy"], environment=arguments["trust_env"] and transport is None):
            self.http = httpx.AsyncClient(transport=transport, **arguments)


class AsyncFloraClient(_Client):
    """FLORA, on one event loop. Close it, or use it in an `async with` statement."""

    def __init__(
        self, settings: Settings | None = None, *, transport: httpx.AsyncBaseTransport | None = None, **keywords: Any
    ) -> None:
        super().__init__(settings, **keywords)
        self._transport = transport
        self._closed = False
        self._lines = [_Line(self.settings, transport)]

    @property
    def _line(self) -> _Line:
        """This process' own: a child makes another, and keeps the parent's, whose sockets are not its own to close."""
        if self._lines[-1].process != PROCESS.number:
            self._lines.append(_Line(self.settings, self._transport))
        return self._lines[-1]

    async def send(self, call: Call[T]) -> T:
        """Send a call, with its retries, and return its answer. What it may raise is in `errors.py`."""
        return await self.perform(exchange(call, self.tools))

    async def items(self, call: Call[Page[M]], *, max_items: int | None = None) -> AsyncIterator[M]:
        """Go through all pages from this one on, each item once; `max_items` None for all."""
        walk = PageWalk(call, max_items=max_items)
        while walk.call is not None:
            for item in walk.take(await self.send(walk.call)):
                yield item

    async def perform(self, plan: Plan[T]) -> T:
        """Obey a plan to its end, and return what it returns."""
        _refuse_unless_plan(plan)
        step: Callable[[Any], Effect] = plan.send
        result: Any = None
        try:
            while True:
                try:
                    effect = step(result)
                except StopIteration as end:
                    value: T = end.value
                    return value
                try:
                    step, result = plan.send, await self.act(effect)
                except FloraError as failure:
                    step, result = plan.throw, failure
        finally:
            plan.close()

    async def act(self, effect: Effect) -> Any:
        """Do one thing that a plan asks for, and return its result."""
        if self._closed:
            raise FloraInputError("this client is closed: make another, or use it inside its `with` block")
        match effect:
            case Send():
                return await self._send(effect.request)
            case Sleep():
                return await asyncio.sleep(effect.seconds)
            case Fetch():
                return await self._fetch(effect)
            case _:  # Resolve
                with http.translated(effect.host):
                    return http.addresses(await asyncio.get_running_loop().getaddrinfo(effect.host, None))

    async def _send(self, request: Request) -> Response:
        line = self._line
        if request.is_for_flora:
            async with line.turn:  # first come, first served
                while (wait := line.pacer.wait(time.monotonic())) > 0:  # noqa: ASYNC110 - the pacer tells the time
                    await asyncio.sleep(wait)
        arguments = http.request_arguments(request, self.settings)
        async with line.for_calls if request.is_for_flora else line.for_files:
            sent = time.monotonic()
            with http.translated(http.place_of(request, self.settings)):
                async with (
                    asyncio.timeout(http.seconds_for(request, self.settings)),
                    line.http.stream(**arguments) as answer,
                ):
                    arriving = Arriving(answer, self.settings)
                    async for chunk in raw(answer):
                        if not arriving.add(chunk):
                            break
        response = arriving.whole()
        if request.is_for_flora:
            asked = retry_after(response.headers, now=time.time())
            line.pacer.answered(response.status, retry_after=asked, sent=sent, now=time.monotonic())
        return response

    async def _fetch(self, effect: Fetch) -> Response:
        line = self._line
        with http.translated(http.host_of(effect.url)):
            async with (
                line.for_files,
                asyncio.timeout(self.settings.timeout) as until_headers,
                line.http.stream(**http.fetch_arguments(effect.url)) as answer,
            ):
                until_headers.reschedule(None)
                if answer.is_success:
                    file = FileArriving(answer, effect.file, max_bytes=effect.max_bytes, patience=self.settings.timeout)
                    async for chunk in raw(answer):
                        file.add(chunk)
                    file.end()
                return as_response(answer)

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        line = self._lines[-1]
        if line.process == PROCESS.number:
            await line.http.aclose()

    async def __aenter__(self) -> Self:
        """Close at the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()


def _refuse_unless_plan(plan: object) -> None:
    if not isinstance(plan, Generator):
        raise FloraInputError(f"{shown(plan)} is no plan: give what a function such as wait_for_run returns")
