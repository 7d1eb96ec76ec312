"""Run the campaign of one seed on a production deployment, and gather what became of it."""

import hashlib
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx
import psycopg2

from devstack.airflow_rest import FINISHED, wait_until
from tests.e2e.batch.checker import problems as batch_problems
from tests.e2e.batch.runner import DAG as BATCH_DAG
from tests.e2e.batch.runner import Running as RunningBatch
from tests.e2e.batch.workload import draw_workload
from tests.e2e.deployment import control, runs_of, sha256_at_flora
from tests.e2e.production import polls
from tests.e2e.production.checker import History, Result
from tests.e2e.production.nemesis import strike
from tests.e2e.production.workload import BATCH_ROWS, draw_batch_seed, draw_dag_runs, draw_faults

TIMEOUT = 1500  # seconds after the last fault
TRIGGERS = "SELECT count(*) FROM trigger"
UNFINISHED = (
    "SELECT count(*) FROM task_instance "
    "WHERE state IS NULL OR state NOT IN ('success', 'failed', 'skipped', 'upstream_failed')"
)


class Running:
    """One DAG run, with a FLORA of its own.

    Args:
        production: where it runs.
        dag_run: what was drawn.
        number: of its DAG; no two have the same.
    """

    def __init__(self, production, dag_run, number):
        self.production = production
        self.dag_run = dag_run
        self.dag_id = f"production_{number}"
        self.run_id = f"campaign-{number}"
        self.folder = production.stage.folder / "saved" / self.run_id
        self.sandbox = production.new_sandbox(f"flora_{self.dag_id}", idempotency=dag_run.mode)
        control(self.sandbox, "POST", "faults", json=dag_run.faults())

    def begin(self):
        """Start the DAG run; Airflow may be away for a while, and its answer may be lost."""
        conf = {"name": self.dag_run.name, "folder": str(self.folder)}
        body = {"dag_run_id": self.run_id, "logical_date": None, "conf": conf}

        def trigger():
            try:
                return self.production.rest.request("POST", f"dags/{self.dag_id}/dagRuns", json=body)
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.CONFLICT:
                    raise
                return "begun already"

        self.production.ask(trigger)

    def is_over(self):
        """Whether its DAG run has ended."""
        run = self.production.ask(lambda: self.production.rest.dag_run(self.dag_id, self.run_id))
        return run["state"] in FINISHED

    def result(self):
        """What became of it."""
        rest = self.production.rest
        tasks = {
            (ti["task_id"], ti["map_index"]): {
                "state": ti["state"],
                "tries": ti["try_number"],
                "value": self._value(ti),
            }
            for ti in rest.task_instances(self.dag_id, self.run_id)
        }
        runs = runs_of(self.sandbox)
        return Result(
            dag_run=self.dag_run,
            state=rest.dag_run(self.dag_id, self.run_id)["state"],
            tasks=tasks,
            runs=runs,
            files={
                str(path): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in Path(self.folder).glob("*")
                if path.suffix != ".json" and not path.name.startswith(".")
            },
            outputs=self._outputs([run["run_id"] for run in runs if run["status"] == "completed"]),
        )

    def _value(self, ti):
        with suppress(httpx.HTTPStatusError):  # a task that failed has none
            return self.production.rest.xcom(self.dag_id, self.run_id, ti["task_id"], ti["map_index"])
        return None

    def _outputs(self, run_ids):
        headers = {"authorization": f"Bearer {self.sandbox.api_key}"}
        with httpx.Client(base_url=self.sandbox.base_url, headers=headers, timeout=30) as flora:
            runs = [flora.get(f"runs/{run_id}").raise_for_status().json() for run_id in run_ids]
        return {run["run_id"]: sha256_at_flora(run["outputs"][0]) for run in runs}


def run_seed(production, seed, *, with_polls=True, say=print):
    """Run the campaign of a seed; return what became of it."""
    began = time.monotonic()
    history = History(seed)
    own_ends = len(production.own_ends)
    if with_polls:
        history.polls = polls.measure(production)
        say(f"polls per run: {history.polls}")
    faults = draw_faults(seed)
    dag_runs = [Running(production, drawn, number) for number, drawn in enumerate(draw_dag_runs(seed))]
    for dag_id in (*(one.dag_id for one in dag_runs), BATCH_DAG):
        production.rest.unpause(dag_id)
    batch = RunningBatch(production, draw_workload(draw_batch_seed(seed), BATCH_ROWS))
    begun = 0
    for number, fault in enumerate(faults):
        # Each DAG run has its share of the faults, and is begun when those of the one before it have struck.
        if number * len(dag_runs) // len(faults) == begun:
            dag_runs[begun].begin()
            begun += 1
        history.strikes.append(strike(production, fault, began))
        say(f"  {history.strikes[-1].at:4.0f} s  {fault.what}: {history.strikes[-1].detail}")
    _wait(production, [*dag_runs, batch], say)
    history.results = [one.result() for one in dag_runs]
    history.triggers, history.unfinished = _left(production)
    history.own_ends = production.own_ends[own_ends:]
    result = batch.result()
    history.batch_problems = [f"batch: {text}" for text in batch_problems(result)]
    history.batch_kills, history.batch_tasks, history.batch_runs = result.kills, 2, len(result.manifest)
    history.seconds = time.monotonic() - began
    return history


def _wait(production, running, say):
    deadline = time.monotonic() + TIMEOUT
    while not all([production.ask(one.is_over) for one in running]):  # noqa: C419 - each is asked
        if time.monotonic() > deadline:
            states = Counter(production.query("SELECT dag_id, task_id, state FROM task_instance"))
            say(f"not over after {TIMEOUT} s: { {key: n for key, n in states.items() if key[2] not in FINISHED} }")
            return
        time.sleep(1)


def _left(production, timeout=90):
    """Triggers that Airflow still has, which it removes within a while, and task instances that have not ended."""
    found = (0, 0)

    def is_clean():
        nonlocal found
        with suppress(psycopg2.OperationalError):
            [[triggers]], [[unfinished]] = (
                production.query("SELECT count(*) FROM trigger"),
                production.query(UNFINISHED),
            )
            found = (triggers, unfinished)
        return found == (0, 0)

    wait_until(is_clean, timeout, pause=2)
    return found
