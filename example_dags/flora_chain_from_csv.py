"""Take each row of a file through a whole pipeline: picture in, files and manifest out.

One task uploads the reference pictures. Then each row is a mapped task group of its own: a picture is generated from
the reference, a technique makes something of it, and an action finishes that; the last step saves the files, with a
manifest, into the folder that the DAG's param names: a path, or an address such as `s3://aws_default@bucket/shots`.
The result of one step is the input of the next. Long waits are deferred, and hold no worker slot.
"""

from __future__ import annotations

import csv
from pathlib import Path, PurePath
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task, task_group

from flora_provider.operators.flora import FloraGenerateOperator, FloraRunActionOperator, FloraRunTechniqueOperator
from flora_provider.transfers.object_storage import ObjectStorageToFloraOperator

SHOTS = Path(__file__).parent / "data" / "shots.csv"

# What Airflow's pages show in place of the number of the row. On the last step alone: a task with a name of its own has
# to come back to a worker after its wait, to render it; the others end in the triggerer.
PROMPT = "{{ ti.xcom_pull(task_ids='row.generate', key='request', map_indexes=ti.map_index)['prompt'] }}"


@dag(
    description="Each row of a file goes from a reference picture through a model, a technique and an action.",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
    params={
        "shots": Param(str(SHOTS), type="string", description="The file of rows."),
        "references": Param(
            "/tmp/flora/references/*.png",  # noqa: S108 - a demo
            type="string",
            description="The reference pictures; the file names one for each row.",
        ),
        "folder": Param("/tmp/flora", type="string", description="Where to put the files."),  # noqa: S108 - a demo
    },
)
def flora_chain_from_csv() -> None:
    """Rows and pictures in, files out."""
    upload = ObjectStorageToFloraOperator(task_id="upload", source="{{ params.references }}", retries=2)

    @task
    def rows(assets: Any, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        by_name = {PurePath(asset["source"]).name: asset for asset in assets}
        with Path((params or {})["shots"]).open(newline="", encoding="utf-8") as file:
            return [{**row, "reference": by_name[row["reference"]]} for row in csv.DictReader(file)]

    @task_group
    def row(reference: Any, prompt: str, technique: str, action_id: str) -> None:
        generate = FloraGenerateOperator(
            task_id="generate",
            type="image",
            prompt=prompt,
            model="i2i-flux-kontext",
            model_params={"image_url": reference},
            wait_for_completion=True,
            timeout=900,
            retries=2,
        )
        alter = FloraRunTechniqueOperator(
            task_id="technique",
            technique=technique,
            inputs={"input_image": generate.output},
            wait_for_completion=True,
            timeout=900,
            retries=2,
        )
        FloraRunActionOperator(
            task_id="action",
            action_id=action_id,
            inputs=alter.output,
            wait_for_completion=True,
            save_outputs_to="{{ params.folder }}",
            timeout=900,
            retries=2,
            map_index_template=PROMPT,
        )

    row.expand_kwargs(rows(upload.output))


flora_chain_from_csv()
