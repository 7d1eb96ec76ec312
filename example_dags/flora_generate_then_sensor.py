"""Start a run, wait for it in a deferrable sensor, then use what it made.

Three tasks instead of one: what comes after the wait can be retried without generating anything again.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor


@dag(
    description="One slogan: a task starts the run, a sensor waits for it, a third task uses the text.",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
)
def flora_generate_then_sensor() -> None:
    """A slogan, and what to do with it."""
    slogan = FloraGenerateOperator(task_id="slogan", type="text", prompt="A slogan for a tea shop", retries=2)
    finished = FloraRunSensor(task_id="finished", run_id=slogan.output, timeout=900)

    @task
    def announce(run: Any) -> str:
        text = " ".join(output["text"] for output in run["outputs"] if output["type"] == "text")
        print(f"FLORA says: {text} (for {run['charged_cost']} USD)")  # noqa: T201 - a task's print goes to its log
        return text

    announce(finished.output)


flora_generate_then_sensor()
