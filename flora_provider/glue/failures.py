"""From FLORA's errors to Airflow's: which end a task for good, and which are left to its `retries`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from flora_provider.api.errors import (
    FloraConflictError,
    FloraError,
    FloraInputError,
    FloraRateLimitError,
    FloraServerError,
    FloraStatusError,
    RunFailed,
    RunOutcomeUnknown,
)
from flora_provider.runs.event import WaitRefused


def is_final(error: FloraError) -> bool:
    """Whether no retry can cure it: bad input, 400, 401, 402, 403, 404, 409, 422, a refused prompt, an unknown outcome.

    What may pass is left to the task's `retries`: broken connections, 429, 5xx, a provider's trouble, a timeout.
    """
    if isinstance(error, RunFailed):
        return not error.advice.may_retry
    if isinstance(error, FloraStatusError):
        return not isinstance(error, FloraRateLimitError | FloraServerError)
    return isinstance(error, FloraInputError | FloraConflictError | RunOutcomeUnknown | WaitRefused)


@contextmanager
def as_airflow(where: str, *, final: Callable[[FloraError], bool] = is_final) -> Iterator[None]:
    """Raise FLORA's errors as Airflow's, saying which task or connection they are about.

    Args:
        where: such as `task 'generate', connection 'flora_default'`.
        final: whether no retry can cure an error.

    Raises:
        AirflowFailException: no retry can cure it; the task fails at once, whatever its `retries`.
        AirflowException: it may pass; the task's `retries` decide.
    """
    try:
        yield
    except FloraError as error:
        kind = AirflowFailException if final(error) else AirflowException
        # The message says all of it; what caused it (httpx's failure, say) is more than a message for those who dig.
        raise kind(f"{error} [{where}]") from error.__cause__
