"""From FLORA's errors to Airflow's: which end a task for good, and which are left to its `retries`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout

from flora_provider.api.errors import (
    FloraAuthenticationError,
    FloraConnectionError,
    FloraError,
    FloraFileError,
    FloraInputError,
    FloraStorageError,
    RunFailed,
)
from flora_provider.api.urls import is_loopback
from flora_provider.runs.errors import is_final

log = logging.getLogger(__name__)

# Their messages say what httpx, fsspec or the system raised: its traceback would hide them, and is logged as debug.
_SAY_THEIR_CAUSE = (FloraInputError, FloraConnectionError, FloraFileError, FloraStorageError)


def _needs_a_person_in_dag_test(error: FloraError) -> bool:
    """Whether only the person who watches this `dag.test()` can cure it: no retry is to be waited for.

    A missing connection, a refused key, or nothing that listens on this machine's port: most likely the sandbox is not
    running. `dag.test()` would wait for each retry, five minutes by default, while its user sees "No tasks to run". A
    real scheduler's retry may find it mended, so there it stays a matter of `retries`.
    """
    from flora_provider.hooks.base import ConnectionNotRead

    is_unmended = isinstance(error, FloraAuthenticationError | ConnectionNotRead)
    is_refused = isinstance(error, FloraConnectionError) and _is_refused_here(error.__cause__)
    return (is_unmended or is_refused) and _in_dag_test()


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
def as_airflow(where: str, *, starts_runs: bool = True) -> Iterator[None]:
    """Raise FLORA's errors as Airflow's too, saying which task or connection they are about.

    What is raised is of both classes: Airflow's decides about retries, FLORA's, with its attributes, is what a retry
    policy or an `except` names.

    Args:
        where: such as `task 'generate', connection 'flora_default'`.
        starts_runs: whether the task starts runs, so that its retry can replace one that failed.

    Raises:
        AirflowFailException: no retry can cure it; the task fails at once, whatever its `retries`.
        AirflowException: it may pass; the task's `retries` decide.
    """
    try:
        yield
    except FloraError as error:
        if isinstance(error, AirflowException | AirflowTaskTimeout):
            raise  # it has been through here
        fails_for_good = is_final(error, starts_runs=starts_runs) or _needs_a_person_in_dag_test(error)
        kind = AirflowFailException if fails_for_good else AirflowException
        remedy = _remedy(error, starts_runs=starts_runs) if isinstance(error, RunFailed) else ""
        cause = error.__cause__
        if cause is not None and isinstance(error, _SAY_THEIR_CAUSE):
            log.debug("This caused what follows", exc_info=cause)
            cause = None
        raise joined(kind, error, f"{error}{remedy} [{where}]") from cause


def _remedy(error: RunFailed, *, starts_runs: bool) -> str:
    """Which task to try again for another run."""
    if not starts_runs:
        return f"; this task starts none: clear the task that started {error.run_id}"
    return "; a retry starts a new run" if error.advice.may_retry else ""


def joined(kind: type[BaseException], error: FloraError, message: str) -> FloraError:
    """The same error, with this message, as an instance of Airflow's class `kind` too."""
    both = _made(kind, type(error), message)
    vars(both).update(vars(error))
    return both


def _made(kind: type[BaseException], of: type[FloraError], message: str) -> FloraError:
    # Without `__init__`: what FLORA's class would compose of its arguments is in the message and the attributes.
    both = _both(kind, of)  # type: ignore[arg-type]  # classes can be hashed; mypy looks at the hash of instances
    return cast("FloraError", Exception.__new__(both, message))


@cache
def _both(kind: type[BaseException], of: type[FloraError]) -> type[BaseException]:
    """A class that is both, under FLORA's name: that is what a reader of the log can look up and catch."""

    def reduce(self: BaseException) -> tuple[Any, ...]:
        """By its parts, for no module holds this class."""
        return _made, (kind, of, *self.args), vars(self)

    def serialize(self: BaseException) -> tuple[str, tuple[str], dict[str, Any]]:
        """As Airflow's class: Airflow reads back only exceptions that a module holds."""
        return f"{kind.__module__}.{kind.__name__}", (str(self),), {}

    members = {"__module__": of.__module__, "__doc__": of.__doc__, "__reduce__": reduce, "serialize": serialize}
    return type(of.__name__, (kind, of), members)
