"""The ASGI app in front of a sandbox: latency, and what faults do to a connection."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.http.delivery import DeliveredResponse
from flora_provider.sandbox.http.limits import MAX_UPLOAD, max_body
from flora_provider.sandbox.http.request import Request
from flora_provider.sandbox.http.responses import ApiError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DRAIN_BYTES = MAX_UPLOAD
DRAIN_SECONDS = 5
"""How much more is read, and how long, from a client that sends too much: many read no answer before they are done."""


_OWN_HOST = re.compile(r"([\w-]+|\d+(\.\d+){3}|\[[\da-f:.]+\])(:\d{1,5})?", re.ASCII | re.IGNORECASE)
_FORBIDDEN = DeliveredResponse(
    ApiError(
        403,
        "forbidden",
        "Pages of other sites may not use the sandbox's controls. If this is the sandbox's own page, open it at an IP "
        "address, at localhost or at another name without dots.",
    )
    .api_response()
    .encode()
)


def is_foreign(request: Request) -> bool:
    """Whether a page of another site asks for the sandbox's controls or its page.

    A browser sends other sites' requests, too, but says where they come from (`Origin`). A name that its owner points
    at this machine ("DNS rebinding") is told by its dots: every name that can be bought has one.
    """
    if request.path != "/" and not request.path.startswith(("/_sandbox", "/projects/")):
        return False
    host = request.headers.get("host", "localhost")
    return _OWN_HOST.fullmatch(host) is None or request.headers.get("origin", request.root) != request.root


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
        request, is_whole = await _request(scope, receive)
        if request is None:
            return
        sandbox = self._sandbox()
        answer = _FORBIDDEN if is_foreign(request) else sandbox.answer(request)
        latency = sandbox.settings.latency_ms / 1000
        await self._pause(latency + (0 if answer.delivery == "trickle" else answer.delay))
        transport = self._transports.get(tuple(scope["client"] or ()))
        if answer.delivery in ("refuse", "drop"):
            _reset(transport)
            await _gone(receive)
            return
        # A client that gave up meanwhile is no fault of ours.
        with contextlib.suppress(OSError):
            await self._send(answer, send, receive if not is_whole else None)
        if answer.delivery == "cut" and transport is not None:
            transport.close()  # not abort(): the half that was written must arrive
            await _gone(receive)

    async def _send(self, answer: DeliveredResponse, send: Send, unread: Receive | None) -> None:
        body = answer.response.content
        headers = {"content-length": str(len(body)), **answer.response.headers}
        if unread is not None:
            headers["connection"] = "close"
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
        if unread is not None:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await _drain(unread)
            body = b""
        await send({"type": "http.response.body", "body": body})


async def _request(scope: MutableMapping[str, Any], receive: Receive) -> tuple[Request | None, bool]:
    """Return the request, and whether that is all of it; None if the client went away in the middle of it.

    Of a body that is too large no more is read than shows that it is.
    """
    content, more, limit = bytearray(), True, max_body(scope["path"])
    while more and len(content) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None, False
        content += message.get("body", b"")
        more = message.get("more_body", False)
    return Request.from_asgi(scope, bytes(content)), not more


async def _drain(receive: Receive) -> None:
    """Read on for a while and forget it: a connection closed while data arrives is reset, and the answer lost."""
    left = DRAIN_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0 and (message := await receive()).get("more_body", False):
                left -= len(message.get("body", b""))


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
