"""A DAG for each connection of CONNECTIONS, which tests change under it: every way to wait over that connection.

`start` knows the sensors' runs from the DAG run's conf, so it needs no connection; the operators start their own.
"""

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor
from tests.e2e.impatience import shorten
from tests.e2e.resuming import ResumingGenerateOperator, ResumingSensor

shorten()

CONNECTIONS = ("flora_rotated", "flora_rotated_late", "flora_moved", "flora_vault", "flora_default")


def waits_over(conn_id):
    @dag(
        dag_id=f"every_wait_{conn_id}",
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_tasks=32,
        render_template_as_native_obj=True,
        params={"prompt": "", "runs": {}, "model_params": {}},
        default_args={"retries": 20, "retry_delay": timedelta(seconds=4), "retry_exponential_backoff": False},
    )
    def every_wait():
        waits = {"flora_conn_id": conn_id, "poll_interval": 1}
        asked = {**waits, "type": "text", "model_params": "{{ params.model_params }}", "wait_for_completion": True}

        @task(multiple_outputs=True)
        def start(params=None):
            return params["runs"]

        runs = start()
        FloraRunSensor(task_id="sensor", run_id=runs["sensor"], **waits)  # never sees a worker
        ResumingSensor(task_id="resuming_sensor", run_id=runs["resuming_sensor"], **waits)
        run_id = "{{ params.runs.sensor_in_worker }}"
        FloraRunSensor(task_id="sensor_in_worker", run_id=run_id, deferrable=False, poke_interval=1, **waits)
        FloraGenerateOperator(task_id="operator", prompt="{{ params.prompt }}, deferred", **asked)
        FloraGenerateOperator(task_id="in_worker", prompt="{{ params.prompt }}, in a worker", deferrable=False, **asked)
        ResumingGenerateOperator(task_id="resuming", prompt="{{ params.prompt }}, resuming", **asked)

    every_wait()


for connection in CONNECTIONS:
    waits_over(connection)
