"""Make a video of a reference picture, speed it up, and save it.

The picture is uploaded first, from a path or an address such as `s3://aws_default@bucket/fern.png`. What one task
returns is the input of the next.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param

from flora_provider.operators.flora import FloraGenerateOperator, FloraRunActionOperator
from flora_provider.transfers.object_storage import ObjectStorageToFloraOperator

with DAG(
    "flora_reference_to_video",
    description="A reference picture becomes a video, which is sped up and saved.",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
    params={
        "reference": Param("/tmp/flora/reference.png", type="string", description="The picture."),  # noqa: S108 - a demo
        "folder": Param("/tmp/flora", type="string", description="Where to put the video."),  # noqa: S108 - a demo
    },
):
    reference = ObjectStorageToFloraOperator(task_id="reference", source="{{ params.reference }}")
    video = FloraGenerateOperator(
        task_id="video",
        type="video",
        model="i2v-kling-2",
        prompt="The camera circles once",
        model_params={"image_url": reference.output},
        wait_for_completion=True,
    )
    FloraRunActionOperator(
        task_id="faster",
        action_id="speed-up-video",
        inputs=video.output,
        action_params={"factor": 2},
        wait_for_completion=True,
        save_outputs_to="{{ params.folder }}",
    )
