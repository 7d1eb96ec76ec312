"""Tell other DAGs that a picture is there: this task's event says which run made it, what it cost, where its files are.

`flora_asset_consumer` runs when it does.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param

from flora_provider.assets.flora import project_asset
from flora_provider.operators.flora import FloraGenerateOperator

PICTURES = project_asset(workspace_id="ws_tea", project_id="prj_tea_shop")

with DAG(
    "flora_asset_producer",
    description="One picture, and an event that tells other DAGs which run made it, its cost and its files.",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
    params={"folder": Param("/tmp/flora", type="string", description="Where to put the picture.")},  # noqa: S108 - a demo
):
    FloraGenerateOperator(
        task_id="picture",
        type="image",
        prompt="The tea of {{ ds }}",
        wait_for_completion=True,
        save_outputs_to="{{ params.folder }}",
        outlets=[PICTURES],
    )
