"""Reserve, settle and release what a run takes of a budget. Pure: the folder is brought by others.

A task adds its reservation, lists all entries, and goes on only if their sum is within the limit; else it withdraws.
Of all reservations that went on, the one that listed last has seen all others, so their sum is within the limit, in
whatever order and however many processes do this. Two that see each other may both withdraw; they try again later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, TypeAlias

from flora_provider.api.errors import FloraError, FloraInputError
from flora_provider.api.http.flow import Flow, FlowContext, Sleep
from flora_provider.budget.definition import FloraBudget
from flora_provider.budget.entries import Entry, newest, owner_of

log = logging.getLogger(__name__)

# FLORA quotes only what it has started, and the catalog's price is that of default params. Until the quote is known, a
# run counts as this many times that price.
HEADROOM = 3
_MICRO = 1_000_000
# Seconds to wait for others' reservations to be settled or withdrawn, which takes as long as starting a run; a retry
# of the task waits for longer.
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


class BudgetSpent(FloraInputError):  # noqa: N818 - named for what happened
    """What is spent leaves too little; only another limit, or the next period, can help."""


class BudgetTaken(FloraError):  # noqa: N818 - the same
    """What others have reserved, which may come to less, leaves too little now."""


@dataclass(frozen=True, slots=True)
class ListEntries:
    """Names of all files in a folder of the store; empty if there is no such folder."""

    folder: str


@dataclass(frozen=True, slots=True)
class AddEntry:
    """Make a file of this name in a folder of the store; nothing happens if it is there."""

    folder: str
    name: str


Price: TypeAlias = Callable[[FlowContext], Flow[tuple[str, float | None]]]


@dataclass(frozen=True, slots=True)
class Account:
    """The budget of one request.

    Args:
        budget: as its author wrote it.
        price: what is to be run, for messages, and what it costs by FLORA's catalog, in USD; None if unknown.
    """

    budget: FloraBudget
    price: Price

    def reserve(self, context: FlowContext, key: str, at: float) -> Generator[Any, Any, None]:
        """Reserve for the run of this key, first asked for at this time; again for a key is the same reservation.

        Raises:
            FloraInputError: nothing can be started in this period, or the price is not known.
            FloraError: others' reservations, which may come to less, leave too little now; or the store is away.
        """
        subject, price = yield from self.price(context)
        if price is None:
            problem = f"{self._label} needs a price, and FLORA's catalog has none for {subject}: nothing was started"
            raise _nothing_started(FloraInputError(problem))
        owner, folder, limit = owner_of(key), self.budget.folder(at), int(self.budget.limit_usd * _MICRO)
        amount = _micro_usd(price * HEADROOM)
        for pause in (*_PAUSES, None):
            entries = newest((yield ListEntries(folder)))
            before = entries.pop(owner, Entry(owner))
            if _sum(entries) + amount <= limit:
                mine = Entry(owner, before.version + 1, amount, is_settled=False)
                yield AddEntry(folder, mine.name)
                entries = newest((yield ListEntries(folder)))
                entries.pop(owner, None)
                if _sum(entries) + amount <= limit:
                    return
                yield AddEntry(folder, replace(before, version=mine.version + 1).name)
            spent = sum(entry.micro_usd for entry in entries.values() if entry.is_settled)
            problem = self._explain(subject, price, _sum(entries), folder)
            if spent + amount > limit:
                raise _nothing_started(BudgetSpent(problem))
            if pause is None:
                raise _nothing_started(BudgetTaken(problem))
            yield Sleep(pause * (0.5 + context.random()))

    def settle(self, key: str, at: float, cost: float) -> Generator[Any, Any, None]:
        """Replace the reservation by what the run costs in USD; 0 releases it.

        A store that is away is logged only, for the run is what matters; the reservation goes on counting.
        """
        owner, folder = owner_of(key), self.budget.folder(at)
        entry = Entry(owner, micro_usd=_micro_usd(cost))
        try:
            before = newest((yield ListEntries(folder))).get(owner)
            if before is not None and replace(entry, version=before.version) != before:
                yield AddEntry(folder, replace(entry, version=before.version + 1).name)
        except FloraError as error:
            log.warning("%s: what this run takes could not be settled; its reservation stays: %s", self._label, error)

    @property
    def _label(self) -> str:
        return f"budget {self.budget.name!r}"

    def _explain(self, subject: str, price: float, taken: int, folder: str) -> str:
        return (
            f"{self._label} is {self.budget.limit_usd:g} USD, of which {taken / _MICRO:g} are spent or reserved "
            f"({folder}), and {subject} costs about {price:g} USD by FLORA's catalog, of which {HEADROOM} times are "
            "reserved until FLORA quotes: nothing was started. Raise limit_usd, or wait for the next period"
        )


def _nothing_started(error: FloraError) -> FloraError:
    error.started_nothing = True
    return error


def _micro_usd(usd: float) -> int:
    """Rounded up, but not for what binary fractions add."""
    return ceil(round(usd * _MICRO, 3))


def _sum(entries: dict[str, Entry]) -> int:
    return sum(entry.micro_usd for entry in entries.values())
