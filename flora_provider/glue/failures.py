"""From FLORA's errors to Airflow's: which end a task for good, and which are left to its `retries`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from flora_provider.api.errors import (
    FloraAuthenticationError,
    FloraError,
    FloraInputError,
    FloraRateLimitError,
    FloraServerError,
    FloraStatusError,
    RunFailed,
    RunOutcomeUnknown,
)


def is_final(error: FloraError) -> bool:
    """Whether no retry can cure it: bad input, 400, 402, 403, 404, 409, 422, a refused prompt, an unknown outcome.

    It is decided by what a retry costs, and what it can cure. What may pass is left to the task's `retries`: broken
    connections, 429, 5xx, a provider's trouble, a timeout; a 401, which starts nothing and which the next key cures; a
    connection that could not be read; and whatever kept us from looking at a run that is paid.
    """
    if isinstance(error, RunFailed):
        return not error.advice.may_retry
    if isinstance(error, FloraStatusError):
        return not isinstance(error, FloraAuthenticationError | FloraRateLimitError | FloraServerError)
    return isinstance(error, FloraInputError | RunOutcomeUnknown)


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
