"""What spans and lineage say of a run. Pure.

Neither prompt, output nor signed address is among it, and each text is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import TYPE_CHECKING, Any, Self

from flora_provider.api.text import bounded, one_line
from flora_provider.api.urls import redact_urls

if TYPE_CHECKING:
    from flora_provider.api.errors import RunFailed
    from flora_provider.api.models import FinishedRun

REQUEST = "request"
"""The XCom of operators that start runs: members of `RunManifest`, among them `run_id`."""

_LONGEST = 200  # characters of a text; FLORA's ids and slugs have some dozens

_REQUESTED = ("kind", "type", "model", "technique", "action", "workspace_id", "project_id", "quoted_cost_usd")
"""The members of XCom `request` that are facts; `prompt`, `inputs` and `model_params` are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run, as far as it is known; None for what is not.

    Attributes:
        run_id: `run_…`.
        status: `completed` or `failed`; None of a run that nobody has waited for yet.
        kind: `generation`, `technique` or `action`.
        type: of a generation, `image`, `video`, `audio` or `text`.
        quoted_cost_usd: FLORA's quote.
        charged_cost_usd: FLORA's bill; zero for a run that was reused.
        error_code: FLORA's, of a failed run.
        reused: whether the run was paid for, and taken, before: by another try, or from a build cache.
    """

    run_id: str
    status: str | None = None
    kind: str | None = None
    type: str | None = None
    model: str | None = None
    technique: str | None = None
    action: str | None = None
    workspace_id: str | None = None
    project_id: str | None = None
    quoted_cost_usd: float | None = None
    charged_cost_usd: float | None = None
    error_code: str | None = None
    reused: bool | None = None

    @classmethod
    def started(cls, run_id: str, request: Mapping[str, Any] | None) -> Self:
        """Of a run that may go on; `request` as XCom `request` has it."""
        return cls(**_fit({"run_id": run_id, **_requested(request)}))

    @classmethod
    def completed(cls, run: FinishedRun, request: Mapping[str, Any] | None) -> Self:
        """Of a completed run."""
        reused = True if run.get("reused_from") else None
        known = {"status": run["status"], "charged_cost_usd": run["charged_cost"], "reused": reused}
        return cls(**_fit({"run_id": run["run_id"], **_requested(request), **known}))

    @classmethod
    def failed(cls, failure: RunFailed, request: Mapping[str, Any] | None) -> Self:
        """Of a failed run."""
        known = {"status": "failed", "error_code": failure.code}
        return cls(**_fit({"run_id": failure.run_id, **_requested(request), **known}))

    def known(self) -> dict[str, Any]:
        """The members that are not None, by name."""
        members = {member.name: getattr(self, member.name) for member in fields(self)}
        return {name: value for name, value in members.items() if value is not None}


def plain_text(value: str) -> str:
    """A text as telemetry shows it: one line, bounded, its addresses without what they may be signed with."""
    return one_line(redact_urls(bounded(value)), _LONGEST)


def _requested(request: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: (request or {}).get(name) for name in _REQUESTED}


def _fit(members: Mapping[str, Any]) -> dict[str, Any]:
    """Texts made plain, and what is neither a text nor a number left out: it came through XCom."""
    fit = {name: plain_text(value) if isinstance(value, str) else value for name, value in members.items()}
    return {name: value for name, value in fit.items() if isinstance(value, str) or _is_number(value)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and isfinite(value)
