"""Where rounds are run: a real Airflow, and one sandbox for each account of what a repeated key means."""

import contextlib
import json
import os
import secrets
import threading
import time
from pathlib import Path
from urllib.parse import quote

import httpx

from devstack.airflow_rest import wait_until
from devstack.processes import stop, uninterrupted
from devstack.sandbox_process import SandboxProcess
from devstack.stage import MARK, Stage
from tests.e2e.chaos.operator import JOURNAL
from tests.e2e.chaos.workload import CLIENT_TIMEOUT, MODES, RETRIES_FILE
from tests.e2e.postgres import Postgres
from tests.e2e.vault import VaultDoor
from tests.e2e.wrong_clock import FILE, step

# Modes whose connections live in the vault; those of the others live in the metadata database.
VAULTED = ("replay", "none")

DAGS = Path(__file__).parent.parent / "dags"
SITE = Path(__file__).parent.parent / "site"
ROOT = Path(__file__).parents[3]

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
    # The same of an api-server that is away: a request is given up after seconds, and its task is told so. The task is
    # not ended for the heartbeats that are lost meanwhile.
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "3",
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "60",
}


class Cluster:
    """Airflow on PostgreSQL and the sandboxes, up while the `with` block runs.

    On SQLite, which lets one write at a time, so many at once would wait for each other until they are refused.

    Args:
        folder: for everything that they write.
    """

    def __init__(self, folder):
        folder = folder.resolve()
        self.journal = folder / "journal"
        self.clock = folder / "clock"
        self.vault = VaultDoor(folder / "vault")
        self._retries = folder / "retries"
        settings = {JOURNAL: str(self.journal), FILE: str(self.clock), RETRIES_FILE: str(self._retries)}
        # This checkout before the one that is installed, which may be another.
        settings |= {"PYTHONPATH": os.pathsep.join(map(str, (SITE, ROOT)))}
        settings |= QUICK_TO_MISS | self.vault.settings()
        self.postgres = Postgres()
        settings |= {
            "AIRFLOW__CORE__PARALLELISM": "60",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.postgres.url,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "50",
        }
        self.stage = Stage(folder, DAGS, settings)
        self.sandboxes = {}
        self._others = {}
        self._started = []
        self._lock = threading.Lock()

    def __enter__(self):
        try:
            self.postgres.__enter__()
            self.stage.__enter__()
            for mode in MODES:
                self.sandboxes[mode] = self.new_sandbox(None if mode in VAULTED else f"flora_{mode}", idempotency=mode)
                if mode in VAULTED:
                    self.connect(mode)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with uninterrupted():
            self.stage.stop()
            stop(self._started, grace=5)
            self.postgres.__exit__()

    @property
    def rest(self):
        return self.stage.airflow.rest

    def runs(self, mode):
        """Every run of a mode's sandboxes, with prompt, key, status and whether it is billed."""
        runs = [run for sandbox in self.all_sandboxes(mode) for run in control(sandbox, "GET", "runs")["runs"]]
        # That of a technique or of an action begins with its name.
        return [run | {"prompt": run["prompt"].rpartition(": ")[2]} for run in runs]

    def all_sandboxes(self, mode):
        """The one that the mode's connection leads to, and the one that it led to before, if it was moved."""
        return [sandboxes[mode] for sandboxes in (self.sandboxes, self._others) if mode in sandboxes]

    def noted(self):
        """What the observers wrote into the journal, oldest first."""
        with contextlib.suppress(FileNotFoundError):
            return [json.loads(line) for line in self.journal.read_text().splitlines()]
        return []

    def again(self, part, away=0.0):
        """Kill a part of Airflow with all that it has started, and start it anew after so many seconds."""
        part = self.stage.airflow.parts[part]
        part.kill()
        time.sleep(away)
        part.start()

    def triggerer_paused(self, seconds):
        """Have the triggerer stand still for so many seconds while another one runs; then kill that one."""
        paused = self.stage.airflow.parts["triggerer"]
        other = paused.twin("other-triggerer")
        try:
            paused.pause()
            other.start()
            time.sleep(seconds)
            paused.resume()
            time.sleep(seconds / 3)  # both are there
        finally:
            paused.resume()
            other.kill()

    def api_server_away(self, seconds):
        """Have no api-server for so many seconds, and those that it takes to start; return when it answers again."""
        self.again("api-server", away=seconds)
        if not wait_until(self._answers, timeout=60):
            raise TimeoutError("the api-server that was started again does not answer")

    def vault_away(self, seconds):
        """Have no secrets backend for so many seconds."""
        self.vault.close()
        time.sleep(seconds)
        self.vault.open()

    def step_clock(self, seconds):
        """Set the triggerer's clock so many seconds ahead of the true time, or behind if negative."""
        step(self.clock, seconds)

    def set_retries(self, number):
        """Edit the chaos DAG: so many retries for each task that is cleared from now on."""
        self._retries.write_text(str(number))
        [token] = [dag["file_token"] for dag in self.rest.dags() if dag["dag_id"] == "chaos"]
        self.rest.request("PUT", f"parseDagFile/{quote(token, safe='')}")

        def is_known():
            return self.rest.request("GET", "dags/chaos/tasks/generation")["retries"] == number

        if not wait_until(is_known, timeout=60):
            raise TimeoutError(f"the dag-processor has not found out that the chaos DAG has {number} retries now")

    def rotate_keys(self, seconds):
        """Have every mode's FLORA take another key; its connection learns of it after so many seconds."""
        for mode in MODES:
            rotate_key(self.sandboxes[mode])
        time.sleep(seconds)
        for mode in MODES:
            self.connect(mode)

    def move_connections(self):
        """Have every mode's connection lead to another FLORA, or back to where it led before."""
        for mode in MODES:
            other = self._others.get(mode) or self.new_sandbox(idempotency=mode)
            self.sandboxes[mode], self._others[mode] = other, self.sandboxes[mode]
            self.connect(mode)

    def connect(self, mode):
        """Edit a mode's connection: it leads to the mode's sandbox as that is now."""
        fields = connection_to(self.sandboxes[mode])
        if mode in VAULTED:
            self.vault.put(f"flora_{mode}", **fields)
        else:
            del fields["conn_type"]
            self.edit_connection(f"flora_{mode}", **fields)

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
    address = {"workspace_id": sandbox.workspace_id, "project_id": sandbox.project_id}
    extra = json.dumps({**address, "timeout": CLIENT_TIMEOUT})
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
