"""How a wait ended, as a trigger reports it to its task: plain JSON, read without an HTTP client."""

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
from flora_provider.runs.error_codes import advice_for
from flora_provider.runs.errors import WaitRefused
from flora_provider.runs.ref import RunRef
from flora_provider.runs.tolerance import bill_expected_for

if TYPE_CHECKING:
    from flora_provider.api.models import FinishedRun, Run


Limit: TypeAlias = Literal["timeout", "execution_timeout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """How a wait ended.

    Attributes:
        kind: `ended` (FLORA says completed or failed), `timed_out` (we stopped waiting), `refused` (the run could
            not be polled for minutes), `invalid` (an argument cannot be right, and nothing was sent).
        run_id: the run.
        technique: see `RunRef`.
        run: of an ended one, as `Run.to_dict` gives it.
        error_code, error_message: of a failed run, as FLORA gave them.
        detail: a sentence about a wait that timed out or was refused.
        unseen: of a wait that timed out, whether FLORA said to the end that it knows no such run.
        limit: which of the task's limits the deadline was.
    """

    kind: Literal["ended", "timed_out", "refused", "invalid"]
    run_id: str
    technique: str | None = None
    run: FinishedRun | None = field(default=None, repr=False)  # its addresses may be signed
    error_code: str | None = None
    error_message: str | None = None
    detail: str = ""
    unseen: bool = False
    limit: Limit = "timeout"

    @classmethod
    def ended(cls, run: Run, technique: str | None = None) -> Self:
        """The run has ended, well or badly."""
        return cls(
            kind="ended",
            run_id=run.run_id,
            technique=technique,
            run=run.to_dict(),
            error_code=run.error_code,
            error_message=run.error_message,
        )

    @classmethod
    def timed_out(cls, ref: RunRef, *, last_error: FloraError | None = None, seen: bool = True) -> Self:
        """The deadline passed; `last_error` of the last poll, if it failed; `seen` if FLORA ever showed the run."""
        return cls(
            kind="timed_out",
            run_id=ref.run_id,
            technique=ref.technique,
            detail=f"; the last poll failed: {last_error}" if last_error else "",
            unseen=not seen and isinstance(last_error, FloraNotFoundError),
        )

    @classmethod
    def refused(cls, ref: RunRef, error: FloraError) -> Self:
        """The run could not be polled for minutes; a later wait may succeed."""
        return cls(kind="refused", run_id=ref.run_id, technique=ref.technique, detail=str(error))

    @classmethod
    def invalid(cls, ref: RunRef, problem: str) -> Self:
        """An argument cannot be right, such as the id."""
        return cls(kind="invalid", run_id=str(ref.run_id), detail=problem)

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

    def result(self) -> FinishedRun:
        """The finished run as a dict.

        Raises:
            RunFailed: FLORA ended it as failed.
            RunTimedOut: the deadline passed first.
            WaitRefused: the run could not be polled for minutes.
            FloraInputError: an argument cannot be right.
            RunError: it completed without an output that can be read; a later poll may find one.
        """
        if self.kind == "timed_out":
            raise RunTimedOut(run_id=self.run_id, waited=f"in time{self.detail}", unseen=self.unseen)
        if self.kind == "invalid":
            raise FloraInputError(self.detail)
        if self.kind == "refused" or self.run is None:
            raise WaitRefused(run_id=self.run_id, detail=self.detail)
        if self.run["status"] == "failed":
            advice = advice_for(self.error_code, self.error_message)
            failure = RunFailed(run_id=self.run_id, code=self.error_code, reason=self.error_message, advice=advice)
            failure.run = self.run
            raise failure
        if not self.run["outputs"]:
            raise RunError(
                f"FLORA run {self.run_id} completed without an output; look at it in FLORA", run_id=self.run_id
            )
        return self.run
