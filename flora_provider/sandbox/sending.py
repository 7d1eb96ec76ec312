"""Sending the webhooks that are due: in a test through a client of its own, on a port as long as it is open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx

from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.world.webhooks import TIMEOUT, Delivery, Webhooks

SEND_EVERY = 0.02
"""Seconds between two checks of what is due; the sandbox's clock may be moved at any time."""
MAX_CONCURRENT = 200
"""Attempts on the way at a time, each with a connection of its own; what is due beyond waits without timing out."""


def send_webhooks(sandbox: Sandbox, client: httpx.Client) -> int:
    """Send what is due now through a client; return how many attempts were made.

    Example::

        sandbox.clock.advance(60)
        send_webhooks(sandbox, httpx.Client(transport=httpx.MockTransport(receiver)))
    """
    deliveries = sandbox.webhooks.take_due()
    for delivery in deliveries:
        try:
            request = _request(sandbox.webhooks, delivery)
            status, error = client.send(request, follow_redirects=False).status_code, ""
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as failure:
            status, error = None, type(failure).__name__
        sandbox.webhooks.record(delivery, status, error)
    return len(deliveries)


async def keep_sending(sandbox: Callable[[], Sandbox]) -> None:
    """Send what is due, until this is cancelled; a receiver that takes its time holds up no other."""
    # No client: that would read the redirects and cookies of receivers, and fail on those that make no sense.
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncHTTPTransport(trust_env=False, limits=limits) as transport, asyncio.TaskGroup() as attempts:
        while True:
            webhooks = sandbox().webhooks
            for delivery in webhooks.take_due(MAX_CONCURRENT):
                attempts.create_task(_attempt(transport, webhooks, delivery))
            await asyncio.sleep(SEND_EVERY)


async def _attempt(transport: httpx.AsyncHTTPTransport, webhooks: Webhooks, delivery: Delivery) -> None:
    try:
        async with asyncio.timeout(TIMEOUT):
            # As a stream that nobody reads: what a receiver says beside its status is of no interest.
            response = await transport.handle_async_request(_request(webhooks, delivery))
            await response.aclose()
        webhooks.record(delivery, response.status_code)
    except (httpx.HTTPError, TimeoutError, OSError) as failure:
        webhooks.record(delivery, None, type(failure).__name__)


def _request(webhooks: Webhooks, delivery: Delivery) -> httpx.Request:
    url = delivery.run.request.callback_url
    # Signed at the machine's time, whatever the sandbox's clock says: the receiver looks at a clock of its own.
    return httpx.Request("POST", url, content=delivery.body, headers=webhooks.headers(delivery, int(time.time())))
