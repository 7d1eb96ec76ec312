"""How long Airflow waits before it retries a task that FLORA asked to stay away. Airflow 3.3 and newer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from airflow.providers.common.compat.sdk import RetryDecision, RetryPolicy

from flora_provider.api.errors import FloraError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class FloraRetryPolicy(RetryPolicy):
    """Retry no earlier than FLORA allows; the task's `retries` and `retry_delay` decide everything else.

        FloraGenerateOperator(..., retries=5, retry_delay=timedelta(seconds=20), retry_policy=FloraRetryPolicy())

    A 429 or 503 that outlasted the retries of its request has a `Retry-After`. If that is longer than the task's
    `retry_delay`, it takes its place for this one retry; it is read as 300 seconds at most. What no retry can cure
    fails at once with or without a policy.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002 - Airflow's signature
        max_tries: int,  # noqa: ARG002 - the same
        context: Context | None = None,
    ) -> RetryDecision:
        """Decide about a retry; Airflow calls this in the worker, and passes nothing that ends the task for good."""
        asked = exception.retry_after if isinstance(exception, FloraError) else None
        usual: Any = getattr((context or {}).get("task"), "retry_delay", None) or timedelta(0)
        if not asked or timedelta(seconds=asked) <= usual:
            return RetryDecision.default()
        return RetryDecision.retry(delay=timedelta(seconds=asked), reason=f"FLORA asks for a pause of {asked:g} s")

    def serialize(self) -> dict[str, Any]:
        """It has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:  # noqa: ARG003 - there is nothing to read
        """The same policy."""
        return cls()
