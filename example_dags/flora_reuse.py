"""Pay once: the second run of this DAG takes both pictures from the build cache, costs nothing, and has equal files."""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param

from flora_provider.operators.flora import FloraGenerateOperator, FloraRunTechniqueOperator

with DAG(
    "flora_reuse",
    description="The second run takes both pictures from the build cache, and costs nothing.",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
    default_args={
        "wait_for_completion": True,
        "reuse_from": "{{ params.cache }}",
        "save_outputs_to": "{{ params.folder }}/{{ run_id }}",
    },
    params={
        "cache": Param("/tmp/flora-cache", type="string", description="The build cache."),  # noqa: S108 - a demo
        "folder": Param("/tmp/flora", type="string", description="Where to put the files."),  # noqa: S108 - a demo
    },
):
    picture = FloraGenerateOperator(task_id="picture", type="image", prompt="A fern in the rain")
    FloraRunTechniqueOperator(task_id="cctv", technique="tech_cctvcam01", inputs={"input_image": picture.output})
