"""Run techniques, by id and by slug.

By its id a technique is billed to the workspace of the connection, or to the one that the task names; by its slug, to
the workspace of the key.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import DAG

from flora_provider.operators.flora import FloraRunTechniqueOperator

with DAG(
    "flora_techniques",
    description="Two techniques, one by its id and one by its slug.",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
):
    board = FloraRunTechniqueOperator(
        task_id="board",
        technique="tech_storybrd1",
        inputs={"instructions": "A tea shop opens, {{ ds }}"},
        wait_for_completion=True,
    )
    FloraRunTechniqueOperator(
        task_id="camera",
        technique="cctv-cam",
        inputs={"input_image": board.output, "instructions": "Night, rain"},
        wait_for_completion=True,
    )
