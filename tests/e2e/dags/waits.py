"""A hundred sensors, which one task gives their runs, and a few tasks that wait for a run of their own."""

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from flora_provider.hooks.flora import FloraHook
from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor

SENSORS, OPERATORS = 100, 8


ASKED = {"type": "text", "prompt": "Later."}


def behavior(seconds):
    return {"sandbox": {"seconds": seconds, "estimated_seconds": 40}}


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_tasks=200,
    params={"seconds": 60.0, "operators": OPERATORS},
    default_args={"retries": 0},
)
def waits():
    @task
    def start(params=None, ti=None):
        with FloraHook() as hook:
            for number in range(SENSORS):
                key = f"{ti.id}-{number}"
                run_id = hook.generate(**ASKED, params=behavior(params["seconds"]), idempotency_key=key).run_id
                ti.xcom_push(key=f"run_{number}", value=run_id)

    started = start()
    for number in range(SENSORS):
        key = f"run_{number}"
        pulled = f"{{{{ ti.xcom_pull(task_ids='start', key='{key}') }}}}"
        started >> FloraRunSensor(task_id=f"sensor_{number}", run_id=pulled if number % 2 else started[key])

    @task
    def rows(params=None):
        return [{**ASKED, "model_params": behavior(params["seconds"])}] * params["operators"]

    FloraGenerateOperator.partial(task_id="operator", wait_for_completion=True).expand_kwargs(rows())


waits()
