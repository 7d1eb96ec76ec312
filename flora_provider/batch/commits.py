"""Write a batch's ledger from an event loop: in one thread, and what is to be written at a time together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from flora_provider.api.errors import FloraStorageError
from flora_provider.batch.ledger import BatchLedger
from flora_provider.batch.records import RowRecord

T = TypeVar("T")
log = logging.getLogger(__name__)

_PAUSES = (1.0, 3.0, 9.0)  # seconds between tries to write; what is about to be sent waits


class Commits:
    """The one thread that touches the ledger of a batch. Close it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flora-batch")
        self._turn = asyncio.Lock()
        self._pending: list[RowRecord] = []
        self._failure: BaseException | None = None

    async def call(self, action: Callable[[], T]) -> T:
        """Do something in that thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, action)

    async def add(self, ledger: BatchLedger, record: RowRecord) -> None:
        """Store a record durably. After a failure nothing more is stored, so that nothing is sent.

        Raises:
            LedgerTaken: another has taken the ledger over.
            FloraStorageError: the folder does not take it.
        """
        self._pending.append(record)
        async with self._turn:
            if self._failure:
                raise self._failure
            if not (records := self._pending):
                return  # stored together with another one
            self._pending = []
            try:
                await self.call(lambda: _add(ledger, records))
            except BaseException as error:
                self._failure = error
                raise

    def forget(self) -> None:
        """Begin anew after a failure."""
        self._pending, self._failure = [], None

    def close(self) -> None:
        """Let the thread end, after what it is doing."""
        self._thread.shutdown(wait=False)


def _add(ledger: BatchLedger, records: list[RowRecord]) -> None:
    """Add them, again if the storage had trouble: a line that is there twice changes nothing."""
    for pause in _PAUSES:
        try:
            ledger.add(records)
        except FloraStorageError as error:
            log.warning("%s. Trying again in %g s", error, pause)
            time.sleep(pause)
        else:
            return
    ledger.add(records)
