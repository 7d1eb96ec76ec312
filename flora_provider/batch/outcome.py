"""What has become of a batch: of each row, and of the whole. Pure."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal, Self, TypeAlias

from flora_provider.api.text import short_repr
from flora_provider.api.urls import without_signatures
from flora_provider.batch.plan import PlannedRow
from flora_provider.batch.records import RowRecord
from flora_provider.batch.rules import BatchEnd
from flora_provider.files.manifest import RunManifest
from flora_provider.runs.errors import BatchFailed

OnBudget: TypeAlias = Literal["fail", "partial"]

_SHOWN = 5  # rows with one reason, and reasons, that a message names


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRun:
    """What a batch needs to know of a run whose files are all there: an eighth of the memory of its manifest.

    Attributes:
        charged_cost_usd: FLORA's bill; None while it is not known.
        completed_at: ISO 8601; None where it is not known.
        files: as of `RunManifest`, in JSON.
    """

    run_id: str
    charged_cost_usd: float | None
    completed_at: str | None
    files: bytes

    @classmethod
    def of(cls, manifest: RunManifest) -> Self:
        """The same of a manifest."""
        return cls(
            run_id=manifest.run_id,
            charged_cost_usd=manifest.charged_cost_usd,
            completed_at=manifest.completed_at,
            files=json.dumps(manifest.to_dict()["files"]).encode(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOutcome:
    """What has become of one row.

    Attributes:
        row: as it was planned.
        record: of the ledger; None if nothing was sent for it.
        saved: its run, if the files are all there; None without.
        problem: why the files of a completed run are not there; empty if they are.
    """

    row: PlannedRow
    record: RowRecord | None = None
    saved: SavedRun | None = None
    problem: str = ""

    @property
    def state(self) -> str:
        """`completed`, `reused`, `failed`, `refused`, `unknown`, `unsaved`, `going_on`, `open` or `not_started`."""
        if self.saved is not None:
            return "reused" if self.row.reused_from else "completed"
        if self.problem:
            return "unsaved"
        state = "void" if self.record is None else self.record.state
        return {"void": "not_started", "intended": "open", "started": "going_on"}.get(state, state)

    @property
    def is_good(self) -> bool:
        """Whether its files are there."""
        return self.saved is not None

    @property
    def may_pass(self) -> bool:
        """Whether a retry of the task may complete it."""
        return not self.is_good and (self.record is None or self.record.state == "completed" or self.record.may_pass)

    @property
    def reason(self) -> str:
        """Why it is not good, in a few words."""
        return self.problem or (self.record and self.record.reason) or self.state.replace("_", " ")

    @property
    def cost(self) -> float:
        """USD: the bill, or the quote where that is not known; nothing for a row that was reused."""
        if self.row.reused_from or self.record is None:
            return 0.0
        if self.saved is not None and self.saved.charged_cost_usd is not None:
            return self.saved.charged_cost_usd
        return self.record.cost

    def to_dict(self) -> dict[str, Any]:
        """Its line in the batch's manifest; None where it is not known. Addresses are without what signs them."""
        record = self.record or RowRecord(row=self.row.row, state="void")
        request = self.row.request
        saved = self.saved
        return {
            "row": self.row.number,
            "state": self.state,
            "run_id": saved.run_id if saved else record.run_id or None,
            **{name: without_signatures(request.get(name)) for name in ("type", "prompt", "model")},
            "model_params": without_signatures(request.get("params")),
            "workspace_id": request.get("workspace_id"),
            "project_id": request.get("project_id"),
            "quoted_cost_usd": record.quoted_cost,
            "charged_cost_usd": 0.0 if self.row.reused_from else saved.charged_cost_usd if saved else None,
            "runs": record.key_version if record.run_id else 0,
            "code": None if saved else record.code,
            "message": "" if saved else without_signatures(self.problem or record.message),
            "completed_at": saved.completed_at if saved else None,
            "reused_from": self.row.reused_from or None,
            "files": json.loads(saved.files) if saved else [],
        }


def summary_of(outcomes: Sequence[RowOutcome], gone: Iterable[RowRecord], manifest: str) -> dict[str, Any]:
    """What XCom holds of a batch.

    Args:
        outcomes: of all rows.
        gone: records of rows that an earlier try had, and that are asked for no more.
        manifest: the path of the batch's manifest.
    """
    counts = Counter(outcome.state for outcome in outcomes)
    spent_on_gone = sum(record.cost for record in gone)
    return {
        "rows": len(outcomes),
        **{name: counts[name] for name in ("completed", "reused", "failed", "refused", "unknown", "not_started")},
        "open": counts["open"] + counts["going_on"] + counts["unsaved"],
        "cost_usd": round(sum(outcome.cost for outcome in outcomes) + spent_on_gone, 6),
        "manifest": manifest,
    }


def raise_unless_enough(
    outcomes: Sequence[RowOutcome], end: BatchEnd, *, min_success: float, on_budget: OnBudget, manifest: str
) -> None:
    """Say whether the batch has succeeded.

    Args:
        outcomes: of all rows.
        end: why it has ended.
        min_success: how many rows must have completed, or what part of them if it is a float.
        on_budget: `partial` does not count the rows that a limit of costs has left out.
        manifest: the path of the batch's manifest.

    Raises:
        BatchFailed: too few rows have completed.
    """
    is_partial = end.reason == "budget" and on_budget == "partial"
    counted = [one for one in outcomes if not (is_partial and one.state == "not_started")]
    good = sum(outcome.is_good for outcome in outcomes)
    needed = required(min_success, len(counted))
    is_cut = end.reason == "budget" and on_budget == "fail"
    if good >= min(needed, len(counted)) and not is_cut:
        return
    bad = [outcome for outcome in counted if not outcome.is_good]
    may_retry = not is_cut and not end.is_final and any(outcome.may_pass for outcome in bad)
    again = sum(outcome.may_pass for outcome in bad)
    why = f" It was ended early: {end.detail}." if end.detail else ""
    retry = f"A retry tries {again} of them again, and pays for no other" if may_retry else "No retry can help"
    raise BatchFailed(
        f"{good} of {len(outcomes)} rows completed, and min_success is {min_success:g} ({needed} rows).{why} Of the "
        f"other rows: {_reasons(bad)}. {retry}. What became of each row is in {manifest}",
        may_retry=may_retry,
    )


def required(min_success: float, rows: int) -> int:
    """How many rows have to complete: a whole number counts them, a float is a part of all."""
    if isinstance(min_success, int):
        return min_success
    return ceil(round(min_success * rows, 9))


def _reasons(bad: Sequence[RowOutcome]) -> str:
    by_reason: dict[str, list[int]] = defaultdict(list)
    for outcome in bad:
        by_reason[outcome.reason].append(outcome.row.number)
    commonest = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    parts = [f"{_numbers(numbers)}: {short_repr(reason, 300)}" for reason, numbers in commonest[:_SHOWN]]
    left = sum(len(numbers) for _, numbers in commonest[_SHOWN:])
    return "; ".join(parts) + (f"; and {left} more" if left else "")


def _numbers(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers[:_SHOWN]))
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f"row{'s' if len(numbers) > 1 else ''} {named}{more}"
