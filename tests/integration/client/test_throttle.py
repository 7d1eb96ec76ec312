"""How both clients keep the rate limit that is set, and the pauses that FLORA asks for."""

import asyncio
import gc
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from flora_provider.api import calls
from flora_provider.api.client import AsyncFloraClient, FloraClient
from flora_provider.api.http import process
from flora_provider.api.http.flow import Request, Send
from flora_provider.api.settings import Settings


def timed(responses=()):
    """A FLORA with these responses and then successes, and the times at which it was asked."""
    times, left = [], list(responses)

    def flora(_request):
        times.append(time.monotonic())
        return left.pop(0) if left else httpx.Response(200, json={})

    return flora, times


def test_both_clients_keep_the_limit(any_client):
    flora, times = timed()
    any_client(flora, requests_per_second=50).send_all([calls.request("GET", "x")] * 5)
    assert times[-1] - times[0] >= 3 / 50


def test_all_clients_of_a_process_keep_the_limit_of_their_key_together():
    flora, times = timed()
    settings = Settings(api_key="k", requests_per_second=50)

    async def ask():
        async with AsyncFloraClient(settings, transport=httpx.MockTransport(flora)) as client:
            await client.send(calls.request("GET", "x"))

    for _ in range(3):
        with FloraClient(settings, transport=httpx.MockTransport(flora)) as client:
            client.send(calls.request("GET", "x"))
        asyncio.run(ask())
    assert times[-1] - times[0] >= 4 / 50


@pytest.mark.parametrize("other", [{"api_key": "other"}, {"base_url": "https://flora.example.com"}])
def test_throttle_is_not_shared_with_another_key_or_base_url(other):
    flora, times = timed()
    for settings in ({"api_key": "k", "requests_per_second": 1}, {"api_key": "k", "requests_per_second": 1} | other):
        with FloraClient(Settings(**settings), transport=httpx.MockTransport(flora)) as client:
            client.send(calls.request("GET", "x"))
    assert times[-1] - times[0] < 0.5


def sends(*targets):
    """A flow that sends without retries or pauses of its own."""
    for url in targets:
        yield Send(Request(method="GET", url=url))


def test_retry_after_pauses_the_requests_of_every_flow(any_client):
    flora, times = timed([httpx.Response(429, headers={"retry-after": "0.05"})])
    client = any_client(flora)
    client.run(sends("/a"))
    client.run(sends("/b"))
    assert times[1] - times[0] >= 0.05


def test_threads_share_the_limit():
    flora, times = timed()
    with (
        FloraClient(api_key="k", requests_per_second=100, transport=httpx.MockTransport(flora)) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        list(threads.map(client.send, [calls.request("GET", "x")] * 8))
    assert times[-1] - times[0] >= 6 / 100


def test_async_tasks_are_served_in_the_order_they_came(any_client):
    order = []

    def flora(request):
        order.append(request.url.path[-1])
        return httpx.Response(200, json={})

    any_client(flora, requests_per_second=500).send_all([calls.request("GET", letter) for letter in "abcdefgh"])
    assert "".join(order) == "abcdefgh"


def test_file_storage_is_not_throttled(any_client):
    flora, times = timed()
    any_client(flora, requests_per_second=1).run(sends(*["https://storage.example.com/x"] * 5))
    assert times[-1] - times[0] < 0.5


def test_throttle_is_shared_by_equal_clients_and_not_kept_for_ever():
    settings = {"api_key": "sk_secret", "base_url": "https://a.example/api/v1"}
    first, second = FloraClient(**settings), FloraClient(**settings)
    other = FloraClient(**settings, requests_per_second=5)
    throttles = [weakref.ref(throttle) for throttle in process._throttles.values()]  # noqa: SLF001 - what is kept
    assert len(throttles) == 2
    assert "sk_secret" not in repr(dict(process._throttles))  # noqa: SLF001
    for client in (first, second, other):
        client.close()
    del first, second, other, client
    for number in range(16):
        FloraClient(**settings | {"api_key": f"sk_{number}"}).close()
    gc.collect()
    assert [throttle() for throttle in throttles] == [None, None]
