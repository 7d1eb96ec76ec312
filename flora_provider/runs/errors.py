"""What can go wrong with a run over time, beside `flora_provider.api.errors`. Standard library only."""

from __future__ import annotations

from flora_provider.api.errors import FloraError, RunError


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
