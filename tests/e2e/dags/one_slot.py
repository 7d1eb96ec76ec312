"""Sensors in a pool of one slot that counts deferred tasks."""

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from flora_provider.sensors.flora import FloraRunSensor

SENSORS = 3


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    params={"runs": []},
    default_args={"retries": 0},
)
def one_slot():
    @task
    def start(params=None, ti=None):
        for number, run_id in enumerate(params["runs"]):
            ti.xcom_push(key=f"run_{number}", value=run_id)

    started = start()
    for number in range(SENSORS):
        sensor = FloraRunSensor(
            task_id=f"sensor_{number}", run_id=started[f"run_{number}"], poll_interval=1, pool="one_slot"
        )
        started >> sensor


one_slot()
