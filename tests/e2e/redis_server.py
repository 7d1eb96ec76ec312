"""A real Redis of our own, on a free port of 127.0.0.1, up while a `with` block runs."""

import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

from devstack.airflow_instance import free_port
from devstack.processes import Part, stop, uninterrupted
from tests.e2e.servers import ServerError, wait_down, wait_up

INSTALL = "apt-get install --no-install-recommends redis-server"


class Redis:
    """An empty server for one test, in a folder that ends with it. `url` is what Celery takes as its broker."""

    def __init__(self):
        program = shutil.which("redis-server")
        if program is None:
            raise ServerError(f"these tests need a Redis server of their own: {INSTALL}")
        self._folder = Path(tempfile.mkdtemp(prefix="flora-redis-"))
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        # It writes each change before it answers, so it loses nothing when it is killed.
        options = ["--bind", "127.0.0.1", "--port", str(self._port), "--dir", str(self._folder / "data")]
        options += ["--save", "", "--appendonly", "yes"]
        self.part = Part("redis", [program, *options], os.environ, self._folder / "redis.log")

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with uninterrupted():
            stop([self.part], grace=5)
            shutil.rmtree(self._folder, ignore_errors=True)

    def restart(self, *, is_emptied, away=0.0):
        """Shut it down and start it anew after so many seconds, with what it held, or as one that kept nothing."""
        self.part.signal(signal.SIGKILL if is_emptied else signal.SIGTERM)
        wait_down(self.part)
        if is_emptied:
            shutil.rmtree(self._folder / "data")
        time.sleep(away)
        self._start()

    def _start(self):
        (self._folder / "data").mkdir(exist_ok=True)
        self.part.start()
        wait_up(self.part, self._ask, away=OSError)

    def _ask(self):
        with socket.create_connection(("127.0.0.1", self._port), timeout=1) as client:
            client.sendall(b"PING\r\n")
            return client.recv(100).startswith(b"+PONG")
