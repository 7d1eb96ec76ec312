"""Whether and when Airflow retries a task that FLORA let down, by FLORA's own codes. Airflow 3.3 and newer."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk import RetryDecision, RetryPolicy

from flora_provider.api import validation
from flora_provider.api.errors import FloraError, FloraInputError, FloraRateLimitError, FloraServerError, RunFailed
from flora_provider.runs.error_codes import RetryAdvice
from flora_provider.runs.errors import is_final
from flora_provider.tasks.waiting import seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_SOON = timedelta(seconds=1)  # Airflow may take a delay of nothing for none
_LONGEST = 3600.0  # seconds
_DOUBLINGS = 30  # at most; a clear counts tries up for ever


class FloraRetryPolicy(RetryPolicy):
    """Retry when it helps, no earlier than FLORA allows; the task's `retries` bound how often.

        FloraGenerateOperator(..., retries=5, retry_policy=FloraRetryPolicy())

    ========================================  =======================================================================
    What the task met                         What becomes of it
    ========================================  =======================================================================
    a refused prompt, bad input, no credits   fails at once: no retry can help
    a run that its provider let fail          another run at once: a timeout, say, usually passes
    overload: of the provider, or a 429, 503  later: after FLORA's `Retry-After`, read as 300 seconds at most, or else
                                              after `overload_delay`, which doubles with each retry up to an hour; in
                                              no case before the task's `retry_delay`
    anything else                             what the task's `retry_delay` says
    ========================================  =======================================================================

    Args:
        overload_delay: before the first retry after an overload, if FLORA names none: seconds, or a timedelta. Default
            one minute.

    Raises:
        FloraInputError: `overload_delay` is no positive duration.
    """

    def __init__(self, *, overload_delay: float | timedelta = 60.0) -> None:
        if problem := validation.positive("overload_delay", overload_delay):
            raise FloraInputError(f"FloraRetryPolicy: {problem}")
        self.overload_delay = seconds(overload_delay) or 0.0

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide about a retry; Airflow calls this in the worker, and passes nothing that ends the task for good."""
        if not isinstance(exception, FloraError):
            return RetryDecision.default()
        if is_final(exception):
            return RetryDecision.fail(reason="no retry can help")
        if asked := exception.retry_after:
            return self._later(asked, f"FLORA asks for a pause of {asked:g} s", context)
        if isinstance(exception, RunFailed) and exception.advice is RetryAdvice.RETRY_NOW:
            return RetryDecision.retry(delay=_SOON, reason=f"{exception.code or 'such a failure'} usually passes")
        if is_overload(exception):
            retries: int = getattr((context or {}).get("task"), "retries", None) or max_tries
            before = min(max(try_number - 1 - (max_tries - retries), 0), _DOUBLINGS)  # retries since the last clear
            delay = min(self.overload_delay * 2**before, _LONGEST)
            return self._later(delay, f"FLORA or a provider is overloaded: {delay:g} s of rest", context)
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Its settings."""
        return {"overload_delay": self.overload_delay}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """The policy of these settings."""
        return cls(**data)

    @staticmethod
    def _later(delay: float, reason: str, context: Context | None) -> RetryDecision:
        """After `delay` seconds, but not before the task's own `retry_delay` is over."""
        usual: Any = getattr((context or {}).get("task"), "retry_delay", None) or timedelta(0)
        if timedelta(seconds=delay) <= usual:
            return RetryDecision.default()
        return RetryDecision.retry(delay=timedelta(seconds=delay), reason=reason)


def is_overload(error: FloraError) -> bool:
    """Whether FLORA, or a model's provider, has too much to do."""
    if isinstance(error, RunFailed):
        return error.advice is RetryAdvice.RETRY_LATER
    return isinstance(error, FloraRateLimitError) or (
        isinstance(error, FloraServerError) and error.status == HTTPStatus.SERVICE_UNAVAILABLE
    )
