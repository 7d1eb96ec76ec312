"""Runs whose texts hold what no database, wire or log takes, awaited in every way; and one that has nothing of it.

The test scripts what each run says, and finds it by its prompt, `<what> <way>`.
"""

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor
from tests.e2e.resuming import ResumingGenerateOperator

WHATS = ("half", "zero", "long", "text")
WAYS = {
    "in_worker": (FloraGenerateOperator, {"deferrable": False}),
    "deferred": (FloraGenerateOperator, {}),
    "resumed": (ResumingGenerateOperator, {}),
}


def asked(what, way, seconds=8):
    return {
        "type": "text",
        "prompt": f"{what} {way}",
        "model_params": {"sandbox": {"seconds": seconds, "estimated_seconds": 10}},
    }


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_tasks=32,
    default_args={"retries": 0},
)
def strange_texts():
    @task
    def text_of(run):
        return run["outputs"][0]["text"]

    for what in WHATS:
        for way, (operator, how) in WAYS.items():
            waited = operator(
                task_id=f"{what}_{way}", **asked(what, way), wait_for_completion=True, poll_interval=1, **how
            )
            if what == "text":
                text_of.override(task_id=f"read_{way}")(waited.output)
        started = FloraGenerateOperator(task_id=f"start_{what}", **asked(what, "sensor"))
        FloraRunSensor(task_id=f"{what}_sensor", run_id=started.output, poll_interval=1)

    FloraGenerateOperator(
        task_id="bystander", **asked("nothing", "deferred", seconds=16), wait_for_completion=True, poll_interval=1
    )


strange_texts()
