"""How far a batch is, for its log and for XCom. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flora_provider.batch.records import RowRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The counts of a batch at one moment.

    Attributes:
        rows: all of them.
        completed, failed, going_on, not_started: how many; `failed` are those that did not complete and are settled
            in this try of the task.
        cost_usd: bills and, where they are not there yet, quotes.
        seconds_left: about; None while nobody can tell.
    """

    rows: int
    completed: int
    failed: int
    going_on: int
    not_started: int
    cost_usd: float
    seconds_left: float | None = None

    def __str__(self) -> str:
        """One line for a log."""
        left = "" if self.seconds_left is None else f"; about {_duration(self.seconds_left)} left"
        return (
            f"{self.completed} of {self.rows} rows completed, {self.failed} failed, {self.going_on} going on, "
            f"{self.not_started} not started; {self.cost_usd:.2f} USD{left}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For XCom."""
        seconds = None if self.seconds_left is None else round(self.seconds_left)
        counts = {name: getattr(self, name) for name in ("rows", "completed", "failed", "going_on", "not_started")}
        return {**counts, "cost_usd": round(self.cost_usd, 6), "seconds_left": seconds}


def progress_of(
    rows: int,
    records: Iterable[RowRecord],
    *,
    attempt: int,
    cost_usd: float,
    settled_before: int = 0,
    elapsed: float = 0.0,
) -> Progress:
    """Count the rows of a batch.

    Args:
        rows: how many there are.
        records: of those that have one.
        attempt: the try of the task.
        cost_usd: as of `Progress`.
        settled_before: how many rows were settled when this process began.
        elapsed: seconds since then.
    """
    counts = Counter(
        "completed"
        if record.state == "completed"
        else "failed"
        if record.is_settled(attempt)
        else "going_on"
        if record.state == "started"
        else "not_started"
        for record in records
    )
    settled = counts["completed"] + counts["failed"]
    done, left = settled - settled_before, rows - settled
    return Progress(
        rows=rows,
        completed=counts["completed"],
        failed=counts["failed"],
        going_on=counts["going_on"],
        not_started=left - counts["going_on"],
        cost_usd=cost_usd,
        seconds_left=elapsed / done * left if done > 0 else None,
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"  # noqa: PLR2004 - as people say it
