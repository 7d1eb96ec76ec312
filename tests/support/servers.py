"""Servers on real sockets that are no FLORA, or a broken one."""

import socket
import threading
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer


@contextmanager
def socket_server(handle):
    """A server that calls `handle(connection, stop)` for each connection; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve(connection):
        with connection, suppress(OSError):
            handle(connection, stop)

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def serving(handle):
    """A `socket_server` that acts once a request has come."""

    def handle_request(connection, stop):
        connection.recv(65_536)
        handle(connection, stop)

    return socket_server(handle_request)


def answering(data):
    """A server that answers every request with these bytes."""
    return serving(lambda connection, _stop: connection.sendall(data))


@contextmanager
def http_server(handler):
    """A server with this handler, which logs nothing; yields its URL."""
    quiet = type("Quiet", (handler,), {"log_message": lambda *_args: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def unused_port():
    """A port of this machine on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
