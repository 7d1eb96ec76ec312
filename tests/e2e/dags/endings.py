"""What Airflow does around the end of a task, for waits that end in the triggerer: XComs, mapping, execute_complete."""

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor


class Shouting:
    def execute_complete(self, context, event):
        run = super().execute_complete(context, event)
        return {**run, "shouted": run["outputs"][0]["text"].upper()}


class ShoutingOperator(Shouting, FloraGenerateOperator):
    pass


class ShoutingSensor(Shouting, FloraRunSensor):
    pass


def asked(prompt, seconds=8):
    return {
        "type": "text",
        "prompt": prompt,
        "model_params": {"sandbox": {"seconds": seconds, "estimated_seconds": 40}},
        "poll_interval": 1,
    }


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_tasks=32,
    default_args={"retries": 0},
)
def endings():
    @task
    def received(which, outputs):
        return {"run_id": which, "outputs": outputs}

    @task
    def one(member):
        return list(member)

    @task
    def shouted(run):
        return run["shouted"]

    def read_keys(name, several, shouting):
        received.override(task_id=f"received_by_{name}")(several.output["run_id"], several.output["outputs"])
        one.override(task_id=f"each_of_{name}").expand(member=several.output)
        shouted.override(task_id=f"shouted_by_{name}")(shouting.output)

    read_keys(
        "operator",
        FloraGenerateOperator(task_id="operator", **asked("several"), wait_for_completion=True, multiple_outputs=True),
        ShoutingOperator(task_id="shouting_operator", **asked("shout"), wait_for_completion=True),
    )
    started = FloraGenerateOperator(task_id="start", **asked("for the sensor", seconds=45))  # still on its way then
    read_keys(
        "sensor",
        FloraRunSensor(task_id="sensor", run_id=started.output, poll_interval=1, multiple_outputs=True),
        ShoutingSensor(task_id="shouting_sensor", run_id=started.output, poll_interval=1),
    )

    # One that is mapped over without anything else that would need a worker.
    plain = FloraGenerateOperator(task_id="plain", **asked("plain"), wait_for_completion=True)
    one.override(task_id="each_of_plain").expand(member=plain.output)


endings()
