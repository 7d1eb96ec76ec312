"""What starting a run asks of its task: effects beside those of HTTP, so that the flow itself does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from flora_provider.api.errors import FloraError
from flora_provider.api.http.flow import Effect, Flow

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
Handlers: TypeAlias = Mapping[type[Any], Callable[[Any], Any]]


def with_handlers(flow: SubmitFlow[T], handlers: Handlers) -> Flow[T]:
    """Run a flow's task effects by the handler of their type, and yield all others to the client."""
    step: Callable[[Any], Any] = flow.send
    result: Any = None
    try:
        while True:
            try:
                effect = step(result)
            except StopIteration as end:
                value: T = end.value
                return value
            try:
                handler = handlers.get(type(effect))
                step, result = flow.send, handler(effect) if handler else (yield effect)
            except FloraError as failure:
                step, result = flow.throw, failure
    finally:
        flow.close()
