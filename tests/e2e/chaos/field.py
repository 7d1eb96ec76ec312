"""Where a campaign is fought: a real Airflow, and one sandbox for each account of what a repeated key means."""

import contextlib
import json
import os
from pathlib import Path

import httpx

from demo.processes import stop, uninterrupted
from demo.sandbox_process import SandboxProcess
from demo.stage import MARK, Stage
from tests.e2e.chaos.operator import JOURNAL
from tests.e2e.chaos.rounds import CLIENT_TIMEOUT, MODES

DAGS = Path(__file__).parent.parent / "dags"

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
        self.journal = folder.resolve() / "journal"
        settings = QUICK_TO_MISS | many_at_once(folder, tasks=60) | {JOURNAL: str(self.journal)}
        self.stage = Stage(folder, DAGS, settings)
        mark = {MARK: str(self.stage.folder)}
        self.sandboxes = {
            # Ids of runs are unique all over the world, so these must not share a seed.
            mode: SandboxProcess(dict(os.environ) | mark, self.stage.logs / f"sandbox-{mode}.log", seed=seed)
            for seed, mode in enumerate(MODES, 1)
        }

    def __enter__(self):
        try:
            self.stage.__enter__()
            for mode, sandbox in self.sandboxes.items():
                sandbox.start()
                control(sandbox, "POST", "settings", json={"idempotency": mode})
                self._connect(f"flora_{mode}", sandbox)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with uninterrupted():
            self.stage.stop()
            stop(list(self.sandboxes.values()), grace=5)

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

    def again(self, part):
        """Kill a part of Airflow with all that it has started, and start it anew."""
        part = self.stage.airflow.parts[part]
        part.kill()
        part.start()

    def _connect(self, connection, sandbox):
        place = {"workspace_id": sandbox.workspace_id, "project_id": sandbox.project_id}
        self.rest.create_connection(
            connection,
            "flora",
            host=sandbox.base_url,
            password=sandbox.api_key,
            extra=json.dumps({**place, "timeout": CLIENT_TIMEOUT}),
        )


def control(sandbox, method, path, **options):
    """Ask a sandbox something that FLORA would not answer."""
    return httpx.request(method, f"{sandbox.url}/_sandbox/{path}", timeout=30, **options).raise_for_status().json()
