"""Where a campaign is fought: a real Airflow, and one sandbox for each account of what a repeated key means."""

import contextlib
import json
import os
import secrets
import threading
import time
from pathlib import Path

import httpx

from demo.airflow_rest import wait_until
from demo.processes import stop, uninterrupted
from demo.sandbox_process import SandboxProcess
from demo.stage import MARK, Stage
from tests.e2e.chaos.operator import JOURNAL
from tests.e2e.chaos.rounds import CLIENT_TIMEOUT, MODES
from tests.e2e.vault import VaultDoor
from tests.e2e.wrong_clock import FILE, step

DAGS = Path(__file__).parent.parent / "dags"
CLOCK = Path(__file__).parent.parent / "clock"

# Airflow takes minutes to miss what was killed; this is about what happens then, not about when.
QUICK_TO_MISS = {
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "45",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "12",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
}


def many_at_once(folder, tasks):
    """Settings for so many tasks at once, whose stage is in the folder.

    They wait for SQLite, which lets one write at a time; by default they are answered 500 after seconds in the queue.
    """
    return {
        "AIRFLOW__CORE__PARALLELISM": str(tasks),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "100",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder.resolve() / 'airflow' / 'airflow.db'}?timeout=60",
    }


class Field:
    """Airflow and the sandboxes, up while the `with` block runs.

    Args:
        folder: for everything that they write.
    """

    def __init__(self, folder):
        folder = folder.resolve()
        self.journal = folder / "journal"
        self.clock = folder / "clock"
        self.vault = VaultDoor(folder / "vault")
        settings = {JOURNAL: str(self.journal), FILE: str(self.clock), "PYTHONPATH": str(CLOCK)}
        settings |= QUICK_TO_MISS | many_at_once(folder, tasks=60) | self.vault.settings()
        self.stage = Stage(folder, DAGS, settings)
        self.sandboxes = {}
        self._started = []
        self._lock = threading.Lock()

    def __enter__(self):
        try:
            self.stage.__enter__()
            for mode in MODES:
                self.sandboxes[mode] = self.new_sandbox(f"flora_{mode}", idempotency=mode)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with uninterrupted():
            self.stage.stop()
            stop(self._started, grace=5)

    @property
    def rest(self):
        return self.stage.airflow.rest

    def runs(self, mode):
        """Every run of a sandbox, with prompt, key, status and whether it is billed."""
        return control(self.sandboxes[mode], "GET", "runs")["runs"]

    def noted(self):
        """What the witnesses wrote into the journal, oldest first."""
        with contextlib.suppress(FileNotFoundError):
            return [json.loads(line) for line in self.journal.read_text().splitlines()]
        return []

    def again(self, part, away=0.0):
        """Kill a part of Airflow with all that it has started, and start it anew after so many seconds."""
        part = self.stage.airflow.parts[part]
        part.kill()
        time.sleep(away)
        part.start()

    def api_server_away(self, seconds):
        """Have no api-server for so many seconds, and those that it takes to start; return when it answers again."""
        self.again("api-server", away=seconds)
        if not wait_until(self._answers, timeout=60):
            raise TimeoutError("the api-server that was started again does not answer")

    def step_clock(self, seconds):
        """Set the triggerer's clock so many seconds ahead of the true time, or behind if negative."""
        step(self.clock, seconds)

    def new_sandbox(self, conn_id=None, **settings):
        """Start another sandbox, with a connection to it if that is named."""
        with self._lock:
            # Ids of runs are unique all over the world, so no two share a seed.
            seed = len(self._started) + 1
            mark = {MARK: str(self.stage.folder)}
            sandbox = SandboxProcess(dict(os.environ) | mark, self.stage.logs / f"sandbox-{seed}.log", seed=seed)
            self._started.append(sandbox)
        sandbox.start()
        if settings:
            control(sandbox, "POST", "settings", json=settings)
        if conn_id:
            self.rest.create_connection(conn_id, **connection_to(sandbox))
        return sandbox

    def edit_connection(self, conn_id, **fields):
        """Change fields of a connection in the metadata database, as a user does in the form."""
        body = {"connection_id": conn_id, "conn_type": "flora", **fields}
        self.rest.request("PATCH", f"connections/{conn_id}", json=body, params={"update_mask": list(fields)})

    def _answers(self):
        self.stage.airflow.check_alive()
        try:
            return bool(self.rest.health())
        except httpx.HTTPError:
            return False


def connection_to(sandbox):
    """The fields of an Airflow connection to a sandbox."""
    place = {"workspace_id": sandbox.workspace_id, "project_id": sandbox.project_id}
    extra = json.dumps({**place, "timeout": CLIENT_TIMEOUT})
    return {"conn_type": "flora", "host": sandbox.base_url, "password": sandbox.api_key, "extra": extra}


def rotate_key(sandbox):
    """Have the sandbox take another key, and the old one no longer; return the new one."""
    new = f"sk_test_{secrets.token_hex(12)}"
    control(sandbox, "POST", "settings", json={"api_key": new})
    sandbox.api_key = new
    return new


def control(sandbox, method, path, **options):
    """Ask a sandbox something that FLORA would not answer."""
    return httpx.request(method, f"{sandbox.url}/_sandbox/{path}", timeout=30, **options).raise_for_status().json()
