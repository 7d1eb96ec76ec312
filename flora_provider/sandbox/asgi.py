"""The ASGI app in front of a sandbox: latency, and what faults do to a connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.http.delivery import DeliveredResponse
from flora_provider.sandbox.http.request import Request

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class AsgiApp:
    """The ASGI app in front of a sandbox, which knows the TCP connections its requests came through."""

    def __init__(self, sandbox: Callable[[], Sandbox]) -> None:
        self._sandbox = sandbox
        # By the peer's address, which ASGI tells the app too: the way back from a request to its connection.
        self._transports: dict[tuple[Any, ...], asyncio.Transport] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = asyncio.Event()

    def connected(self, transport: asyncio.Transport) -> tuple[Any, ...]:
        """Count a new connection and return its peer address."""
        peer = tuple((transport.get_extra_info("peername") or ())[:2])
        self._sandbox().connections += 1
        self._transports[peer] = transport
        return peer

    def disconnected(self, peer: tuple[Any, ...]) -> None:
        """Forget a closed connection."""
        self._transports.pop(peer, None)

    def close(self) -> None:
        """End all pauses, from any thread: uvicorn waits for answers on their way, and one may be an hour late."""
        if self._loop is None:
            self._closed.set()
        else:
            self._loop.call_soon_threadsafe(self._closed.set)

    async def _pause(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), seconds)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = await _request(scope, receive)
        if request is None:
            return
        sandbox = self._sandbox()
        answer = sandbox.answer(request)
        latency = sandbox.settings.latency_ms / 1000
        await self._pause(latency + (0 if answer.delivery == "trickle" else answer.delay))
        transport = self._transports.get(tuple(scope["client"] or ()))
        if answer.delivery in ("refuse", "drop"):
            _reset(transport)
            await _gone(receive)
            return
        # A client that gave up meanwhile is no fault of ours.
        with contextlib.suppress(OSError):
            await self._send(answer, send)
        if answer.delivery == "cut" and transport is not None:
            transport.close()  # not abort(): the half that was written must arrive
            await _gone(receive)

    async def _send(self, answer: DeliveredResponse, send: Send) -> None:
        body = answer.response.content
        headers = {"content-length": str(len(body)), **answer.response.headers}
        raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.response.status, "headers": raw_headers})
        if answer.delivery == "cut":
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            return
        if answer.delivery == "trickle":
            for position in range(len(body)):
                await send({"type": "http.response.body", "body": body[position : position + 1], "more_body": True})
                await self._pause(answer.delay)
            body = b""
        await send({"type": "http.response.body", "body": body})


async def _request(scope: MutableMapping[str, Any], receive: Receive) -> Request | None:
    """Return the whole request, or None if the client went away in the middle of it."""
    chunks, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return Request.from_asgi(scope, b"".join(chunks))


async def _gone(receive: Receive) -> None:
    """Wait until uvicorn has noticed that the connection is closed; before that it would complain of no answer."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _reset(transport: asyncio.Transport | None) -> None:
    """End a connection the hard way: with nothing to linger for, the kernel sends RST instead of FIN."""
    if transport is not None:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def counting_protocol(app: AsgiApp) -> Any:
    """Return uvicorn's HTTP protocol, httptools' or h11's, with an eye on its connections."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol  # noqa: PLC0415

    base: Any = AutoHTTPProtocol

    class CountingProtocol(base):  # type: ignore[misc]
        def connection_made(self, transport: asyncio.Transport) -> None:
            self._peer = app.connected(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            app.disconnected(self._peer)
            super().connection_lost(exc)

    return CountingProtocol
