"""What one process knows of its batch: which rows wait, go on and are settled. No I/O."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from flora_provider.batch.costs import Costs
from flora_provider.batch.plan import PlannedRow
from flora_provider.batch.progress import Progress, progress_of
from flora_provider.batch.records import RowRecord
from flora_provider.batch.rules import BatchEnd, BatchOptions

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Board:
    """The rows of a batch.

    Attributes:
        rows: all of them.
        options: of the batch.
        records: of rows, by identity; without the finished runs.
        going: rows whose runs are known, to be awaited.
        waiting: rows to be started, or whose runs are to be found.
        unbilled: rows whose runs completed without a bill, to be awaited at the end.
        costs: of the batch.
        end: why nothing more is started; None while that goes on.
    """

    rows: list[PlannedRow]
    options: BatchOptions
    records: dict[str, RowRecord] = field(default_factory=dict)
    going: deque[PlannedRow] = field(default_factory=deque)
    waiting: deque[PlannedRow] = field(default_factory=deque)
    unbilled: deque[PlannedRow] = field(default_factory=deque)
    costs: Costs = field(default_factory=Costs)
    end: BatchEnd | None = None

    def arrange(self, records: dict[str, RowRecord]) -> None:
        """Begin with what the ledger says. Rows of which something was sent come first, those that failed last."""
        self.records, self.end, self.costs = records, None, Costs(self.options.max_cost_usd)
        sent, new, failed = deque[PlannedRow](), deque[PlannedRow](), deque[PlannedRow]()
        self.going.clear()
        self.unbilled.clear()
        for row in self.rows:
            record = records.get(row.row)
            if record is None:
                new.append(row)
                continue
            self._count(row, record)
            if record.lacks_bill:
                self.unbilled.append(row)
            if record.is_settled(self.options.attempt):
                continue
            if record.run_id and record.state != "failed":
                self.going.append(row)
            elif record.state == "failed":
                failed.append(row)
            else:
                sent.append(row)
        self.waiting = sent + new + failed
        asked = {row.row for row in self.rows}
        for record in records.values():
            if record.row not in asked:
                self.costs.add_before(record.cost)

    def _count(self, row: PlannedRow, record: RowRecord) -> None:
        self.costs.settle(row.row, row.price_kind, record.quoted_cost)
        if record.state == "intended" or (record.state == "started" and record.quoted_cost is None):
            self.costs.reserve(row.row, row.price_kind, row.price, even_beyond=True)  # nobody knows what it costs
        else:
            self.costs.charge(row.row, record.cost)

    def stop(self, end: BatchEnd) -> None:
        """Start nothing more; the first reason counts."""
        if self.end is None:
            log.warning("No more rows are started: %s", end.detail)
            self.end = end

    def progress(self, **known: Any) -> Progress:
        """How far it is; `known` as of `progress_of`."""
        records = [record for row in self.rows if (record := self.records.get(row.row))]
        costs = self.costs.known
        return progress_of(len(self.rows), records, attempt=self.options.attempt, cost_usd=costs, **known)
