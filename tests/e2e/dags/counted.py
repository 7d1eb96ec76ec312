"""Runs that end in each process of Airflow's: in a worker, in the triggerer, and as failed."""

import pendulum
from airflow.providers.common.compat.sdk import dag

from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor


def generate(task_id, seconds, **behavior):
    return {
        "task_id": task_id,
        "type": "text",
        "prompt": f"Counted, {task_id}.",
        "model_params": {"sandbox": {"seconds": seconds, "no_estimate": True, "estimated_seconds": None, **behavior}},
    }


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 0, "poll_interval": 1},
)
def counted():
    FloraGenerateOperator(**generate("in_worker", 2), wait_for_completion=True, deferrable=False)
    FloraGenerateOperator(**generate("in_triggerer", 15), wait_for_completion=True)
    FloraGenerateOperator(**generate("failed", 15, error_code="LLM_REFUSAL"), wait_for_completion=True)
    started = FloraGenerateOperator(**generate("started", 10))
    FloraRunSensor(task_id="sensor", run_id=started.output)


counted()
