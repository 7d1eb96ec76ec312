"""A bit of all that people do with FLORA. Each intended result has a prompt of its own, which begins with a param."""

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag

from flora_provider.operators.flora import FloraGenerateOperator, FloraRunActionOperator, FloraRunTechniqueOperator
from flora_provider.sensors.flora import FloraRunSensor
from tests.e2e.production.workload import DAG_RUNS, RETRIES, SIZES

NAME = "{{ params.name }}"


def prompts(task_id):
    return [f"{NAME}, {task_id} {number}." for number in range(SIZES[task_id])]


def production():
    saved = {"save_outputs_to": "{{ params.folder }}", "poll_interval": 1}
    waits = {"wait_for_completion": True, **saved}

    started = FloraGenerateOperator.partial(task_id="started", type="image").expand(prompt=prompts("started"))
    FloraRunSensor.partial(task_id="started_awaited", **saved).expand(run_id=started.output)

    # Its sensor needs no worker at all, as its connection is known when this is parsed.
    single = FloraGenerateOperator(task_id="single", type="text", prompt=prompts("single")[0])
    FloraRunSensor(task_id="single_awaited", run_id=single.output, poll_interval=1)

    FloraGenerateOperator.partial(task_id="deferred", type="image", **waits).expand(prompt=prompts("deferred"))
    # Ends in the triggerer.
    FloraGenerateOperator.partial(task_id="unsaved", type="text", wait_for_completion=True, poll_interval=1).expand(
        prompt=prompts("unsaved")
    )
    FloraGenerateOperator.partial(task_id="in_worker", type="image", deferrable=False, **waits).expand(
        prompt=prompts("in_worker")
    )
    FloraRunTechniqueOperator.partial(task_id="technique", technique="tech_storybrd1", **waits).expand(
        inputs=[{"instructions": prompt} for prompt in prompts("technique")]
    )
    FloraRunActionOperator.partial(task_id="action", action_id="find-and-replace-text-browser", **waits).expand(
        inputs=prompts("action")
    )


for number in range(DAG_RUNS):
    dag(
        f"production_{number}",
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        params={"name": "", "folder": ""},
        default_args={
            "retries": RETRIES,
            "retry_delay": timedelta(seconds=5),
            "retry_exponential_backoff": False,
            "flora_conn_id": f"flora_production_{number}",
        },
    )(production)()
