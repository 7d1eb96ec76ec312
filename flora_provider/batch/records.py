"""What is remembered of each row of a batch. Pure.

A line of the ledger is all that is known of one row when it is written, so the last line of a row counts, and reading a
line twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from flora_provider.api.errors import FloraError
from flora_provider.api.text import bounded
from flora_provider.api.urls import redact_urls
from flora_provider.runs.error_codes import advice_for
from flora_provider.runs.errors import LedgerUnreadable
from flora_provider.runs.event import RunEvent

State: TypeAlias = Literal["intended", "void", "started", "completed", "failed", "refused", "unknown", "open"]

_FOR_GOOD = frozenset({"completed", "refused", "unknown"})


class RowRecord(BaseModel):
    """What is known of one row.

    Attributes:
        row: its identity.
        state: `intended`: a request is about to be sent, or was, and its answer is not known. `void`: it surely has
            started nothing. `started`: its run is known, and may go on. `completed` and `failed`: FLORA says so.
            `refused`: FLORA refuses the request, for good. `unknown`: it has started a run whose id was lost. `open`:
            what became of it could not be found out in this try of the task; a retry goes on with it.
        key_version: of its idempotency key, from 1; one more for each run that failed.
        intended_at: unix seconds just before the first POST of this version.
        run_id: empty until it is known.
        quoted_cost, charged_cost: FLORA's quote and bill in USD; None while unknown.
        attempt: the try of the task that wrote this.
        code, message: why it failed, was refused or is open.
        may_retry: of a failed run, whether another one may pass.
        run: the finished run, as `Run.to_dict` gives it.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    row: str
    state: State
    key_version: int = 1
    intended_at: float = 0.0
    run_id: str = ""
    quoted_cost: float | None = None
    charged_cost: float | None = None
    attempt: int = 0
    code: str | None = None
    message: str = ""
    may_retry: bool = False
    run: dict[str, Any] | None = None

    def with_(self, **changes: Any) -> RowRecord:
        """The same with these changes."""
        return self.model_copy(update=changes)

    def is_settled(self, attempt: int) -> bool:
        """Whether this try of the task has nothing to do about it."""
        if self.state in _FOR_GOOD:
            return True
        if self.state == "failed":
            return self.attempt >= attempt or not self.may_retry
        return self.state == "open" and self.attempt >= attempt

    @property
    def may_pass(self) -> bool:
        """Whether a retry of the task may complete it."""
        return self.state not in _FOR_GOOD and (self.state != "failed" or self.may_retry)

    @property
    def reason(self) -> str:
        """Why it failed, was refused or is open: code and message, as far as there are any."""
        return ": ".join(filter(None, (self.code, self.message)))

    @property
    def cost(self) -> float:
        """What it is known to cost, in USD: nothing if its run failed, else the bill or, before that, the quote."""
        if self.state in {"failed", "void", "refused"}:
            return 0.0
        return self.charged_cost if self.charged_cost is not None else self.quoted_cost or 0.0

    @property
    def lacks_bill(self) -> bool:
        """Whether its run completed and FLORA's bill is not known."""
        return self.state == "completed" and self.charged_cost is None

    def ended(self, event: RunEvent, attempt: int) -> RowRecord:
        """The same once the wait for its run is over."""
        if event.kind == "ended" and event.run is not None and event.run["status"] == "failed":
            advice = advice_for(event.error_code, event.error_message)
            return self.with_(
                state="failed",
                attempt=attempt,
                code=event.error_code,
                message=redact_urls(bounded(event.error_message or "")),
                may_retry=advice.may_retry,
            )
        if event.succeeded and event.run is not None:
            cost = event.run["charged_cost"]
            return self.with_(
                state="completed", attempt=attempt, charged_cost=cost, run=dict(event.run), code=None, message=""
            )
        try:
            event.result()
        except FloraError as error:
            return self.stopped_by(error, "open", attempt)
        raise AssertionError(event)

    def stopped_by(self, error: FloraError, state: State, attempt: int) -> RowRecord:
        """The same after an error that ends it, at least for this try of the task."""
        code = getattr(error, "code", None) or type(error).__name__
        return self.with_(state=state, attempt=attempt, code=str(code), message=str(error))

    def to_line(self) -> bytes:
        """One line of JSON."""
        return self.model_dump_json(exclude_defaults=True).encode(errors="replace") + b"\n"


def read_lines(content: bytes, path: str) -> Iterable[RowRecord]:
    """The records of a part of the ledger. What follows the last line break was never written whole, nor acted on.

    Raises:
        LedgerUnreadable: a whole line is none of ours. It may be about a run that is paid for.
    """
    lines = content.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            yield RowRecord.model_validate_json(line)
        except ValidationError as error:
            raise LedgerUnreadable(
                f"line {number} of {path}, which knows what this batch has paid for, cannot be read "
                f"({error.errors(include_input=False, include_url=False)[0]['msg']}). Nothing was sent. If another "
                "release of this provider wrote it, run this task with that release; else restore the file, or clear "
                "the task, which starts all rows anew"
            ) from None
