"""A real Redis of our own, on a free port of 127.0.0.1, up while a `with` block runs."""

import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

from devstack.airflow_instance import free_port
from devstack.airflow_rest import wait_until
from devstack.processes import Part, stop, uninterrupted

INSTALL = "apt-get install --no-install-recommends redis-server"


class RedisError(Exception):
    """Redis is not installed, or did not come up; the message says what to do, or where its log is."""


class Redis:
    """An empty server for one test, in a folder that ends with it. `url` is what Celery takes as its broker."""

    def __init__(self):
        program = shutil.which("redis-server")
        if program is None:
            raise RedisError(f"these tests need a Redis server of their own: {INSTALL}")
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
        if not wait_until(lambda: self.part.exit_code is not None, timeout=30, pause=0.1):
            raise RedisError(f"Redis is not down after 30 s, see {self.part.log}")
        if is_emptied:
            shutil.rmtree(self._folder / "data")
        time.sleep(away)
        self._start()

    def _start(self):
        (self._folder / "data").mkdir(exist_ok=True)
        self.part.start()
        if not wait_until(self._is_up, timeout=30, pause=0.1):
            raise RedisError(f"Redis is not up after 30 s:\n{self.part.log.read_text()}")

    def _is_up(self):
        if self.part.exit_code is not None:
            raise RedisError(f"Redis ended with code {self.part.exit_code}:\n{self.part.log.read_text()}")
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as client:
                client.sendall(b"PING\r\n")
                return client.recv(100).startswith(b"+PONG")
        except OSError:
            return False
