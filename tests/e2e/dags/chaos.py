"""The DAG of the chaos suite: its DAG run's params say, for each task, what its mapped instances are and suffer.

Its author changes his mind about `retries` now and then: a file says how many.
"""

import os
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from tests.e2e.chaos.operator import (
    ChaosAction,
    ChaosGenerate,
    ChaosTechnique,
    ResumingAction,
    ResumingGenerate,
    ResumingTechnique,
)
from tests.e2e.chaos.workload import RETRIES, RETRIES_FILE

OPERATORS = {
    "generation": ChaosGenerate,
    "technique": ChaosTechnique,
    "action": ChaosAction,
    "resuming_generation": ResumingGenerate,
    "resuming_technique": ResumingTechnique,
    "resuming_action": ResumingAction,
}
RETRIES_NOW = Path(os.environ.get(RETRIES_FILE, ""))


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=4,
    max_active_tasks=12,
    params={task_id: [] for task_id in OPERATORS},
    default_args={
        "retries": int(RETRIES_NOW.read_text()) if RETRIES_NOW.is_file() else RETRIES,
        "retry_delay": timedelta(seconds=1),
        "retry_exponential_backoff": False,
    },
)
def chaos():
    @task
    def rows(name, params=None):
        return params[name]

    for task_id, operator in OPERATORS.items():
        rows_of_task = rows.override(task_id=f"{task_id}_rows")(task_id)
        operator.partial(task_id=task_id, poll_interval=1).expand_kwargs(rows_of_task)


chaos()
