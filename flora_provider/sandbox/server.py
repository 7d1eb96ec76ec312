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
from flora_provider.sandbox.http.delivery import DeliveredResponse

if TYPE_CHECKING:
    from uvicorn import Server

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

START_SECONDS = 15
"""How long a start may take before it counts as failed; a loaded machine needs a second or two."""


class MissingExtraError(ImportError):
    """The packages of the extra `sandbox` are not installed."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("The sandbox needs uvicorn and Pillow: pip install 'airflow-provider-flora[sandbox]'")


class SandboxServer:
    """A sandbox that listens on 127.0.0.1, for as long as its `with` block lasts.

    Example::

        with SandboxServer() as server:
            httpx.get(f"{server.base_url}/models", headers={"Authorization": f"Bearer {server.sandbox.api_key}"})

    Args:
        sandbox: What to serve; a fresh one with default settings if not given.
        port: Port; 0 takes a free one.

    Attributes:
        sandbox: What is served. Its faults, clock and settings may be changed from any thread; assigning another one
            takes effect with the next request.

    Raises:
        OSError: On entering, if the port is taken.
        MissingExtraError: On entering, if uvicorn or Pillow is missing.
    """

    def __init__(self, sandbox: Sandbox | None = None, port: int = 0) -> None:
        """Prepare; nothing listens before the `with` block is entered."""
        self.sandbox = sandbox or Sandbox()
        self._port = port
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._asgi_app = AsgiApp(self)

    @property
    def url(self) -> str:
        """Root, e.g. `http://127.0.0.1:4711`; controls and media are under it."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """Base of the API, what `FLORA_BASE_URL` takes."""
        return f"{self.url}/api/v1"

    @property
    def connection_uri(self) -> str:
        """Value for `AIRFLOW_CONN_FLORA_DEFAULT`, in Airflow's JSON format."""
        return self.sandbox.connection_json(self.url)

    def __enter__(self) -> Self:
        """Start listening; on return the port answers."""
        try:
            import PIL  # noqa: F401, PLC0415 - only to find out early; pictures are drawn when fetched
            import uvicorn  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError from None
        config = uvicorn.Config(
            cast("Any", self._asgi_app),
            http=_counting_protocol(self._asgi_app),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            # As long as the proxies that stand before such APIs; uvicorn would close a connection between two polls.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        # asyncio switches Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
        """Stop listening; answers still on their way are sent at once."""
        if self._server is not None and self._thread is not None:
            self._asgi_app.close()
            self._server.should_exit = True
            self._thread.join()


class AsgiApp:
    """The ASGI app in front of a sandbox, which knows the TCP connections it came through."""

    def __init__(self, server: SandboxServer) -> None:
        self._of = server
        # By the peer's address, which ASGI tells the app too: the way back from a request to its connection.
        self._transports: dict[tuple[Any, ...], asyncio.Transport] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pauses: set[asyncio.Future[None]] = set()
        self._closing = False

    def connected(self, transport: asyncio.Transport) -> tuple[Any, ...]:
        """Count a new connection and return its peer address."""
        peer = tuple((transport.get_extra_info("peername") or ())[:2])
        self._of.sandbox.connections += 1
        self._transports[peer] = transport
        return peer

    def disconnected(self, peer: tuple[Any, ...]) -> None:
        """Forget a closed connection."""
        self._transports.pop(peer, None)

    def close(self) -> None:
        """End all pauses, from any thread: uvicorn waits for answers on their way, and one may be an hour late."""
        self._closing = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end_pauses)

    def _end_pauses(self) -> None:
        for pause in self._pauses:
            _end(pause)

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0 or self._closing:
            return
        self._loop = asyncio.get_running_loop()
        pause = self._loop.create_future()
        self._pauses.add(pause)
        alarm = self._loop.call_later(seconds, _end, pause)
        try:
            await pause
        finally:
            alarm.cancel()
            self._pauses.discard(pause)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = await _request(scope, receive)
        if request is None:
            return
        sandbox = self._of.sandbox
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
        start = {"status": answer.response.status_code, "headers": answer.response.headers.raw}
        await send({"type": "http.response.start", **start})
        body = answer.body()
        if answer.delivery == "cut":
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            return
        if answer.delivery == "trickle":
            for position in range(len(body)):
                await send({"type": "http.response.body", "body": body[position : position + 1], "more_body": True})
                await self._pause(answer.delay)
            body = b""
        await send({"type": "http.response.body", "body": body})


def _end(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)


async def _request(scope: MutableMapping[str, Any], receive: Receive) -> httpx.Request | None:
    """Return the whole request, or None if the client went away in the middle of it."""
    chunks, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    host = next((value for name, value in scope["headers"] if name == b"host"), b"127.0.0.1").decode("latin-1")
    query = scope["query_string"]
    target = (scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")
    return httpx.Request(scope["method"], f"http://{host}{target}", headers=scope["headers"], content=b"".join(chunks))


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


def _counting_protocol(app: AsgiApp) -> Any:
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
