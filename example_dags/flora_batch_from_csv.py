"""Turn the rows of a file into media files, in a bucket or a folder.

Each row is a mapped task group of its own: one task starts the run, a deferred sensor waits for it, one task saves its
files, and their manifest, where the DAG's param says: a path, or an address such as `s3://aws_default@bucket/shop`,
for which Airflow's amazon provider is needed, with its extra `s3fs`. So a row that fails costs nobody but itself: the
others are saved, and the failed one is retried, or cleared, alone.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task, task_group

from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor
from flora_provider.transfers.object_storage import FloraToObjectStorageOperator

PROMPTS = Path(__file__).parent / "data" / "prompts.csv"


@dag(
    description="The rows of a file become media files; each row is a mapped task group.",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
    params={
        "prompts": Param(str(PROMPTS), type="string", description="The file of rows."),
        "folder": Param("/tmp/flora", type="string", description="Where to put the files."),  # noqa: S108 - a demo
    },
)
def flora_batch_from_csv() -> None:
    """Rows in, files out."""

    @task
    def rows(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        with Path((params or {})["prompts"]).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @task_group
    def row(type: str, prompt: str) -> None:  # noqa: A002 - a column's name
        generate = FloraGenerateOperator(
            task_id="generate", type=type, prompt=prompt, retries=2, map_index_template="{{ task.prompt }}"
        )
        wait = FloraRunSensor(task_id="wait", run_id=generate.output, timeout=900)
        FloraToObjectStorageOperator(task_id="save", run=wait.output, destination="{{ params.folder }}", retries=2)

    row.expand_kwargs(rows())


flora_batch_from_csv()
