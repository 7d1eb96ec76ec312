"""Waits for runs that end within seconds of the deferral: ours in all their ways, and a naive one beside them."""

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from flora_provider.hooks.flora import FloraHook
from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor
from tests.e2e.naive import NaiveOperator
from tests.e2e.resuming import BusyAfterwards, ResumingGenerateOperator


def asked(seconds):
    """What is asked of the sandbox; such an estimate is worth a deferral."""
    return {
        "type": "text",
        "prompt": "In a moment.",
        "params": {"sandbox": {"seconds": seconds, "estimated_seconds": 6}},
    }


def arguments(seconds):
    """The same as an operator takes it, whose `params` are Airflow's."""
    return {"model_params" if name == "params" else name: value for name, value in asked(seconds).items()}


class Sensor(FloraRunSensor):
    """Starts the run just before it waits for it, so that it ends just after the deferral."""

    def __init__(self, *, seconds, **kwargs):
        super().__init__(run_id="run_to_come", **kwargs)
        self.seconds = seconds

    def execute(self, context):
        with FloraHook(self.flora_conn_id) as hook:
            self.run_id = hook.generate(**asked(self.seconds), idempotency_key=context["ti"].id.hex).run_id
        return super().execute(context)


class ResumingSensor(BusyAfterwards, Sensor):
    pass


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_tasks=12,
    params={name: [] for name in ("naive", "operator", "resuming_operator", "sensor", "resuming_sensor")},
    default_args={"retries": 0},
)
def short_waits():
    @task
    def seconds(kind, params=None):
        return params[kind]

    def rows(kind, make=lambda taken: {"seconds": taken}):
        return seconds.override(task_id=f"{kind}_seconds")(kind).map(make)

    NaiveOperator.partial(task_id="naive").expand_kwargs(rows("naive"))
    for kind, operator in {"operator": FloraGenerateOperator, "resuming_operator": ResumingGenerateOperator}.items():
        operator.partial(task_id=kind, wait_for_completion=True, poll_interval=1).expand_kwargs(rows(kind, arguments))
    for kind, sensor in {"sensor": Sensor, "resuming_sensor": ResumingSensor}.items():
        sensor.partial(task_id=kind, poll_interval=1).expand_kwargs(rows(kind))


short_waits()
