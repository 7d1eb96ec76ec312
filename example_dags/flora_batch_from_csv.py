"""Turn the rows of a file into media files.

One mapped task a row starts the run, one deferred sensor a run waits for it, one task a run saves its files into the
folder that the DAG's param names. A row that fails is retried alone.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task

from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor

PROMPTS = Path(__file__).parent / "data" / "prompts.csv"


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
    params={"folder": Param("/tmp/flora", type="string", description="Where to put the files.")},  # noqa: S108 - a demo
)
def flora_batch_from_csv() -> None:
    """Rows in, files out."""

    @task
    def rows() -> list[dict[str, Any]]:
        with PROMPTS.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    generate = FloraGenerateOperator.partial(task_id="generate", retries=2).expand_kwargs(rows())
    wait = FloraRunSensor.partial(task_id="wait", timeout=900).expand(run_id=generate.output)

    @task
    def save(run: Any, params: dict[str, Any] | None = None) -> list[str]:
        from flora_provider.hooks.flora import FloraHook  # noqa: PLC0415 - loads the HTTP client, so not at parse time

        folder = Path((params or {})["folder"])
        with FloraHook() as hook:
            return [str(hook.download_output(output, folder)) for output in run["outputs"]]

    save.expand(run=wait.output)


flora_batch_from_csv()
