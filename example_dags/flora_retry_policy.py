"""Retry by what FLORA says: at once after a provider's timeout, later after an overload, never after a refusal."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG

from flora_provider.operators.flora import FloraGenerateOperator

BY_CODE: dict[str, Any]
try:
    from flora_provider.retry_policies.flora import FloraRetryPolicy
except ImportError:  # Airflow before 3.3 has no retry policies: the delay below is for all failures then
    BY_CODE = {}
else:
    BY_CODE = {"retry_policy": FloraRetryPolicy(overload_delay=timedelta(minutes=2))}

with DAG(
    "flora_retry_policy",
    description="Retries by what FLORA says: at once, later, or not at all.",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
):
    FloraGenerateOperator(
        task_id="picture",
        type="image",
        prompt="A fern in the rain",
        wait_for_completion=True,
        retries=4,
        retry_delay=timedelta(seconds=30),
        **BY_CODE,
    )
