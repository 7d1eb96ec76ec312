"""Turn the rows of a file into media files.

Each row is a mapped task group of its own: one task starts the run, a deferred sensor waits for it, one task saves its
files into the folder that the DAG's param names. So a row that fails costs nobody but itself: the others are saved, and
the failed one is retried, or cleared, alone.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task, task_group

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

    # What Airflow's pages show in place of the number of the row.
    @task(map_index_template="{{ task.op_kwargs['prompt'] }}")
    def save(run: Any, prompt: str, params: dict[str, Any] | None = None) -> list[str]:
        from flora_provider.hooks.flora import FloraHook  # noqa: PLC0415 - loads the HTTP client, so not at parse time

        folder = Path((params or {})["folder"])
        with FloraHook() as hook:
            files = [str(hook.download_output(output, folder)) for output in run["outputs"]]
        print(f"{prompt}: {', '.join(files)}")  # noqa: T201 - a task's print goes to its log
        return files

    @task_group
    def row(type: str, prompt: str) -> None:  # noqa: A002 - a column's name
        generate = FloraGenerateOperator(
            task_id="generate", type=type, prompt=prompt, retries=2, map_index_template="{{ task.prompt }}"
        )
        wait = FloraRunSensor(
            task_id="wait", run_id=generate.output, timeout=900, map_index_template="{{ task.run_id }}"
        )
        save(run=wait.output, prompt=prompt)

    row.expand_kwargs(rows())


flora_batch_from_csv()
