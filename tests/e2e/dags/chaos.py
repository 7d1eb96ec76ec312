"""The DAG of the chaos suite: its rows, which are its DAG run's params, say what each mapped task is and suffers.

Its author changes his mind about `retries` now and then: a file says how many.
"""

import os
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from tests.e2e.chaos.operator import ChaosOperator, ResumingChaosOperator
from tests.e2e.chaos.workload import RETRIES, RETRIES_FILE

RETRIES_NOW = Path(os.environ.get(RETRIES_FILE, ""))


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=4,
    max_active_tasks=12,
    params={"chaos": [], "resuming": []},
    default_args={
        "retries": int(RETRIES_NOW.read_text()) if RETRIES_NOW.is_file() else RETRIES,
        "retry_delay": timedelta(seconds=1),
        "retry_exponential_backoff": False,
    },
)
def chaos():
    @task
    def rows(kind, params=None):
        return params[kind]

    for kind, operator in {"chaos": ChaosOperator, "resuming": ResumingChaosOperator}.items():
        rows_of_kind = rows.override(task_id=f"{kind}_rows")(kind)
        operator.partial(task_id=kind, poll_interval=1).expand_kwargs(rows_of_kind)


chaos()
