"""Generate a picture and wait for it, in one task.

The wait is deferred: while FLORA works, the task holds no worker slot. The task returns the finished run.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import Param, dag

from flora_provider.operators.flora import FloraGenerateOperator


@dag(
    description="One picture, started and awaited in one task.",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
    params={"style": Param("watercolour", type="string", description="How the picture is made.")},
)
def flora_generate_and_wait() -> None:
    """One picture a run."""
    FloraGenerateOperator(
        task_id="picture",
        type="image",
        prompt="A fern in the rain, {{ params.style }}",
        wait_for_completion=True,
        timeout=900,
        retries=2,
    )


flora_generate_and_wait()
