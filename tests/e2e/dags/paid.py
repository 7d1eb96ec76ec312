"""Tasks whose api-server is away when FLORA has just answered, each over a connection that the DAG run's conf names."""

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from flora_provider.operators.flora import FloraGenerateOperator


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_tasks=32,
    params={"rows": []},
    default_args={"retries": 5, "retry_delay": timedelta(seconds=2), "retry_exponential_backoff": False},
)
def paid():
    @task
    def rows(params=None):
        return params["rows"]

    FloraGenerateOperator.partial(task_id="paid", type="text", poll_interval=1).expand_kwargs(rows())


paid()
