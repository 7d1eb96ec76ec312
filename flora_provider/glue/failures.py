"""From FLORA's errors to Airflow's: which end a task for good, and which are left to its `retries`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from flora_provider.api.checks import is_loopback
from flora_provider.api.errors import (
    FloraConflictError,
    FloraConnectionError,
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


def is_refused_in_dag_test(error: FloraError) -> bool:
    """Whether nothing listens on this machine's port, and the task runs in `dag.test()`.

    Most likely the sandbox is not running. `dag.test()` would wait for each retry, five minutes by default, while its
    user sees "No tasks to run". A real scheduler's retry may find it started, so there it stays a matter of `retries`.
    """
    return isinstance(error, FloraConnectionError) and _is_refused_here(error.__cause__) and _in_dag_test()


def _is_refused_here(failure: BaseException | None) -> bool:
    request = getattr(failure, "_request", None)  # httpx's property of that name raises where there is none
    if request is None or not is_loopback(request.url.host):
        return False
    while failure is not None and not isinstance(failure, ConnectionRefusedError):
        failure = failure.__cause__ or failure.__context__
    return failure is not None


def _in_dag_test() -> bool:
    if runner := sys.modules.get("airflow.sdk.execution_time.task_runner"):
        # In a worker process, the supervisor is another process.
        return type(getattr(runner, "SUPERVISOR_COMMS", None)).__name__ == "InProcessSupervisorComms"
    # Airflow 2: only a scheduler's job queues a task, and the getter raises where no task runs.
    from airflow.providers.common.compat.sdk import get_current_context

    try:
        ti: Any = get_current_context()["ti"]
    except (AirflowException, RuntimeError):
        return False
    return ti.queued_by_job_id is None


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
        kind = AirflowFailException if final(error) or is_refused_in_dag_test(error) else AirflowException
        # The message says all of it; what caused it (httpx's failure, say) is more than a message for those who dig.
        raise kind(f"{error} [{where}]") from error.__cause__
