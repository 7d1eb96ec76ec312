"""The clients: the only file that opens sockets, looks up names or sleeps.

    with FloraClient(api_key="…") as flora:
        started = flora.send(calls.generate(type="image", prompt="a fern", workspace_id="ws_1", project_id="prj_1"))
        for project in flora.items(calls.list_projects(workspace_id="ws_1")):
            …

`AsyncFloraClient` is the same with `await` and `async for`. Both obey plans (see `plan.py`), so they differ in nothing
but colour.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from flora_provider.api import transport as http
from flora_provider.api.answers import Answer
from flora_provider.api.calls.call import Call
from flora_provider.api.errors import FloraError
from flora_provider.api.exchange import exchange
from flora_provider.api.models import Page
from flora_provider.api.paging import PageWalk
from flora_provider.api.plan import Effect, Fetch, Plan, Request, Resolve, Response, Send, Sleep
from flora_provider.api.retry import RetryPolicy
from flora_provider.api.settings import Settings

T = TypeVar("T")
M = TypeVar("M", bound=Answer)


class _Client:
    """What both colours share.

    Args:
        settings: how to reach FLORA; None to take the same as keywords (`api_key`, `base_url`, `timeout`, …), or,
            without an `api_key`, from `FLORA_API_KEY` and `FLORA_BASE_URL`.

    Raises:
        FloraInputError: a setting cannot be right, or there is no key.
    """

    def __init__(self, settings: Settings | None = None, **keywords: Any) -> None:
        if settings is None:
            settings = Settings(**keywords) if keywords else Settings.from_environment()
        elif keywords:
            raise TypeError("give settings or keywords, not both")
        self.settings = settings
        self._retry = RetryPolicy(max_retries=settings.max_retries)

    def _exchange(self, call: Call[T]) -> Plan[T]:
        return exchange(call, self._retry, clock=time.time, draw=random.random)


class FloraClient(_Client):
    """FLORA, blocking. Threads may share one. Close it, or use it in a `with` statement."""

    def __init__(
        self, settings: Settings | None = None, *, transport: httpx.BaseTransport | None = None, **keywords: Any
    ) -> None:
        super().__init__(settings, **keywords)
        self._http = httpx.Client(transport=transport, **http.client_arguments(self.settings))

    def send(self, call: Call[T]) -> T:
        """Send a call, with its retries, and return its answer. What it may raise is in `errors.py`."""
        return self.perform(self._exchange(call))

    def items(self, call: Call[Page[M]], *, max_items: int | None = None) -> Iterator[M]:
        """Go through all pages from this one on, each item once; `max_items` None for all."""
        walk = PageWalk(call, max_items=max_items)
        while walk.call is not None:
            yield from walk.take(self.send(walk.call))

    def perform(self, plan: Plan[T]) -> T:
        """Obey a plan to its end, and return what it returns."""
        try:
            effect = next(plan)
            while True:
                try:
                    result = self._act(effect)
                except FloraError as failure:
                    effect = plan.throw(failure)
                else:
                    effect = plan.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value
        finally:
            plan.close()

    def _act(self, effect: Effect) -> Any:
        match effect:
            case Send():
                return self._send(effect.request)
            case Sleep():
                return time.sleep(effect.seconds)
            case Fetch():
                return self._fetch(effect)
            case Resolve():
                with http.translated(effect.host):
                    return http.addresses(socket.getaddrinfo(effect.host, None))

    def _send(self, request: Request) -> Response:
        arguments = http.request_arguments(request, self.settings)
        with http.translated(self.settings.base_url), self._http.stream(**arguments) as answer:
            arriving = http.Arriving(answer, seconds=self.settings.timeout)
            for chunk in answer.iter_bytes(http.CHUNK):
                if not arriving.add(chunk):
                    break
            return arriving.whole()

    def _fetch(self, effect: Fetch) -> Response:
        with http.translated("the file's host"), self._http.stream(**http.fetch_arguments(effect.url)) as answer:
            if answer.is_success:
                file = http.FileArriving(effect.file, max_bytes=effect.max_bytes)
                for chunk in answer.iter_bytes(http.CHUNK):
                    file.add(chunk)
            return http.response(answer)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class AsyncFloraClient(_Client):
    """FLORA, on one event loop. Close it, or use it in an `async with` statement."""

    def __init__(
        self, settings: Settings | None = None, *, transport: httpx.AsyncBaseTransport | None = None, **keywords: Any
    ) -> None:
        super().__init__(settings, **keywords)
        self._http = httpx.AsyncClient(transport=transport, **http.client_arguments(self.settings))

    async def send(self, call: Call[T]) -> T:
        """Send a call, with its retries, and return its answer. What it may raise is in `errors.py`."""
        return await self.perform(self._exchange(call))

    async def items(self, call: Call[Page[M]], *, max_items: int | None = None) -> AsyncIterator[M]:
        """Go through all pages from this one on, each item once; `max_items` None for all."""
        walk = PageWalk(call, max_items=max_items)
        while walk.call is not None:
            for item in walk.take(await self.send(walk.call)):
                yield item

    async def perform(self, plan: Plan[T]) -> T:
        """Obey a plan to its end, and return what it returns."""
        try:
            effect = next(plan)
            while True:
                try:
                    result = await self._act(effect)
                except FloraError as failure:
                    effect = plan.throw(failure)
                else:
                    effect = plan.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value
        finally:
            plan.close()

    async def _act(self, effect: Effect) -> Any:
        match effect:
            case Send():
                return await self._send(effect.request)
            case Sleep():
                return await asyncio.sleep(effect.seconds)
            case Fetch():
                return await self._fetch(effect)
            case Resolve():
                with http.translated(effect.host):
                    return http.addresses(await asyncio.get_running_loop().getaddrinfo(effect.host, None))

    async def _send(self, request: Request) -> Response:
        arguments = http.request_arguments(request, self.settings)
        with http.translated(self.settings.base_url):
            async with asyncio.timeout(self.settings.timeout), self._http.stream(**arguments) as answer:
                arriving = http.Arriving(answer, seconds=self.settings.timeout)
                async for chunk in answer.aiter_bytes(http.CHUNK):
                    if not arriving.add(chunk):
                        break
                return arriving.whole()

    async def _fetch(self, effect: Fetch) -> Response:
        with http.translated("the file's host"):
            async with self._http.stream(**http.fetch_arguments(effect.url)) as answer:
                if answer.is_success:
                    file = http.FileArriving(effect.file, max_bytes=effect.max_bytes)
                    async for chunk in answer.aiter_bytes(http.CHUNK):
                        file.add(chunk)
                return http.response(answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Close at the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()
