"""The sandbox on a real port of this machine: an ASGI app that uvicorn runs in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Self, cast

import httpx

from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.wire import Answer

if TYPE_CHECKING:
    from uvicorn import Server

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

START_SECONDS = 15
"""How long a start may take before it counts as failed; a loaded machine needs a second or two."""


class MissingExtraError(ImportError):
    """The packages of the extra ``sandbox`` are not installed."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("The sandbox needs uvicorn and Pillow: pip install 'airflow-provider-flora[sandbox]'")


class SandboxServer:
    """A sandbox that listens on 127.0.0.1, for as long as its ``with`` block lasts.

    Example::

        with SandboxServer() as server:
            httpx.get(f"{server.base_url}/models", headers={"Authorization": f"Bearer {server.sandbox.api_key}"})

    Args:
        sandbox: What to serve; a fresh one with default settings if not given.
        port: Port; 0 takes a free one.

    Attributes:
        sandbox: What is served. Its faults, clock and settings may be changed from any thread.

    Raises:
        OSError: On entering, if the port is taken.
        MissingExtraError: On entering, if uvicorn or Pillow is missing.
    """

    def __init__(self, sandbox: Sandbox | None = None, port: int = 0) -> None:
        """Prepare; nothing listens before the ``with`` block is entered."""
        self.sandbox = sandbox or Sandbox()
        self._port = port
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Root, e.g. ``http://127.0.0.1:4711``; controls and media are under it."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """Base of the API, what ``FLORA_BASE_URL`` takes."""
        return f"{self.url}/api/v1"

    @property
    def connection_uri(self) -> str:
        """Value for ``AIRFLOW_CONN_FLORA_DEFAULT``, in Airflow's JSON format."""
        return self.sandbox.connection_json(self.url)

    def __enter__(self) -> Self:
        """Start listening; on return the port answers."""
        try:
            import PIL  # noqa: F401, PLC0415 - only to find out early; pictures are drawn when fetched
            import uvicorn  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError from None
        door = _Door(self.sandbox)
        config = uvicorn.Config(
            cast("Any", door),
            http=_counting_protocol(door),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", self._port))
        except OSError:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="flora-sandbox", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("The sandbox's server did not start.")
            time.sleep(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening; answers still on their way have a second to arrive."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()


class _Door:
    """The ASGI app in front of a sandbox, which knows the TCP connections it came through."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        # By the peer's host and port, which ASGI tells the app too: the way back from a request to its connection.
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def connected(self, transport: asyncio.Transport) -> None:
        self._sandbox.connections += 1
        self._transports[transport.get_extra_info("peername")[:2]] = transport

    def disconnected(self, transport: asyncio.Transport) -> None:
        self._transports.pop(transport.get_extra_info("peername")[:2], None)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        request = await _request(scope, receive)
        answer = self._sandbox.answer(request)
        latency = self._sandbox.settings.latency_ms / 1000
        trickles = answer.wire == "trickle"
        if pause := latency + (0 if trickles else answer.delay):
            await asyncio.sleep(pause)
        transport = self._transports.get(tuple(scope["client"]))
        if answer.wire in ("refuse", "drop"):
            _reset(transport)
            await _gone(receive)
            return
        # A client that gave up meanwhile is no fault of ours.
        with contextlib.suppress(OSError):
            await _send(answer, send, transport, answer.delay if trickles else 0)
            if answer.wire == "cut":
                await _gone(receive)


async def _request(scope: MutableMapping[str, Any], receive: Receive) -> httpx.Request:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    host = next((value for name, value in scope["headers"] if name == b"host"), b"127.0.0.1").decode("latin-1")
    query = scope["query_string"]
    target = (scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")
    return httpx.Request(scope["method"], f"http://{host}{target}", headers=scope["headers"], content=body)


async def _gone(receive: Receive) -> None:
    """Wait until uvicorn has noticed that the connection is closed; before that it would complain of no answer."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(answer: Answer, send: Send, transport: asyncio.Transport | None, pause: float) -> None:
    body = answer.body()
    await send(
        {"type": "http.response.start", "status": answer.response.status_code, "headers": answer.response.headers.raw}
    )
    if answer.wire == "cut":
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        if transport is not None:
            transport.close()  # not abort(): the half that was written must arrive
        return
    if pause:
        for position in range(len(body)):
            await send({"type": "http.response.body", "body": body[position : position + 1], "more_body": True})
            await asyncio.sleep(pause)
        body = b""
    await send({"type": "http.response.body", "body": body})


def _reset(transport: asyncio.Transport | None) -> None:
    """End a connection the hard way: with nothing to linger for, the kernel sends RST instead of FIN."""
    if transport is not None:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def _counting_protocol(door: _Door) -> Any:
    """Return uvicorn's HTTP protocol, httptools' or h11's, with an eye on its connections."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol  # noqa: PLC0415

    base: Any = AutoHTTPProtocol

    class CountingProtocol(base):  # type: ignore[misc]
        def connection_made(self, transport: asyncio.Transport) -> None:
            door.connected(transport)
            super().connection_made(transport)
            self._door_transport = transport

        def connection_lost(self, exc: Exception | None) -> None:
            door.disconnected(self._door_transport)
            super().connection_lost(exc)

    return CountingProtocol
