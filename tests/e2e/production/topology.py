"""Airflow as it is run in production: PostgreSQL, Celery over Redis, and two of all that there can be two of."""

import threading
from contextlib import suppress
from pathlib import Path

import httpx

from devstack.airflow_instance import PARTS
from devstack.airflow_rest import wait_until
from devstack.processes import stop, uninterrupted
from tests.e2e.batch.workload import RETRIES_SETTING
from tests.e2e.chaos.operator import JOURNAL
from tests.e2e.deployment import Deployment
from tests.e2e.production.workload import RETRIES
from tests.e2e.redis_server import Redis

ROOT = Path(__file__).parents[3]
TASKS_PER_WORKER = 4
GRACE = 15.0  # seconds that a part has to end when it is asked to, as in a rollout; then it is killed
VISIBILITY_TIMEOUT = 60  # seconds after which Redis delivers a message again that no worker has acknowledged
TRIGGERER_THRESHOLD = 12.0  # seconds without a heartbeat after which another triggerer takes over, as in QUICK_TO_MISS

_WORKER = ("celery", "worker", "--skip-serve-logs", "--concurrency", str(TASKS_PER_WORKER), "--celery-hostname")
TWO = {
    "api-server": PARTS["api-server"],
    "dag-processor": PARTS["dag-processor"],
    **{f"scheduler-{number}": PARTS["scheduler"] for number in (1, 2)},
    **{f"triggerer-{number}": PARTS["triggerer"] for number in (1, 2)},
    **{f"worker-{number}": (*_WORKER, f"worker-{number}@%h") for number in (1, 2)},
}


class Production(Deployment):
    """The deployment, up while the `with` block runs. A part that ends by itself is started again, as an orchestrator
    does it; `own_ends` names each.

    Args:
        folder: for all that it writes.
    """

    def __init__(self, folder):
        folder = folder.resolve()
        self.redis = Redis()
        settings = {
            "PYTHONPATH": str(ROOT),
            JOURNAL: str(folder / "journal"),
            RETRIES_SETTING: str(RETRIES),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            # Of each scheduler: no message waits in Redis for longer than its task may be queued.
            "AIRFLOW__CORE__PARALLELISM": str(TASKS_PER_WORKER * 2),
            "AIRFLOW__CELERY__BROKER_URL": self.redis.url,
            # So that messages are delivered again while the campaign goes on; a day by default.
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": str(VISIBILITY_TIMEOUT),
            # A message that Redis has lost leaves its task queued; ten minutes by default.
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "90",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "20",
            # Files of DAGs are parsed once: to do so all the time takes a core.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # Ten clients at 50 connections each would be more than PostgreSQL takes.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "10",
        }
        super().__init__(folder, settings, TWO, is_durable=True)
        self.own_ends = []
        self._part_locks = {name: threading.Lock() for name in TWO}
        self._is_over = threading.Event()
        self._keeper = threading.Thread(target=self._keep_up, daemon=True)

    def __enter__(self):
        self.redis.__enter__()
        try:
            super().__enter__()
        except BaseException:
            self.redis.__exit__()
            raise
        self._keeper.start()
        return self

    def __exit__(self, *_):
        with uninterrupted():
            self._is_over.set()
            if self._keeper.is_alive():
                self._keeper.join()
            super().__exit__()
            self.redis.__exit__()

    def kill(self, name):
        """Kill a part with all that it has started, and start it anew."""
        with self._part_locks[name]:
            part = self.stage.airflow.parts[name]
            part.kill()
            part.start()

    def replace(self, name):
        """Ask a part to end, kill what is left after GRACE, and start a new one; return what was left."""
        with self._part_locks[name]:
            part = self.stage.airflow.parts[name]
            left = stop([part], GRACE)
            part.start()
            return left

    def end(self, name):
        """Kill a part; it stays down until it is killed or replaced."""
        self._part_locks[name].acquire()
        self.stage.airflow.parts[name].kill()

    def begin(self, name):
        """Start a part that was ended."""
        self.stage.airflow.parts[name].start()
        self._part_locks[name].release()

    def freeze(self, name, seconds):
        """Have a part stand still; somebody else lets it go on after so many seconds. Killed before, it is anew."""
        self.stage.airflow.parts[name].pause()
        timer = threading.Timer(seconds, self.stage.airflow.parts[name].resume)
        timer.daemon = True
        timer.start()

    def ask(self, question, timeout=300.0):
        """What Airflow's API answers, once it does: it is away at times."""
        found = []

        def is_answered():
            with suppress(httpx.HTTPError):
                found.append(question())
            return bool(found)

        if not wait_until(is_answered, timeout):
            raise TimeoutError(f"Airflow's API has not answered for {timeout:.0f} s, see {self.stage.logs}")
        return found[0]

    def running(self):
        """The task instances that run in a worker now."""
        path = "dags/~/dagRuns/~/taskInstances"
        return self.ask(lambda: list(self.rest.pages(path, "task_instances", state="running")))

    def _keep_up(self):
        while not self._is_over.wait(1.0):
            for name, part in self.stage.airflow.parts.items():
                lock = self._part_locks[name]
                if part.exit_code is None or not lock.acquire(blocking=False):
                    continue
                try:
                    if part.exit_code is not None and not self._is_over.is_set():
                        self.own_ends.append((name, part.exit_code))
                        part.kill()  # what is left of its session
                        part.start()
                finally:
                    lock.release()
