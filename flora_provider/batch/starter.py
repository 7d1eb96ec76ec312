"""Start the run of one row of a batch, or find the one that an earlier process started.

A row goes through the same `Start` as the one run of a task, whose table (`runs/submitter.py`) says what becomes of a
lost answer, a repeated failure or an old key; only its record is a line of the batch's ledger.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flora_provider.api.client import AsyncFloraClient
from flora_provider.api.errors import FloraError
from flora_provider.batch.board import Board
from flora_provider.batch.plan import PlannedRow
from flora_provider.batch.records import RowRecord
from flora_provider.batch.rules import BatchEnd, after_error
from flora_provider.runs.effects import ReadClaimedRuns, WriteLedger
from flora_provider.runs.intent import Intent
from flora_provider.runs.ledger import Attempt, LedgerRecord, Slot
from flora_provider.runs.request import RunBudget
from flora_provider.runs.start import Start
from flora_provider.runs.submission import SubmitOptions

log = logging.getLogger(__name__)

_MOST_TROUBLES = 5  # of one row, until it is left to a retry of the task
_LONGEST_PAUSE = 60.0  # seconds without starts after a failed one; doubles up to this
_GIVE_UP_AFTER = 600.0  # seconds in which every start has failed
_QUOTE_EXPECTED_IN = 0.2  # seconds
_SLOT = Slot(0, None, is_changed=False, clear_count=0, occurrence=0, free=0)


class Clients(Protocol):
    """The client for starts, over the connection as it is."""

    @property
    def current(self) -> AsyncFloraClient:
        """The one to use now."""

    async def renew(self, failed: AsyncFloraClient) -> bool:
        """Read the connection again, for FLORA refuses the key of a client; True if there is another one to use."""


@dataclass(slots=True)
class Starter:
    """Starts rows, and decides what their failures mean for the others.

    Args:
        board: of the batch.
        clients: for starts.
        put: stores a record, and makes it the row's.
        budget: makes the budget of a row; None for none.
        handlers: of the budget's effects.

    Attributes:
        not_before: when to start the next one, on the monotonic clock.
    """

    board: Board
    clients: Clients
    put: Callable[[RowRecord], Awaitable[None]]
    budget: Callable[[PlannedRow], RunBudget] | None = None
    handlers: Mapping[type, Callable[[Any], Awaitable[Any]]] = field(default_factory=dict)
    not_before: float = 0.0
    _troubles: dict[str, int] = field(default_factory=dict)  # failed starts by row
    _failures: int = 0  # of starts, in a row
    _starting: int = 0  # starts that FLORA has not answered
    _well_at: float = field(default_factory=time.monotonic)

    async def start(self, row: PlannedRow) -> bool:
        """Start or find the run of a row; False if there is none now, as its record or the board's `end` says."""
        board = self.board
        record = board.records.get(row.row)
        was_sent = record is not None and record.state in {"intended", "open"}
        if not board.costs.reserve(row.row, row.price_kind, row.price, even_beyond=was_sent):
            board.waiting.appendleft(row)
            if self._starting:  # the quotes of others may leave room for it
                self.not_before = time.monotonic() + _QUOTE_EXPECTED_IN
            else:
                board.stop(BatchEnd(reason="budget", detail=self._beyond_limit(row)))
            return False
        client = self.clients.current
        self._starting += 1
        try:
            submission = await client.run(self._start_of(row, record, client).flow(), self._handlers(row))
            board.costs.settle(row.row, row.price_kind, submission.quoted_cost if submission else None)
        except FloraError as error:
            await self._failed(row, error, client)
            return False
        finally:
            self._starting -= 1
        self._failures, self._well_at = 0, time.monotonic()
        return True

    def _start_of(self, row: PlannedRow, record: RowRecord | None, client: AsyncFloraClient) -> Start:
        options = self.board.options
        submit = SubmitOptions(
            intent=_intent(row, options.batch),
            attempt=Attempt(try_number=options.attempt, max_tries=0),
            durable=True,
            earliest=0.0,
            on_unknown=options.on_unknown,
        )
        request = row.run_request(options.connection, self.budget and self.budget(row))
        known = None if record is None else _stored(record, key_of(row, record, options.batch))
        return Start(client.context, submit, _SLOT, request, known)

    async def settle(self, row: PlannedRow, record: RowRecord) -> None:
        """Tell the budget what a row has cost, now that it has ended."""
        if self.budget:
            key = key_of(row, record, self.board.options.batch)
            settle = self.budget(row).settle(key, record.intended_at, record.cost)
            await self.clients.current.run(settle, self.handlers)

    async def _failed(self, row: PlannedRow, error: FloraError, client: AsyncFloraClient) -> None:
        board, attempt = self.board, self.board.options.attempt
        before = board.records.get(row.row) or RowRecord(row=row.row, state="void")
        self._troubles[row.row] = troubles = self._troubles.get(row.row, 0) + 1
        verdict = after_error(before, error, attempt=attempt, gives_up=troubles >= _MOST_TROUBLES)
        log.warning("Row %d: %s", row.number, error)
        if verdict.record != before:
            await self.put(verdict.record)
        if verdict.record.state not in {"intended", "open"}:  # these may have started a run
            board.costs.charge(row.row, verdict.record.cost)
        if verdict.is_about_connection and await self.clients.renew(client):
            log.info("Going on with the connection as it is now")
        elif verdict.end:
            board.stop(verdict.end)
        if not verdict.record.is_settled(attempt):
            board.waiting.append(row)
        if verdict.is_trouble:
            self._failures += 1
            self.not_before = time.monotonic() + min(2.0 ** min(self._failures, 10), _LONGEST_PAUSE)
            if time.monotonic() - self._well_at > _GIVE_UP_AFTER:
                board.stop(BatchEnd(reason="stopped", detail=f"no run could be started for 10 minutes: {error}"))

    def _handlers(self, row: PlannedRow) -> Mapping[type, Callable[[Any], Awaitable[Any]]]:
        async def write(effect: WriteLedger) -> None:
            await self._write(row, effect.record)

        async def claimed(_: ReadClaimedRuns) -> frozenset[str]:
            return frozenset(record.run_id for record in self.board.records.values() if record.run_id)

        return {WriteLedger: write, ReadClaimedRuns: claimed, **self.handlers}

    async def _write(self, row: PlannedRow, stored: LedgerRecord) -> None:
        before = self.board.records.get(row.row)
        if before and before.state == "failed" and before.key_version == stored.key_version:
            return  # another run is about to follow; a crash before it has to leave this one failed
        record = RowRecord(
            row=row.row,
            state="started" if stored.run_id else "intended",
            key_version=stored.key_version,
            intended_at=stored.intended_at,
            run_id=stored.run_id,
            quoted_cost=stored.quoted_cost,
            attempt=self.board.options.attempt,
        )
        await self.put(record)

    def _beyond_limit(self, row: PlannedRow) -> str:
        return (
            f"max_cost_usd is {self.board.options.max_cost_usd:g}, FLORA's quotes and bills come to "
            f"{self.board.costs.known:g} by now, and row {row.number} might pass the limit"
        )


def key_of(row: PlannedRow, record: RowRecord, batch: str) -> str:
    """The idempotency key of a row's record; `batch` is the key of the whole."""
    return _intent(row, batch).key(record.key_version)


def _intent(row: PlannedRow, batch: str) -> Intent:
    """The intent of a row, whose own key says all of it."""
    return Intent(
        dag_id="",
        task_id="",
        run_id="",
        map_index=-1,
        dag_run_started="",
        connection="",
        clears=0,
        body=b"",
        own_key=row.key(batch),
    )


def _stored(record: RowRecord, key: str) -> LedgerRecord:
    """A row's record as `Start` knows it; what it has sent is the same row, so its text need not be kept."""
    return LedgerRecord(
        max_tries=0,
        fingerprint="",
        key=key,
        key_version=record.key_version,
        intended_at=record.intended_at,
        run_id=record.run_id,
        quoted_cost=record.quoted_cost,
        is_void=record.state == "void",
    )
