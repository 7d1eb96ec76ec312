"""What a trigger tells its task, both directions. Plain JSON on the way; no HTTP client is needed to read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from flora_provider.api.errors import (
    FloraError,
    FloraInputError,
    FloraNotFoundError,
    RunError,
    RunFailed,
    RunTimedOut,
)
from flora_provider.runs.failures import advice_for
from flora_provider.runs.patience import bill_expected_for

if TYPE_CHECKING:
    from flora_provider.api.models import Run


Limit: TypeAlias = Literal["timeout", "execution_timeout"]


class WaitRefused(RunError):  # noqa: N818 - named for what happened to the wait
    """There was no way to look at the run (401, 403, no connection, …). The run goes on, so this is not final."""

    def __init__(self, *, run_id: str, detail: str) -> None:
        super().__init__(
            f"There is no way to look at run {run_id}, which may go on and be billed: {detail.rstrip('. ')}. "
            "Put right what is wrong with the connection (its key, its workspace) or with the id; to look again, as a "
            "retry of the task does, costs nothing",
            run_id=run_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """How a wait ended.

    Attributes:
        kind: `ended` (FLORA says completed or failed), `timed_out` (we stopped waiting), `refused` (there was no way
            to look for minutes), `invalid` (nobody was asked, for no wait can be made of what was given).
        run_id: the run.
        run: of an ended one, as `Run.to_dict` gives it.
        error_code, error_message: of a failed run, as FLORA gave them.
        detail: a sentence about a wait that timed out or was refused.
        unseen: of a wait that timed out, whether FLORA said to the end that it knows no such run.
        limit: which of the task's limits the deadline was.
    """

    kind: Literal["ended", "timed_out", "refused", "invalid"]
    run_id: str
    run: dict[str, Any] | None = field(default=None, repr=False)  # its addresses may be signed
    error_code: str | None = None
    error_message: str | None = None
    detail: str = ""
    unseen: bool = False
    limit: Limit = "timeout"

    @classmethod
    def ended(cls, run: Run) -> Self:
        """The run has ended, well or badly."""
        return cls(
            kind="ended",
            run_id=run.run_id,
            run=run.to_dict(),
            error_code=run.error_code,
            error_message=run.error_message,
        )

    @classmethod
    def timed_out(cls, run_id: str, *, last_error: FloraError | None = None, seen: bool = True) -> Self:
        """The deadline passed; if looking failed to the end, `last_error` says how. `seen` if it ever succeeded."""
        return cls(
            kind="timed_out",
            run_id=run_id,
            detail=f"; the last look failed: {last_error}" if last_error else "",
            unseen=not seen and isinstance(last_error, FloraNotFoundError),
        )

    @classmethod
    def refused(cls, run_id: str, error: FloraError) -> Self:
        """There was no way to look for minutes; a later wait may find one."""
        return cls(kind="refused", run_id=run_id, detail=str(error))

    @classmethod
    def invalid(cls, run_id: object, problem: str) -> Self:
        """No wait can be made of what was given, such as an id that is none."""
        return cls(kind="invalid", run_id=str(run_id), detail=problem)

    @property
    def succeeded(self) -> bool:
        """Whether `result` returns the finished run, instead of raising."""
        run = self.run if self.kind == "ended" else None
        return run is not None and run["status"] == "completed" and bool(run["outputs"])

    def awaits_bill(self, *, now: float) -> bool:
        """Whether the run completed so lately that FLORA may still settle its bill; `now` in unix seconds."""
        return self.run is not None and bill_expected_for(self.run, now=now) > 0

    def to_payload(self) -> dict[str, Any]:
        """JSON for a trigger's event."""
        # Not asdict: it would copy the run, part by part, which nobody else holds.
        return {member.name: getattr(self, member.name) for member in fields(self)}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Read what `to_payload` wrote."""
        return cls(**payload)

    def result(self) -> dict[str, Any]:
        """The finished run as a dict.

        Raises:
            RunFailed: FLORA ended it as failed.
            RunTimedOut: the deadline passed first.
            WaitRefused: there was no way to look for minutes.
            FloraInputError: no wait can be made of what was given.
            RunError: it completed without an output that can be read; a later look may find one.
        """
        if self.kind == "timed_out":
            raise RunTimedOut(run_id=self.run_id, waited=f"in time{self.detail}", unseen=self.unseen)
        if self.kind == "invalid":
            raise FloraInputError(self.detail)
        if self.kind == "refused" or self.run is None:
            raise WaitRefused(run_id=self.run_id, detail=self.detail)
        if self.run["status"] == "failed":
            advice = advice_for(self.error_code, self.error_message)
            raise RunFailed(run_id=self.run_id, code=self.error_code, reason=self.error_message, advice=advice)
        if not self.run["outputs"]:
            raise RunError(
                f"FLORA run {self.run_id} completed without an output; look at it in FLORA", run_id=self.run_id
            )
        return self.run
