"""Runs that end in each way, of which OpenLineage is told; what they are given is signed."""

import pendulum
from airflow.providers.common.compat.sdk import dag

from flora_provider.operators.flora import FloraGenerateBatchOperator, FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor

SECRETS = ("confidential", "s3cr3t")
MODEL = "t2i-flux-2-pro"
SIGNED = "https://media.flora.ai/fern.png?signature=s3cr3t"
PICTURE = {"type": "image", "model": MODEL, "prompt": f"A fern, confidential, as in {SIGNED}"}


def takes(seconds, **behavior):
    sandbox = {"seconds": seconds, "no_estimate": True, "estimated_seconds": None, **behavior}
    return {"model_params": {"image": SIGNED, "sandbox": sandbox}, "validate_params": False}


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    params={"folder": ""},
    default_args={"retries": 0, "poll_interval": 1},
)
def lineage():
    started = FloraGenerateOperator(task_id="started", **PICTURE, **takes(15))
    FloraRunSensor(task_id="saved", run_id=started.output, save_outputs_to="{{ params.folder }}/saved")
    FloraGenerateOperator(
        task_id="failed", **PICTURE, **takes(5, error_code="LLM_REFUSAL"), wait_for_completion=True, deferrable=False
    )
    FloraGenerateBatchOperator(
        task_id="batch",
        requests=[{**PICTURE, "prompt": f"{PICTURE['prompt']}, {row}"} for row in range(2)],
        save_outputs_to="{{ params.folder }}/batch",
    )


lineage()
