"""What can go wrong with a run over time, beside `flora_provider.api.errors`. Standard library only."""

from __future__ import annotations

from flora_provider.api.errors import (
    FloraAuthenticationError,
    FloraError,
    FloraInputError,
    FloraRateLimitError,
    FloraServerError,
    FloraStatusError,
    RunError,
    RunFailed,
    RunOutcomeUnknown,
)


class WaitRefused(RunError):  # noqa: N818 - named for what happened to the wait
    """The run could not be polled for minutes (401, 403, no connection, …). It may go on, so this is not final."""

    def __init__(self, *, run_id: str, detail: str) -> None:
        super().__init__(
            f"FLORA run {run_id} cannot be polled, and may go on and be billed: {detail.rstrip('. ')}. "
            "Correct the connection (its key, its workspace) or the id; polling again, as a retry of the task does, "
            "costs nothing",
            run_id=run_id,
        )


class LedgerUnreadable(FloraError):  # noqa: N818 - named for what happened
    """The task remembers something of an earlier try that cannot be read. Nothing was sent: it may be paid for."""


class LedgerUnavailable(FloraError):  # noqa: N818 - named for what happened
    """What the task should remember could not be read or stored.

    Attributes:
        run_id: the run that was started and could not be stored; None if nothing was started.
    """

    def __init__(self, message: str, *, run_id: str | None = None) -> None:
        self.run_id = run_id
        super().__init__(message)


class BatchFailed(FloraError):  # noqa: N818 - named for what happened
    """Too few rows of a batch have completed.

    Attributes:
        may_retry: whether a retry of the task may complete more of them.
    """

    def __init__(self, message: str, *, may_retry: bool) -> None:
        self.may_retry = may_retry
        super().__init__(message)


def is_final(error: FloraError, *, starts_runs: bool = True) -> bool:
    """Whether no retry can cure it: bad input, 400, 402, 403, 404, 409, 422, a refused prompt, an unknown outcome.

    It is decided by what a retry costs, and what it can cure. What may pass is left to the task's `retries`: broken
    connections, 429, 5xx, a provider's trouble, a timeout; a 401, which starts nothing and which the next key cures; a
    connection that could not be read; and whatever kept us from polling a run that is paid. Where the task starts no
    runs, one that failed is what it is, whoever waits for it again.
    """
    if isinstance(error, BatchFailed):
        return not error.may_retry
    if isinstance(error, RunFailed):
        return not (starts_runs and error.advice.may_retry)
    if isinstance(error, FloraStatusError):
        return not isinstance(error, FloraAuthenticationError | FloraRateLimitError | FloraServerError)
    return isinstance(error, FloraInputError | RunOutcomeUnknown)
