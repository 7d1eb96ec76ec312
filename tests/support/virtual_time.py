"""The shared poller and its client as they are, before a FLORA and a clock that only timers move."""

import asyncio
import selectors
import time
from types import SimpleNamespace

import httpx
import pytest

from flora_provider.api.client import AsyncFloraClient
from flora_provider.api.http import process
from flora_provider.api.settings import Settings
from flora_provider.hooks.base import polling_client
from flora_provider.triggers.connection_reader import ConnectionReader
from tests.support.fake_flora import FakeFlora
from tests.support.flows import BEGIN

UPTIME = 777.0  # what the clock shows that nobody sets, when a test begins


class _TimeSkippingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timer, it is later."""

    def __init__(self, clock):
        super().__init__()
        self._clock = clock

    def select(self, timeout=None):
        self._clock.now += timeout or 0.0
        return super().select(0)


def run_in_virtual_time(coroutine):
    """Run a coroutine in no time, whatever it sleeps."""
    clock = SimpleNamespace(now=UPTIME)
    with (
        pytest.MonkeyPatch.context() as patches,
        asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_TimeSkippingSelector(clock))) as runner,
    ):
        patches.setattr(time, "monotonic", lambda: clock.now)
        return runner.run(coroutine)


class VirtualFlora(httpx.AsyncBaseTransport):
    """A FLORA in no time but that of its clock.

    Attributes:
        now: seconds of the clock that nobody sets.
        ahead: seconds by which the wall clock is ahead of the truth.
        hanging: paths that are not answered, and from when on.
    """

    def __init__(self, monkeypatch):
        self.now, self.offset = UPTIME, 0.0
        self.flora = FakeFlora()
        self.hanging = {}
        process._throttles.clear()  # noqa: SLF001 - what earlier tests have learned
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: self.true_time + self.offset)
        monkeypatch.setattr("flora_provider.triggers.shared_poller.polling_client", self._client)
        # Airflow reads connections in a thread, for which no virtual clock waits.
        settings = Settings(api_key="key")
        monkeypatch.setattr(ConnectionReader, "read", lambda _: asyncio.sleep(0, settings))

    @property
    def true_time(self):
        return BEGIN + self.now - UPTIME

    def start(self, seconds, *, history="/generations"):
        self.flora.now = self.true_time
        return self.flora.start(seconds, history=history)

    def run(self, coroutine):
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_TimeSkippingSelector(self))) as runner:
            return runner.run(coroutine)

    def _client(self, settings):
        return AsyncFloraClient(polling_client(settings).settings, transport=self)

    async def handle_async_request(self, request):
        path = request.url.path.removeprefix("/api/v1")
        self.flora.now = self.true_time
        answer = self.flora.handle(SimpleNamespace(method="GET", url=path, query=request.url.params.items()))
        await asyncio.sleep(1e6 if self.true_time >= self.hanging.get(path, 1e12) else 0.1)
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)
