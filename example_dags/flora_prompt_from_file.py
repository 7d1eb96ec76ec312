"""Keep a prompt and its parameters in files, where writers and reviewers find them.

Both are rendered with Jinja, as any template field is, and are looked for beside the DAG's file.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import DAG

from flora_provider.operators.flora import FloraGenerateOperator

with DAG(
    "flora_prompt_from_file",
    description="A picture whose prompt and parameters are in files beside the DAG.",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
    params={"weather": "the rain", "pictures": 2},
):
    FloraGenerateOperator(
        task_id="picture",
        type="image",
        model="t2i-flux-2-pro",
        prompt="data/prompts/fern.md",
        model_params="data/prompts/fern.yaml",
        wait_for_completion=True,
    )
