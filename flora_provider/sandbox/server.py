"""The sandbox on a real port of this machine: an ASGI app that uvicorn runs in a thread."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, cast

from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.asgi import AsgiApp, counting_protocol
from flora_provider.sandbox.sending import keep_sending

if TYPE_CHECKING:
    from uvicorn import Server

START_SECONDS = 15
"""How long a start may take before it counts as failed; a loaded machine needs a second or two."""
REFUSAL_CHECK_SECONDS = 0.02
"""Seconds between two checks of a closed port whether its fault is over."""


class MissingExtraError(ImportError):
    """The packages of the extra `sandbox` are not installed."""

    def __init__(self) -> None:
        super().__init__("The sandbox needs uvicorn, Pillow and segno: pip install 'airflow-provider-flora[sandbox]'")


class SandboxServer:
    """A sandbox that listens on this machine, for as long as its `with` block lasts.

    There is no TLS: on a `host` that is not loopback, everybody in its network can use the sandbox, and unless
    `controls` is false change everything about it.

    Example::

        with SandboxServer() as server:
            httpx.get(f"{server.base_url}/models", headers={"Authorization": f"Bearer {server.sandbox.api_key}"})

    Entering it raises OSError if `port` is taken (0 takes a free one) or `host` is no address of this machine, and
    MissingExtraError if a package of the extra `sandbox` is missing.
    """

    def __init__(
        self, sandbox: Sandbox | None = None, port: int = 0, *, host: str = "127.0.0.1", controls: bool = True
    ) -> None:
        self._host = host
        self._port = port
        self._controls = controls
        self._listener: socket.socket | None = None
        self._listening = threading.Event()
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._asgi_app = AsgiApp(lambda: self._sandbox)
        self._reopening: asyncio.Task[None] | None = None
        self._sending: Future[None] | None = None
        self.sandbox = sandbox or Sandbox()

    @property
    def sandbox(self) -> Sandbox:
        """What is served. Its faults, clock and settings may be changed from any thread.

        Assigning another one takes effect with the next request.
        """
        return self._sandbox

    @sandbox.setter
    def sandbox(self, sandbox: Sandbox) -> None:
        sandbox.faults.attach_port(self._apply_refusal)
        sandbox.settings.controls = sandbox.settings.controls and self._controls
        self._sandbox = sandbox
        self._apply_refusal()

    @property
    def url(self) -> str:
        """Root, e.g. `http://127.0.0.1:4711`; controls and media are under it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104 - a client needs one address
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it; known once it listens."""
        address = self._listener.getsockname()[0] if self._listener else self._host
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback

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
            import segno  # noqa: F401, PLC0415 - the same
            import uvicorn  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError from None
        config = uvicorn.Config(
            cast("Any", self._asgi_app),
            http=counting_protocol(self._asgi_app),
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
        self._listener = _bound_socket(self._host, self._port)
        self._port = self._listener.getsockname()[1]
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name="flora-sandbox", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("The sandbox's server did not start.")
            time.sleep(0.005)
        self._listening.set()
        loop = self._server.servers[0].get_loop()
        self._sending = asyncio.run_coroutine_threadsafe(keep_sending(lambda: self._sandbox), loop)
        self._apply_refusal()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening; answers still on their way are sent at once."""
        if self._server is not None and self._thread is not None:
            self._asgi_app.close()
            if self._sending is not None:
                self._sending.cancel()
            self._server.should_exit = True
            self._thread.join()
        if self._listener is not None:
            self._listener.close()

    def _apply_refusal(self) -> None:
        """Close the port, or wait until it is open again, as the faults have it."""
        if self._server is None or not self._server.started or self._server.should_exit:
            return
        closed, in_loop = self._sandbox.faults.refuses_connections(), threading.current_thread() is self._thread
        if closed and self._listening.is_set():
            self._listening.clear()
            loop = self._server.servers[0].get_loop()
            if in_loop:  # a request to the control endpoint
                self._close_port(self._server, loop)
            else:
                asyncio.run_coroutine_threadsafe(self._close_port_and_wait(self._server, loop), loop).result()
        elif not closed and not in_loop:
            self._listening.wait(START_SECONDS)

    async def _close_port_and_wait(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._close_port(server, loop)
        await asyncio.sleep(0.01)  # for clients to see that their idle connections are closed

    def _close_port(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        for listening in server.servers:
            listening.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()  # idle ones at once, others after their answer
        self._reopening = loop.create_task(self._reopen_port(server))

    async def _reopen_port(self, server: Server) -> None:
        # Bound at once, so that nobody else gets the port; the kernel refuses connections until somebody listens.
        self._listener = _bound_socket(self._host, self._port)
        while self._sandbox.faults.refuses_connections() and not server.should_exit:  # noqa: ASYNC110 - the clock moves
            await asyncio.sleep(REFUSAL_CHECK_SECONDS)
        if not server.should_exit:
            await server.startup(sockets=[self._listener])
            self._listening.set()


def _bound_socket(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError:
        raise OSError(errno.EINVAL, "Not a host name") from None
    family, _, _, _, address = found[0]
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
