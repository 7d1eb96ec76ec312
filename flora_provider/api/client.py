"""The clients: the only file that opens sockets, looks up names or sleeps.

    with FloraClient(api_key="…") as flora:
        fern = calls.generate(type="image", prompt="a fern", workspace_id="ws_1", project_id="prj_1")
        started = flora.send(fern.with_key("fern-1"))
        run = flora.run(wait_for_run(started.run_id, flora.context))
        for project in flora.items(calls.list_projects(workspace_id="ws_1")):
            …

`AsyncFloraClient` is the same with `await` and `async for`. Both run flows (see `http/flow.py`) and
are identical except sync and async.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from functools import singledispatchmethod
from types import MappingProxyType
from typing import Any, Self, TypeAlias, TypeVar

import httpx

from flora_provider.api.calls.base import Call
from flora_provider.api.calls.pagination import PageWalk
from flora_provider.api.calls.sending import send_call
from flora_provider.api.errors import FloraError, FloraInputError
from flora_provider.api.http import httpx_adapter as http
from flora_provider.api.http.body import BodyReader, FileSink, as_response, iter_raw
from flora_provider.api.http.environment import usable_proxy
from flora_provider.api.http.flow import (
    Effect,
    Fetch,
    FlowContext,
    Observer,
    Request,
    Resolve,
    Response,
    Send,
    Sleep,
)
from flora_provider.api.http.process import PROCESS, awaited, throttle_for
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.api.http.throttle import Throttle
from flora_provider.api.models import FloraModel, Page
from flora_provider.api.settings import Settings
from flora_provider.api.text import short_repr
from flora_provider.api.urls import host_of

T = TypeVar("T")
M = TypeVar("M", bound=FloraModel)
Handlers: TypeAlias = Mapping[type, Callable[[Any], Any]]
AsyncHandlers: TypeAlias = Mapping[type, Callable[[Any], Awaitable[Any]]]


class _Client:
    """What both clients share.

    Args:
        settings: how to reach FLORA; None to take the same as keywords (`api_key`, `base_url`, `timeout`, …). Of those,
            `api_key` and `base_url` come from `FLORA_API_KEY` and `FLORA_BASE_URL` unless given.
        transport: httpx's, for tests.
        observer: called with each request to the API and its answer, as `http.flow.Observer` says.

    Attributes:
        settings: the same.
        retry: how each call is retried.

    Raises:
        FloraInputError: a setting cannot be right, or there is no key.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        observer: Observer | None = None,
        **keywords: Any,
    ) -> None:
        if settings is None:
            settings = Settings.from_environment(**keywords)
        elif keywords:
            raise TypeError("give settings or keywords, not both")
        self.settings = settings
        self.retry = RetryPolicy(max_retries=settings.max_retries)
        self._transport, self._observer = transport, observer

    @property
    def context(self) -> FlowContext:
        """Retry policy, clocks and random numbers, for flows such as `upload` and `wait_for_run`."""
        return FlowContext(self.retry, time.time, random.random, time.monotonic)


class FloraClient(_Client):
    """FLORA, blocking. Threads may share one. Close it, or use it in a `with` statement.

    Flows run where you call it. Their requests are sent by an `AsyncFloraClient`, on an event loop that all blocking
    clients of a process share, in a thread of its own: only there can an attempt as a whole be bounded in time,
    whatever a server trickles. One that was made before a fork works in the child, too, over connections of its own.
    """

    def __init__(self, settings: Settings | None = None, **keywords: Any) -> None:
        super().__init__(settings, **keywords)
        self._sender = AsyncFloraClient(self.settings, transport=self._transport, observer=self._observer)

    def send(self, call: Call[T]) -> T:
        """Send a call, with its retries, and return its answer. What it may raise is in `errors.py`."""
        return self.run(send_call(call, self.context))

    def items(self, call: Call[Page[M]], *, max_items: int | None = None) -> Iterator[M]:
        """Go through all pages from this one on, each item once; `max_items` None for all."""
        walk = PageWalk(call, max_items=max_items)
        while walk.call is not None:
            yield from walk.take(self.send(walk.call))

    def run(self, flow: Generator[Any, Any, T], handlers: Handlers = MappingProxyType({})) -> T:
        """Run a flow to its end, and return what it returns; `handlers` execute effects of other types."""
        _refuse_unless_flow(flow)
        executors = {Sleep: lambda sleep: time.sleep(sleep.seconds), **handlers}
        step: Callable[[Any], Effect] = flow.send
        result: Any = None
        try:
            while True:
                try:
                    effect = step(result)
                except StopIteration as end:
                    value: T = end.value
                    return value
                try:
                    execute = executors.get(type(effect))
                    step, result = flow.send, execute(effect) if execute else awaited(self._sender.execute(effect))
                except FloraError as failure:
                    step, result = flow.throw, failure
        finally:
            flow.close()

    def close(self) -> None:
        """Close the connections."""
        awaited(self._sender.close())

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


