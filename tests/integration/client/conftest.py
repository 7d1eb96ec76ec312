"""Both clients by one fixture, which does the same through either."""

import asyncio
import gzip
import random
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from flora_provider.api.client import AsyncFloraClient, FloraClient
from flora_provider.api.http import process
from flora_provider.api.http.flow import FlowContext
from flora_provider.api.http.retry_policy import RetryPolicy

KEY = "sk_test_do_not_show"


class AnyClient:
    """A sync client, or an async one on a loop of its own, behind the same blocking methods."""

    def __init__(self, client):
        self.client = client
        self._loop = asyncio.Runner() if isinstance(client, AsyncFloraClient) else None

    def _result(self, returned):
        return self._loop.run(returned) if self._loop else returned

    def send(self, call):
        return self._result(self.client.send(call))

    def send_all(self, calls):
        """One after the other, or all at once."""
        return self.send_at_once(calls) if self._loop else [self.client.send(call) for call in calls]

    def send_at_once(self, calls):
        async def gather():
            return await asyncio.gather(*(self.client.send(call) for call in calls))

        if self._loop:
            return self._loop.run(gather())
        with ThreadPoolExecutor(len(calls)) as threads:
            return list(threads.map(self.client.send, calls))

    def items(self, call, **options):
        async def collect():
            return [item async for item in self.client.items(call, **options)]

        return self._loop.run(collect()) if self._loop else list(self.client.items(call, **options))

    def run(self, flow):
        return self._result(self.client.run(flow))

    def close(self):
        self._result(self.client.close())

    def leave(self):
        """Close it as a context manager."""

        async def leave():
            async with self.client as client:
                assert client is self.client

        if self._loop:
            self._loop.run(leave())
            self._loop.close()
        else:
            with self.client as client:
                assert client is self.client


@pytest.fixture(autouse=True)
def _own_throttles():
    """What FLORA asked of one test's clients does not slow another's."""
    process._throttles.clear()  # noqa: SLF001 - what earlier tests have learned


@pytest.fixture(params=["sync", "async"])
def any_client(request):
    """Make a client of either kind: `any_client(handler, timeout=1)`, its handler taking httpx.Request, or without a
    handler one that really connects. Retries wait for milliseconds."""
    made = []

    def make(handler=None, *, transport=None, **settings):
        transport = httpx.MockTransport(handler) if handler else transport
        kind = {"sync": FloraClient, "async": AsyncFloraClient}[request.param]
        # Certificates take 40 ms to load, and plain http needs none.
        verify = not settings.get("base_url", "").startswith("http:")
        client = kind(**{"api_key": KEY, "transport": transport, "verify": verify, **settings})
        client.retry = RetryPolicy(max_retries=client.settings.max_retries, first_delay=0.001)
        made.append(AnyClient(client))
        return made[-1]

    yield make
    for client in made:
        client.leave()


@pytest.fixture(scope="session")
def api_key():
    return KEY


class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Bytes that come in pieces, as from a network, for both clients."""

    def __init__(self, content, size):
        self._pieces = [content[start : start + size] for start in range(0, len(content), size)]

    def __iter__(self):
        yield from self._pieces

    async def __aiter__(self):
        for piece in self:
            yield piece


@pytest.fixture(scope="session")
def stream():
    """Make a body that is not read before the client reads it: `stream(content, size=65536)`."""
    return lambda content, size=65_536: Stream(content, size)


@pytest.fixture(scope="session")
def bomb():
    """20 MB of nothing, as one piece of network traffic."""
    return gzip.compress(bytes(20_000_000), compresslevel=1)


@pytest.fixture
def context():
    """For flows that a client runs."""
    return FlowContext(RetryPolicy(first_delay=0.001), time.time, random.random)
