"""What starting a run asks of its task: effects beside those of HTTP, so that the flow itself does no I/O."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from flora_provider.api.http.flow import Effect

if TYPE_CHECKING:
    from flora_provider.runs.ledger import LedgerRecord

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReadLedger:
    """Read all records of the task, by slot; raises LedgerUnreadable or LedgerUnavailable."""


@dataclass(frozen=True, slots=True)
class WriteLedger:
    """Store a record durably; raises LedgerUnavailable."""

    slot: int
    record: LedgerRecord


@dataclass(frozen=True, slots=True)
class ReadClaimedRuns:
    """Read the run ids that other tasks are known to own by now, as a frozenset."""


@dataclass(frozen=True, slots=True)
class RenderAgain:
    """Render the task's templates once more; True if that gives another request."""


TaskEffect: TypeAlias = ReadLedger | WriteLedger | ReadClaimedRuns | RenderAgain
SubmitFlow: TypeAlias = Generator[Effect | TaskEffect, Any, T]
