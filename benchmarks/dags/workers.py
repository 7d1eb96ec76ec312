"""Each way to wait for runs of 20 s, one way after the other."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pendulum
from airflow.providers.common.compat.sdk import chain, dag, task

from benchmarks.workers import RUNS
from flora_provider.hooks.flora import FloraHook
from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor

ASKED: dict[str, Any] = {"type": "text", "prompt": "In twenty seconds."}
MODEL_PARAMS = {"sandbox": {"seconds": 20, "estimated_seconds": 20}}


def nothing(context: Any) -> None:
    """A callback, which only a worker can run."""


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False)
def workers() -> None:
    """The first step warms caches up and is not looked at."""

    def operators(way: str, **options: Any) -> Any:
        return FloraGenerateOperator.partial(task_id=way, **options).expand_kwargs(
            [{**ASKED, "model_params": MODEL_PARAMS}] * RUNS
        )

    @task(multiple_outputs=True)
    def begin() -> dict[str, str]:
        with FloraHook() as hook:
            runs = [hook.generate(**ASKED, params=MODEL_PARAMS, idempotency_key=uuid4().hex) for _ in range(RUNS)]
        return {f"run_{number}": str(run.run_id) for number, run in enumerate(runs)}

    begun: Any = begin()
    sensors = [FloraRunSensor(task_id=f"sensor_{number}", run_id=begun[f"run_{number}"]) for number in range(RUNS)]
    chain(
        operators("warm-up"),
        operators("submission"),
        operators("deferred", wait_for_completion=True),
        operators("resumed", wait_for_completion=True, on_success_callback=nothing),
        operators("waiting", wait_for_completion=True, deferrable=False),
        begun,
        sensors,
    )


workers()
