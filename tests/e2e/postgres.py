"""A real PostgreSQL of our own, on a free port of 127.0.0.1, up while a `with` block runs."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2

from devstack.airflow_instance import free_port
from devstack.processes import Part, stop, uninterrupted
from tests.e2e.servers import ServerError, wait_down, wait_up

INSTALL = "apt-get install --no-install-recommends postgresql"


class Postgres:
    """An empty server for one test, in a folder that ends with it. `url` is what Airflow takes as SQL_ALCHEMY_CONN.

    PostgreSQL refuses to run as root: then it runs as `postgres`, or as `nobody` if there is no such user.

    Args:
        is_durable: whether it keeps all that it has committed when it is shut down at once.
    """

    def __init__(self, *, is_durable=False):
        self._bin = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="flora-postgres-"))  # where another user may go, unlike pytest's
        self._data = self._folder / "data"
        port = free_port()
        self.url = f"postgresql+psycopg2://airflow@127.0.0.1:{port}/postgres"
        options = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 300,
            # Nothing here outlives the test, or this machine.
            "fsync": "off",
            "synchronous_commit": "on" if is_durable else "off",
            "full_page_writes": "off",
        }
        command = [self._bin / "postgres", "-D", self._data, *(f"--{name}={value}" for name, value in options.items())]
        self.part = Part("postgres", _as_other_user(command), os.environ, self._folder / "postgres.log")

    def __enter__(self):
        try:
            self._make()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with uninterrupted():
            self.part.signal(signal.SIGINT)  # its "fast" shutdown; SIGTERM waits for clients to go
            stop([self.part], grace=5)
            shutil.rmtree(self._folder, ignore_errors=True)  # gone already if this is the second time

    def restart(self, shutdown, away=0.0):
        """Shut it down in its mode `fast` or `immediate`, start it anew after so many seconds, and wait until it is up.

        Both cut off all clients; after an immediate one, it recovers from its log.
        """
        self.part.signal({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[shutdown])
        wait_down(self.part)
        time.sleep(away)
        self._start()

    def _make(self):
        if user := _other_user():
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        command = [self._bin / "initdb", "-D", self._data, "-U", "airflow", "-A", "trust", "-E", "UTF8", "--no-sync"]
        made = subprocess.run(_as_other_user(command), cwd=self._folder, capture_output=True, text=True, check=False)
        if made.returncode:
            raise ServerError(f"initdb failed: {made.stdout}{made.stderr}")

    def _start(self):
        self.part.start()
        wait_up(self.part, self._ask, away=psycopg2.OperationalError)

    def _ask(self):
        psycopg2.connect(self.url.replace("+psycopg2", "")).close()
        return True


def _programs():
    """The folder of the newest server's programs; Debian puts it on no PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    anywhere = shutil.which("initdb")
    if not found and anywhere is None:
        raise ServerError(f"these tests need a PostgreSQL server of their own: {INSTALL}")
    return (found[-1] if found else Path(anywhere).resolve()).parent


def _other_user():
    """Whom to run as, None for the present user, who may."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerError("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


def _as_other_user(command):
    user = _other_user()
    as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"] if user else []
    return [*as_user, *(str(word) for word in command)]
