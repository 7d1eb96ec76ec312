"""Start the runs of a batch, some at a time, and await them, on one event loop; whatever crashes, each row once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from flora_provider.api.errors import FloraStorageError
from flora_provider.batch.board import Board
from flora_provider.batch.commits import Commits
from flora_provider.batch.ledger import BEAT, LEASE, BatchLedger, LedgerTaken
from flora_provider.batch.plan import PlannedRow
from flora_provider.batch.progress import Progress
from flora_provider.batch.records import RowRecord
from flora_provider.batch.rules import BatchEnd
from flora_provider.batch.starter import Clients, Starter
from flora_provider.runs.event import RunEvent
from flora_provider.runs.poll_policy import PollPolicy
from flora_provider.runs.poller import RunPoller
from flora_provider.runs.ref import RunRef
from flora_provider.runs.request import RunBudget

log = logging.getLogger(__name__)

PROGRESS_EVERY = 30.0  # seconds
_WATCH = 2.0  # seconds between two looks at another writer's signs of life


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a batch needs of the process that it runs in.

    Attributes:
        clients: for starts.
        wait: for a run.
        tell: takes the progress, every `PROGRESS_EVERY` seconds and at the end.
        report: takes how a run ended, once that is stored, and what was asked for, as XCom `request` has it.
        budget: makes the budget of a row; None for none.
        handlers: of the budget's effects; they block.
    """

    clients: Clients
    wait: Callable[[RunPoller], Awaitable[RunEvent]]
    tell: Callable[[Progress], Awaitable[None]]
    report: Callable[[RunEvent, Mapping[str, Any]], None]
    budget: Callable[[PlannedRow], RunBudget] | None = None
    handlers: Mapping[type, Callable[[Any], Any]] = field(default_factory=dict)


@dataclass(slots=True)
class BatchRunner:
    """One batch in one process.

    Args:
        board: its rows and options.
        ledger: its ledger, not claimed yet.
        commits: the thread for that.
        around: the process.
    """

    board: Board
    ledger: BatchLedger
    commits: Commits
    around: Surroundings

    async def run(self) -> BatchEnd:
        """Go on with the batch until nothing is left to do in this try, or something stops it.

        What goes on is awaited, unless the deadline passes. If another process takes the batch over, this waits until
        that one is done or gone.

        Raises:
            FloraError: the ledger cannot be read or written, or is of another connection.
        """
        deadline = self.board.options.deadline
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.time()):
                while True:
                    try:
                        await self._acquire()
                        await self._go_on()
                    except LedgerTaken:
                        log.warning("Another process goes on with this batch; waiting until it is done")
                        self.commits.forget()
                    else:
                        return self.board.end or BatchEnd(reason="done")
        except TimeoutError:
            return BatchEnd(reason="timeout", detail="the task's time is over")
        finally:
            with suppress(Exception):
                await asyncio.shield(self.commits.call(self.ledger.leave))

    async def _acquire(self) -> None:
        """Wait until nobody else writes, and claim the ledger."""
        seen: Any = None
        since = time.monotonic()
        while (rival := await self.commits.call(self.ledger.rival)) is not None:
            if rival != seen:
                seen, since = rival, time.monotonic()
            elif time.monotonic() - since >= LEASE:
                break
            await asyncio.sleep(_WATCH)
        await self.commits.call(self.ledger.claim)

    async def _go_on(self) -> None:
        around = self.around
        handlers = {kind: self._in_thread(handler) for kind, handler in around.handlers.items()}
        starter = Starter(self.board, around.clients, self._put, around.budget, handlers)
        try:
            async with asyncio.TaskGroup() as group:
                signs = [group.create_task(self._beat())]
                # Beside the signs of life, for that of many rows takes long to read.
                await asyncio.to_thread(lambda: self.board.arrange(self.ledger.read()))
                signs.append(group.create_task(self._tell()))
                lanes = [group.create_task(self._lane(starter)) for _ in range(self.board.options.max_in_flight)]
                await asyncio.wait(lanes)
                for task in signs:
                    task.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        await around.tell(self.board.progress())

    async def _lane(self, starter: Starter) -> None:
        """Take one row after the other."""
        board = self.board
        while True:
            if board.going:
                await self._await(board.going.popleft(), starter)
            elif not board.waiting or board.end:
                if not board.unbilled:
                    return
                await self._await_bill(board.unbilled.popleft(), starter)
            elif (pause := starter.not_before - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            elif await starter.start(row := board.waiting.popleft()):
                await self._await(row, starter)

    async def _await(self, row: PlannedRow, starter: Starter) -> None:
        """Wait for the run of a row, and remember how it ended."""
        record = self.board.records[row.row]
        event = await self.around.wait(self._poller(record, awaits_bill=False))  # the next row need not wait for that
        record = record.ended(event, self.board.options.attempt)
        await self._remember(row, record, starter)
        if record.state != "completed":
            log.warning("Row %d: FLORA run %s: %s: %s", row.number, record.run_id, record.state, record.reason)
        if record.lacks_bill:
            self.board.unbilled.append(row)
        else:
            self._report(row, record, event)

    async def _await_bill(self, row: PlannedRow, starter: Starter) -> None:
        """Wait for the bill of a row whose run completed without one: when nothing else is left to do."""
        record = self.board.records[row.row]
        event = await self.around.wait(self._poller(record, awaits_bill=True))
        billed = record.ended(event, self.board.options.attempt)
        if billed.state == "completed" and not billed.lacks_bill:
            await self._remember(row, billed, starter)
        self._report(row, record, event)

    def _poller(self, record: RowRecord, *, awaits_bill: bool) -> RunPoller:
        return RunPoller(
            RunRef(record.run_id),
            policy=PollPolicy(interval=self.board.options.poll_interval),
            now=time.time(),
            started_at=record.intended_at or None,
            awaits_bill=awaits_bill,
        )

    async def _remember(self, row: PlannedRow, record: RowRecord, starter: Starter) -> None:
        await self._put(record)
        self.board.costs.charge(row.row, record.cost)
        await starter.settle(row, record)

    def _report(self, row: PlannedRow, record: RowRecord, event: RunEvent) -> None:
        self.around.report(event, {"kind": "generation", **row.request, "quoted_cost_usd": record.quoted_cost})

    async def _put(self, record: RowRecord) -> None:
        await self.commits.add(self.ledger, record)
        self.board.records[record.row] = record.with_(run=None)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            try:
                await self.commits.call(self.ledger.beat)
            except FloraStorageError as error:  # whoever has something to store finds out whether it lasts
                log.warning("%s", error)

    async def _tell(self) -> None:
        began, before = time.monotonic(), self.board.progress()
        settled = before.completed + before.failed
        while True:
            await asyncio.sleep(PROGRESS_EVERY)
            elapsed = time.monotonic() - began
            await self.around.tell(self.board.progress(settled_before=settled, elapsed=elapsed))

    def _in_thread(self, handler: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
        return lambda effect: self.commits.call(lambda: handler(effect))
