"""Waits for runs that do not end unless the sandbox's clock is put forward: in a worker, and in the triggerer."""

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag

from flora_provider.operators.flora import FloraGenerateOperator


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=1), "retry_exponential_backoff": False},
)
def endless():
    for name, deferrable in {"in_worker": False, "deferred": True}.items():
        FloraGenerateOperator(
            task_id=name,
            type="text",
            prompt="At last.",
            model_params={"sandbox": {"seconds": 7200, "estimated_seconds": 7200}},
            wait_for_completion=True,
            deferrable=deferrable,
            poll_interval=1,
        )


endless()