class _Connections:
    """The connections of one client in one process, and its limits."""

    def __init__(
        self, settings: Settings, transport: httpx.AsyncBaseTransport | None, inherited: Throttle | None = None
    ) -> None:
        self.process = PROCESS.number
        self.throttle = throttle_for(settings, inherited)
        self.turn = asyncio.Lock()
        # Waiting for a connection is no part of an attempt. Files take long, and must not hold up calls.
        self.for_calls = asyncio.Semaphore(http.CONNECTIONS)
        self.for_files = asyncio.Semaphore(http.CONNECTIONS)
        arguments = http.client_arguments(settings)
        with usable_proxy(arguments["proxy"], environment=arguments["trust_env"] and transport is None):
            self.http = httpx.AsyncClient(transport=transport, **arguments)


class AsyncFloraClient(_Client):
    """FLORA, on one event loop. Close it, or use it in an `async with` statement."""

    def __init__(self, settings: Settings | None = None, **keywords: Any) -> None:
        super().__init__(settings, **keywords)
        self._closed = False
        self._of_processes = [_Connections(self.settings, self._transport)]

    @property
    def _connections(self) -> _Connections:
        """This process' own: a child makes others, and keeps the parent's, whose sockets are not its own to close."""
        if self._closed:
            raise FloraInputError("this client is closed: make another, or use it inside its `with` block")
        if (last := self._of_processes[-1]).process != PROCESS.number:
            self._of_processes.append(_Connections(self.settings, self._transport, last.throttle))
        return self._of_processes[-1]

    async def send(self, call: Call[T]) -> T:
        """Send a call, with its retries, and return its answer. What it may raise is in `errors.py`."""
        return await self.run(send_call(call, self.context))

    async def items(self, call: Call[Page[M]], *, max_items: int | None = None) -> AsyncIterator[M]:
        """Go through all pages from this one on, each item once; `max_items` None for all."""
        walk = PageWalk(call, max_items=max_items)
        while walk.call is not None:
            for item in walk.take(await self.send(walk.call)):
                yield item

    async def run(self, flow: Generator[Any, Any, T], handlers: AsyncHandlers = MappingProxyType({})) -> T:
        """Run a flow to its end, and return what it returns; `handlers` execute effects of other types."""
        _refuse_unless_flow(flow)
        step: Callable[[Any], Effect] = flow.send
        result: Any = None
        try:
            while True:
                try:
                    effect = step(result)
                except StopIteration as end:
                    value: T = end.value
                    return value
                try:
                    execute = handlers.get(type(effect), self.execute)
                    step, result = flow.send, await execute(effect)
                except FloraError as failure:
                    step, result = flow.throw, failure
        finally:
            flow.close()

    @singledispatchmethod
    async def execute(self, effect: Sleep) -> Any:
        """Execute one effect of a flow, and return its result."""
        await asyncio.sleep(effect.seconds)

    @execute.register
    async def _resolve(self, effect: Resolve) -> list[str]:
        with http.translated(effect.host):
            return http.addresses(await asyncio.get_running_loop().getaddrinfo(effect.host, None))

    @execute.register
    async def _send(self, effect: Send) -> Response:
        request, connections = effect.request, self._connections
        if request.is_api:
            async with connections.turn:  # first come, first served
                while (wait := connections.throttle.wait(time.monotonic())) > 0:  # noqa: ASYNC110 - the throttle says how long
                    await asyncio.sleep(wait)
        response: Response | None = None
        async with connections.for_calls if request.is_api else connections.for_files:
            sent = time.monotonic()
            try:
                response = await self._exchange(request, connections)
            finally:
                if self._observer and request.is_api:
                    self._observer(request, response)
        if request.is_api:
            asked = response.retry_after(time.time())
            connections.throttle.answered(response.status, retry_after=asked, sent=sent, now=time.monotonic())
        return response

    async def _exchange(self, request: Request, connections: _Connections) -> Response:
        """One attempt of one request."""
        arguments = http.request_arguments(request, self.settings)
        with http.translated(http.destination(request, self.settings)):
            async with (
                asyncio.timeout(http.seconds_for(request, self.settings)),
                connections.http.stream(**arguments) as answer,
            ):
                reader = BodyReader(answer, self.settings)
                async for chunk in iter_raw(answer):
                    if not reader.add(chunk):
                        break
        return reader.whole()

    @execute.register
    async def _fetch(self, effect: Fetch) -> Response:
        connections = self._connections
        with http.translated(host_of(effect.url)):
            async with (
                connections.for_files,
                asyncio.timeout(self.settings.timeout) as until_headers,
                connections.http.stream(**http.fetch_arguments(effect.url)) as answer,
            ):
                until_headers.reschedule(None)
                if answer.is_success:
                    file = FileSink(answer, effect.file, max_bytes=effect.max_bytes, timeout=self.settings.timeout)
                    async for chunk in iter_raw(answer):
                        file.add(chunk)
                    file.end()
                return as_response(answer)

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        connections = self._of_processes[-1]
        if connections.process == PROCESS.number:
            await connections.http.aclose()

    async def __aenter__(self) -> Self:
        """Close at the end of the block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()


def _refuse_unless_flow(flow: object) -> None:
    if not isinstance(flow, Generator):
        raise FloraInputError(f"{short_repr(flow)} is no flow: give what a function such as wait_for_run returns")
