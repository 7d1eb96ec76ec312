"""The same prompts three ways: a mapped pair of start and sensor, a mapped operator that waits, and a batch."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task

from benchmarks.mapping import IN_FLIGHT, SECONDS
from flora_provider.operators.flora import FloraGenerateBatchOperator, FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor

MODEL_PARAMS = {"sandbox": {"seconds": SECONDS, "estimated_seconds": SECONDS}}
SETTINGS: dict[str, Any] = {
    "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
    "catchup": False,
    "params": {"count": Param(2, type="integer"), "folder": Param("/tmp", type="string")},  # noqa: S108 - not used
}


@task
def prompts(params: dict[str, Any] | None = None) -> list[str]:
    """As many as the DAG run asks for."""
    return [f"A fern, number {number}" for number in range((params or {})["count"])]


@task
def rows(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The same prompts as the rows of a batch."""
    return [{"prompt": f"A fern, number {number}"} for number in range((params or {})["count"])]


def starts(**options: Any) -> Any:
    """A mapped operator for all of them."""
    asked: dict[str, Any] = {"type": "image", "model_params": MODEL_PARAMS, **options}
    return FloraGenerateOperator.partial(task_id="start", **asked).expand(prompt=prompts())


@dag(schedule=None, **SETTINGS)
def mapped_pair() -> None:
    """One task starts a run, another one waits for it."""
    FloraRunSensor.partial(task_id="wait").expand(run_id=starts().output)


@dag(schedule=None, **SETTINGS)
def mapped_waiting() -> None:
    """One task does both."""
    starts(wait_for_completion=True)


@dag(schedule=None, **SETTINGS)
def batch() -> None:
    """One task for all prompts."""
    FloraGenerateBatchOperator(
        task_id="batch",
        requests=rows(),
        defaults={"type": "image", "model_params": MODEL_PARAMS},
        save_outputs_to="{{ params.folder }}",
        max_in_flight=IN_FLIGHT,
    )


mapped_pair()
mapped_waiting()
batch()
