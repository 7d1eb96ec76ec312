"""What a batch may still start under its `max_cost_usd`. Pure.

FLORA quotes a price only when it has started a run. Until it has quoted a few runs of a kind, all the same price,
several times the catalog's price is reserved for each: the catalog's is that of default parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from flora_provider.budget.account import HEADROOM

_QUOTES_TO_TRUST = 3
_EPSILON = 1e-9  # USD that sums of floats may be off


class _Quotes(NamedTuple):
    """How many there were of a kind, and their range."""

    number: int = 0
    least: float = inf
    most: float = 0.0


@dataclass(slots=True)
class Costs:
    """The costs of a batch.

    Args:
        limit: USD; None for none.
    """

    limit: float | None = None
    _reserved: dict[str, float] = field(default_factory=dict)  # by row, of those whose quote is not known
    _known: dict[str, float] = field(default_factory=dict)  # quote or bill, by row
    _before: float = 0.0  # of runs that are nobody's row any more
    _quotes: dict[str, _Quotes] = field(default_factory=dict)  # by kind

    @property
    def known(self) -> float:
        """What FLORA has quoted or billed so far, in USD."""
        return self._before + sum(self._known.values())

    def add_before(self, cost: float) -> None:
        """Count what an earlier try has spent on a row that is not there any more."""
        self._before += cost

    def reserve(self, row: str, kind: str, price: float | None, *, even_beyond: bool = False) -> bool:
        """Reserve for a run that is about to be started; False if that might pass the limit.

        With `even_beyond` it is reserved all the same: an earlier request may have started the run.
        """
        if self.limit is None:
            return True
        amount = self._estimate(kind, price)
        taken = self.known + sum(self._reserved.values()) - self._reserved.get(row, 0.0) - self._known.get(row, 0.0)
        if taken + amount > self.limit + _EPSILON and not even_beyond:
            return False
        self._reserved[row] = amount
        return True

    def settle(self, row: str, kind: str, quote: float | None) -> None:
        """Take in FLORA's quote of a run that was started."""
        if quote is not None:
            self._reserved.pop(row, None)
            self._known[row] = quote
            seen = self._quotes.get(kind, _Quotes())
            self._quotes[kind] = _Quotes(seen.number + 1, min(seen.least, quote), max(seen.most, quote))

    def charge(self, row: str, cost: float) -> None:
        """Take in what a row costs now that it has ended, 0 if it has come to nothing."""
        self._reserved.pop(row, None)
        self._known[row] = cost

    def _estimate(self, kind: str, price: float | None) -> float:
        seen = self._quotes.get(kind, _Quotes())
        if seen.number >= _QUOTES_TO_TRUST and seen.least == seen.most:
            return seen.most
        return max(HEADROOM * (price or 0.0), seen.most)
