"""A real Airflow on PostgreSQL, with sandboxes and connections to them: what all clusters of the tests have."""

import hashlib
import json
import os
import secrets
import threading
from pathlib import Path

import httpx
import psycopg2

from devstack.airflow_instance import PARTS
from devstack.processes import stop, uninterrupted
from devstack.sandbox_process import SandboxProcess
from devstack.stage import MARK, Stage
from tests.e2e.chaos.workload import CLIENT_TIMEOUT
from tests.e2e.postgres import Postgres

DAGS = Path(__file__).parent / "dags"

# Airflow takes minutes to miss what was killed; these tests are about what happens then, not about when.
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


class Deployment:
    """Airflow on a PostgreSQL of its own, up while the `with` block runs.

    On SQLite, which lets one write at a time, so many at once would wait for each other until they are refused.

    Args:
        folder: for everything that they write.
        settings: of Airflow.
        parts: of Airflow, as `AirflowInstance` takes them.
        is_durable: whether the database keeps what it has committed when it is shut down at once.
    """

    def __init__(self, folder, settings, parts=PARTS, *, is_durable=False):
        self.postgres = Postgres(is_durable=is_durable)
        database = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.postgres.url,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "50",
        }
        self.stage = Stage(folder, DAGS, QUICK_TO_MISS | database | settings, parts)
        self.journal = folder / "journal"
        self._started = []
        self._lock = threading.Lock()

    def __enter__(self):
        try:
            self.postgres.__enter__()
            self.stage.__enter__()
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

    def noted(self):
        """What the observers wrote into the journal, oldest first."""
        if not self.journal.exists():
            return []
        return [json.loads(line) for line in self.journal.read_text().splitlines()]

    def query(self, statement):
        """The rows that the metadata database has for a statement."""
        connection = psycopg2.connect(self.postgres.url.replace("+psycopg2", ""))
        try:
            with connection.cursor() as asked:
                asked.execute(statement)
                return asked.fetchall()
        finally:
            connection.close()

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


def runs_of(sandbox):
    """Every run of a sandbox, with prompt, key, status and whether it is billed."""
    # The prompt of a technique or of an action begins with its name.
    runs = control(sandbox, "GET", "runs")["runs"]
    return [run | {"prompt": run["prompt"].rpartition(": ")[2]} for run in runs]


def sha256_at_flora(output):
    """The SHA-256 of what FLORA shows as an output of a run."""
    is_text = output["type"] == "text"
    content = output["url"].encode() if is_text else httpx.get(output["url"], timeout=30).raise_for_status().content
    return hashlib.sha256(content).hexdigest()
