"""What starting the run of a request goes by, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from flora_provider.api.models import Run, Started
from flora_provider.runs.intent import Intent
from flora_provider.runs.ledger import Attempt
from flora_provider.runs.moderation import ModeratedRun
from flora_provider.runs.ref import RunRef

OnDoubt = Literal["fail", "adopt", "submit_again"]
OnClear = Literal["new_run", "reuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The one run of a request.

    Attributes:
        ref: the run.
        started: FLORA's answer when this try started it (or FLORA repeated that answer); None when it was found.
        run: its state when it was polled; None right after it was started, or while FLORA does not show it.
        quoted_cost: FLORA's quote in USD; None when none is known.
        is_as_asked: whether it is of this very request, and not of one that was kept or taken in its place.
        is_reused: whether it had ended before the task was cleared, which takes it again.
        seed: parameter and value that replace what the author asked for, for moderation has refused that.
        moderated: the runs that moderation has refused before this one.
    """

    ref: RunRef
    started: Started | Run | None = None
    run: Run | None = None
    quoted_cost: float | None = None
    is_as_asked: bool = False
    is_reused: bool = False
    seed: Mapping[str, int] = field(default_factory=dict)
    moderated: tuple[ModeratedRun, ...] = ()

    @property
    def run_id(self) -> str:
        """Its id."""
        return self.ref.run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """What all requests of one try of a task share.

    Attributes:
        intent: which run is meant.
        attempt: which try of the task this is.
        durable: whether the task has a ledger; if not, nothing is known of earlier tries.
        earliest: unix seconds before which no try can have sent it; bounds the search when the ledger knows nothing.
        on_unknown: what to do when a run was started whose id is not known: see `FloraRunOperator`.
        on_changed: what to do when an earlier try has sent another request: the same.
        on_clear: what to do when the task was cleared: the same.
        after: id of the run that this very try has started, and that has failed; empty if there is none.
    """

    intent: Intent
    attempt: Attempt
    durable: bool
    earliest: float
    on_unknown: OnDoubt = "fail"
    on_changed: OnDoubt = "fail"
    on_clear: OnClear = "new_run"
    after: str = ""
