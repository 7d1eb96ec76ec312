"""A batch whose processes are killed: its DAG run's params say what it is, and where."""

import os
from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from tests.e2e.batch.operator import KilledBatch
from tests.e2e.batch.workload import RETRIES, RETRIES_SETTING


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=16,
    params={"batch": {}},
    default_args={
        "retries": int(os.environ.get(RETRIES_SETTING, RETRIES)),
        "retry_delay": timedelta(seconds=1),
        "retry_exponential_backoff": False,
    },
)
def batch_kills():
    @task(retries=20)
    def arguments(params=None):
        return [params["batch"]]

    KilledBatch.partial(task_id="batch", poll_interval=1).expand_kwargs(arguments())


batch_kills()
