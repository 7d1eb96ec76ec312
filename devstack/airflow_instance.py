"""A real Airflow of our own: scheduler, dag-processor, triggerer, api-server, … on this machine, in one folder."""

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import psutil

from devstack.airflow_rest import AirflowRest, wait_until
from devstack.processes import Part, stop, uninterrupted

USER = "admin"

# How many tasks can run at once: Airflow's default of 32 would cost 5 GB of memory.
WORKERS = 4

# What runs, by name: what `airflow` is started with.
PARTS: Mapping[str, Sequence[str]] = {
    "api-server": ("api-server", "--workers", "1"),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}


class AirflowError(Exception):
    """Airflow did not come up, or lost a part; the message says which, and where its log is."""


class AirflowInstance:
    """A real Airflow, up from `start` and `wait_healthy` to `stop`.

    The parts are started one by one rather than through `airflow standalone`, so that each can be stopped, killed
    and started again by itself, and has a log of its own. Nothing but the api-server listens, and it does on 127.0.0.1:
    the log servers of scheduler and triggerer, which know no other address than all of them, stay off (on one machine
    the api-server reads the files itself).

    Args:
        home: The folder for metadata database, settings and logs; made when it is missing.
        dags_folder: Where the DAG files are.
        env: Settings on top of ours, e.g. `AIRFLOW__CORE__PARALLELISM`.
        parts: What runs; one `api-server` at least.
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        env: Mapping[str, str] | None = None,
        parts: Mapping[str, Sequence[str]] = PARTS,
    ) -> None:
        self.home = home.resolve()
        self.logs = self.home / "logs"
        self.database = self.home / "airflow.db"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.user = USER
        self.password = secrets.token_urlsafe(12)
        self.rest = AirflowRest(self.url, self.user, self.password)
        self.env = _settings(self.home, dags_folder.resolve(), port) | dict(env or {})
        # Airflow's default is to load examples, and each task looks for them; parsing a hundred DAGs that nobody runs
        # would keep the processor from ours for a minute.
        own = {"dag-processor": {"AIRFLOW__CORE__LOAD_EXAMPLES": "False"}}
        self.parts = {
            name: Part(name, _airflow(*command), self.env | own.get(name, {}), self.logs / f"{name}.log")
            for name, command in parts.items()
        }

    def start(self) -> None:
        """Make the metadata database and start the parts; returns before they are up."""
        self.logs.mkdir(parents=True, exist_ok=True)
        # Known before the api-server starts, which would otherwise make up a password of its own.
        passwords = self.home / "simple_auth_manager_passwords.json.generated"
        passwords.write_text(json.dumps({self.user: self.password}))
        passwords.chmod(0o600)
        migration = self.logs / "db-migrate.log"
        with migration.open("wb") as log:
            command = _airflow("db", "migrate")
            made = subprocess.run(command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
        if made.returncode:
            raise AirflowError(f"the metadata database could not be made, see {migration}")
        for part in self.parts.values():
            part.start()

    def wait_healthy(self, timeout: float = 300) -> None:
        """Wait until each kind of part says that it is well, and log in.

        Airflow takes a part for well until half a minute after its last heartbeat, so this does not tell whether one
        that was killed and started again is back already.

        Raises:
            AirflowError: when one of them ends, or is not well after `timeout` seconds.
        """
        if not wait_until(self._is_healthy, timeout):
            raise AirflowError(f"Airflow is not healthy after {timeout:.0f} s: {self._health()}; logs in {self.logs}")
        self.rest.log_in()

    def check_alive(self) -> None:
        """Raise AirflowError if a part has ended by itself."""
        for part in self.parts.values():
            if part.exit_code is not None:
                raise AirflowError(f"the {part.name} ended with code {part.exit_code}, see {part.log}")

    def stop(self, grace: float = 5) -> list[str]:
        """End everything, by force what has not ended after `grace` seconds; return what had to be forced.

        A triggerer of Airflow 3.3 may take ten seconds although it has nothing left to do.
        """
        self.rest.close()
        # The api-server last: a task that is cut off reports to it.
        server = self.parts["api-server"]
        others = [part for part in self.parts.values() if part is not server]
        with uninterrupted():
            return [*stop(others, grace), *stop([server], grace)]

    def task_processes(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[psutil.Process]:
        """Return the processes that run one task instance now: the task itself and its supervisor, in this order."""
        found = self.rest.task_instances(dag_id, run_id, task_id)
        pids = {ti["pid"] for ti in found if ti["map_index"] == map_index and ti["state"] == "running"}
        processes = [process for part in self.parts.values() for process in part.processes()]
        tasks = [process for process in processes if process.pid in pids]
        return [*tasks, *(parent for task in tasks if (parent := task.parent()))]

    def _is_healthy(self) -> bool:
        self.check_alive()
        health = self._health()
        return bool(health) and all(status == "healthy" for status in health.values())

    def _health(self) -> dict[str, str | None]:
        try:
            return self.rest.health()
        except httpx.HTTPError:
            return {}


def _airflow(*arguments: str) -> list[str]:
    # Not the `airflow` script, so that the Airflow beside this very Python is started whatever PATH says.
    return [sys.executable, "-m", "airflow", *arguments]


def _settings(home: Path, dags_folder: Path, port: int) -> dict[str, str]:
    # The user's own Airflow, if there is one, must neither help nor be written to.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    return inherited | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(WORKERS),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        # New DAG files are noticed within seconds instead of minutes.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        # Anonymous usage statistics would leave the machine.
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
    }


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
