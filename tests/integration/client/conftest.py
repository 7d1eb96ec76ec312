"""How clients are tested: both colours by one fixture, which does the same through either."""

import asyncio
import gzip
import random
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from flora_provider.api.client import AsyncFloraClient, FloraClient
from flora_provider.api.http import process
from flora_provider.api.http.context import FlowContext
from flora_provider.api.http.retry_policy import RetryPolicy

KEY = "sk_test_do_not_show"


class Blocking:
    """The sync client, behind the words that `Awaited` has too."""

    def __init__(self, client):
        self.client = client

    def send(self, call):
        return self.client.send(call)

    def send_all(self, calls):
        return [self.client.send(call) for call in calls]

    def send_at_once(self, calls):
        with ThreadPoolExecutor(len(calls)) as threads:
            return list(threads.map(self.client.send, calls))

    def items(self, call, **options):
        return list(self.client.items(call, **options))

    def run(self, flow):
        return self.client.run(flow)

    def shut(self):
        self.client.close()

    def close(self):
        with self.client as client:
            assert client is self.client


class Awaited:
    """The async client on a loop of its own."""

    def __init__(self, client):
        self.client = client
        self._loop = asyncio.Runner()

    def send(self, call):
        return self._loop.run(self.client.send(call))

    def send_all(self, calls):
        async def gather():
            return await asyncio.gather(*(self.client.send(call) for call in calls))

        return self._loop.run(gather())

    send_at_once = send_all

    def items(self, call, **options):
        async def collect():
            return [item async for item in self.client.items(call, **options)]

        return self._loop.run(collect())

    def run(self, flow):
        return self._loop.run(self.client.run(flow))

    def shut(self):
        self._loop.run(self.client.close())

    def close(self):
        async def close():
            async with self.client as client:
                assert client is self.client

        self._loop.run(close())
        self._loop.close()


@pytest.fixture(autouse=True)
def _own_pace():
    """What FLORA asked of one test's clients does not slow another's."""
    process._throttles.clear()  # noqa: SLF001 - what earlier tests have learned


@pytest.fixture(params=["sync", "async"])
def any_client(request):
    """A client of either colour: `colour(handler, timeout=1)`, its handler taking httpx.Request, or without a handler
    one that really connects. Retries wait for milliseconds."""
    made = []

    def make(handler=None, *, transport=None, **settings):
        transport = httpx.MockTransport(handler) if handler else transport
        kind, shell = {"sync": (FloraClient, Blocking), "async": (AsyncFloraClient, Awaited)}[request.param]
        # Certificates take 40 ms to load, and plain http needs none.
        verify = not settings.get("base_url", "").startswith("http:")
        client = kind(**{"api_key": KEY, "transport": transport, "verify": verify, **settings})
        client.retry = RetryPolicy(max_retries=client.settings.max_retries, first_delay=0.001)
        made.append(shell(client))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture(scope="session")
def api_key():
    return KEY


class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Bytes that come in pieces, as from a network, for both colours."""

    def __init__(self, content, size):
        self._pieces = [content[start : start + size] for start in range(0, len(content), size)]

    def __iter__(self):
        yield from self._pieces

    async def __aiter__(self):
        for piece in self._pieces:
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
    """What a plan is given that a client performs."""
    return FlowContext(RetryPolicy(first_delay=0.001), time.time, random.random)
