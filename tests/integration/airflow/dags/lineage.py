"""One task of each kind, for what OpenLineage is told of them; run as a program, it runs the DAG by `dag.test()`."""

import os

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, AssetAlias

from flora_provider.operators.flora import FloraGenerateBatchOperator, FloraGenerateOperator, FloraRunActionOperator
from flora_provider.sensors.flora import FloraRunSensor
from flora_provider.transfers.object_storage import FloraToObjectStorageOperator, ObjectStorageToFloraOperator

FOLDER = os.environ["FLORA_TEST_LINEAGE_FOLDER"]
INSTANT = {"sandbox": {"seconds": 0}}
PICTURE = {"type": "image", "prompt": "a fern, confidential", "model": "t2i-flux-2-pro"}

with DAG("lineage", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    started = FloraGenerateOperator(task_id="start", **PICTURE, model_params=INSTANT)
    finished = FloraRunSensor(task_id="finished", run_id=started.output, save_outputs_to=f"{FOLDER}/sensor")
    FloraToObjectStorageOperator(task_id="saved", run=finished.output, destination=f"file://{FOLDER}/saved")
    waited = FloraGenerateOperator(
        task_id="waited",
        **PICTURE,
        model_params=INSTANT,
        wait_for_completion=True,
        deferrable=False,
        outlets=[Asset("s3://bucket/declared.png"), AssetAlias("pictures")],
        reuse_from=f"{FOLDER}/cache",
    )
    reused = FloraGenerateOperator(
        task_id="reused", **PICTURE, model_params=INSTANT, wait_for_completion=True, reuse_from=f"{FOLDER}/cache"
    )
    waited >> reused
    FloraRunActionOperator(
        task_id="action",
        action_id="speed-up-video",
        inputs="https://media.flora.ai/clips/fern.mp4?signature=s3cr3t",
        action_params={"factor": 2},
        wait_for_completion=True,
    )
    FloraGenerateOperator(
        task_id="failed",
        **PICTURE,
        model_params={"sandbox": {"seconds": 0, "error_code": "LLM_REFUSAL"}},
        wait_for_completion=True,
    )
    ObjectStorageToFloraOperator(task_id="upload", source=f"{FOLDER}/fern.png")
    FloraGenerateBatchOperator(
        task_id="batch", requests=f"{FOLDER}/rows.csv", defaults=PICTURE, save_outputs_to=f"{FOLDER}/batch"
    )

if __name__ == "__main__":
    from airflow.utils.db import initdb

    initdb()
    dag.test()
