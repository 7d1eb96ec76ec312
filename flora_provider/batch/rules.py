"""What a batch is to do, why it ends, and what a failed start means for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from flora_provider.api.errors import (
    FloraAuthenticationError,
    FloraError,
    FloraPaymentError,
    RunFailed,
    RunOutcomeUnknown,
)
from flora_provider.batch.records import RowRecord, State
from flora_provider.budget.account import BudgetSpent, BudgetTaken
from flora_provider.runs.errors import is_final
from flora_provider.runs.submission import OnDoubt

Reason: TypeAlias = Literal["done", "budget", "timeout", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """What all rows of a batch share.

    Attributes:
        batch: the key of the whole; those of its rows begin with it.
        connection: id and base URL of the connection, one space between them.
        attempt: the try of the task.
        max_in_flight: how many runs go on at once.
        max_cost_usd: see `FloraGenerateBatchOperator`.
        on_unknown: what becomes of a row whose run's id was lost: see there, `on_unknown_outcome`.
        deadline: unix seconds; None for none.
        poll_interval: least seconds between two polls of a run by itself.
    """

    batch: str
    connection: str
    attempt: int
    max_in_flight: int
    max_cost_usd: float | None = None
    on_unknown: OnDoubt = "fail"
    deadline: float | None = None
    poll_interval: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEnd:
    """Why a batch has ended in this try.

    Attributes:
        reason: `done`: no row is left to do. `budget`: a row might have passed a limit of costs. `timeout`: the
            deadline. `stopped`: every other start would have failed too.
        detail: a sentence without its full stop; empty for `done`.
        is_final: whether no retry of the task can help.
    """

    reason: Reason
    detail: str = ""
    is_final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedStart:
    """What a failed start means.

    Attributes:
        record: of the row, from now on.
        end: why nothing more is to be started; None to go on with other rows.
        is_about_connection: unless the connection has changed meanwhile: then the row is tried again.
        is_trouble: it may pass, so a pause helps.
    """

    record: RowRecord
    end: BatchEnd | None = None
    is_about_connection: bool = False
    is_trouble: bool = False


def after_error(record: RowRecord, error: FloraError, *, attempt: int, gives_up: bool) -> FailedStart:
    """What the failed start of a row means.

    Args:
        record: of the row, as it is now.
        error: what `Start.flow` raised.
        attempt: the try of the task.
        gives_up: this row has failed so often that it is left to a retry of the task, if it may pass.
    """
    cause = error.__cause__ if isinstance(error.__cause__, FloraError) else error
    nothing = record.with_(state="void") if error.started_nothing and record.state == "intended" else record
    if end := _end(cause, error):
        return FailedStart(record=nothing, end=end, is_about_connection=isinstance(cause, FloraAuthenticationError))
    if isinstance(error, RunFailed):
        state: State = "failed"
    elif isinstance(error, RunOutcomeUnknown):
        state = "unknown"
    elif is_final(error):
        state = "refused"
    elif gives_up:
        state = "open"
    else:
        return FailedStart(record=nothing, is_trouble=True)
    return FailedStart(record=record.stopped_by(error, state, attempt))


def _end(cause: FloraError, error: FloraError) -> BatchEnd | None:
    """Why every other start would fail too; None if it would not."""
    if isinstance(cause, BudgetSpent):
        return BatchEnd(reason="budget", detail=str(cause))
    if isinstance(cause, FloraAuthenticationError | BudgetTaken):
        return BatchEnd(reason="stopped", detail=str(error))
    if isinstance(cause, FloraPaymentError):
        return BatchEnd(reason="stopped", detail=str(error), is_final=True)
    return None
