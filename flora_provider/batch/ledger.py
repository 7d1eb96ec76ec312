"""The ledger of a batch: files beside its results, of which each writer has its own.

A writer adds lines to a file until that is long enough, then to the next one; each addition replaces the whole file, so
that it is there or not. Of two writers, the later one wins: it waits until the earlier one has given no sign of life
for `LEASE` seconds by its own clock (no clocks are compared), and the earlier one, should it live, finds the claim at
its next addition, which comes before whatever it is about to send.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from flora_provider.api.errors import FloraInputError
from flora_provider.batch.records import RowRecord, read_lines
from flora_provider.files.folder import Folder
from flora_provider.runs.errors import LedgerUnreadable

OWNER = "batch"
"""Of the temporary files of a batch: each of its processes removes those that a killed one has left."""

LEASE = 30.0  # seconds
BEAT = 10.0  # seconds between two signs of life

_LINES = 200  # of a file; with more, adding a line would write too much again
_LEASE_NAME = re.compile(r"lease-(\d{6})-([0-9a-f]{12})\.json")
_PART_NAME = re.compile(r"rows-(\d{6})-([0-9a-f]{12})-(\d{6})\.jsonl")


class Claim(NamedTuple):
    """A writer's place in the order of all writers; the greatest one may write."""

    number: int
    writer: str


class Lease(BaseModel):
    """A writer's sign of life.

    Attributes:
        connection: that it sends over.
        beats: how many signs it has given.
        has_left: it will write no more.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    connection: str
    beats: int = 0
    has_left: bool = False


class LedgerTaken(Exception):  # noqa: N818 - named for what happened
    """Another writer has taken the ledger over."""


@dataclass(slots=True)
class BatchLedger:
    """What is known of the rows of one batch. Its methods block, and are not for two threads at once.

    Args:
        folder: of the batch alone.
        connection: id and base URL of the connection, one space between them; another one's ledger is refused.

    Each method may raise FloraStorageError.
    """

    folder: Folder
    connection: str
    writer: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    _claim: Claim | None = None
    _beats: int = 0
    _part: int = 0
    _lines: list[bytes] = field(default_factory=list)

    def read(self) -> dict[str, RowRecord]:
        """The newest record of each row, without the finished runs, which take memory.

        Raises:
            LedgerUnreadable: a part of it cannot be read.
        """
        return {record.row: record if record.run is None else record.with_(run=None) for record in self._records()}

    def runs(self) -> dict[str, bytes]:
        """The finished run of each row that completed, in JSON; raises as `read`."""
        found: dict[str, bytes] = {}
        for record in self._records():
            if record.run is not None:
                found[record.row] = json.dumps(record.run).encode()
        return found

    def _records(self) -> Iterator[RowRecord]:
        """All that were added, oldest first."""
        for name in sorted(filter(_PART_NAME.fullmatch, self.folder.names())):
            yield from read_lines(self.folder.read(name) or b"", self.folder.path(name))

    def rival(self) -> tuple[Claim, int] | None:
        """The latest other writer that has not left, with the number of its last sign of life; None without one.

        Raises:
            FloraInputError: the ledger is of another connection.
        """
        latest = max((claim for claim in self._claims() if claim.writer != self.writer), default=None)
        lease = self._lease(latest) if latest else None
        if latest is None or lease is None:
            return None
        if lease.connection != self.connection:
            raise FloraInputError(
                f"an earlier try of this task has started rows over connection {lease.connection}, and it is "
                f"{self.connection} now: take the old one again, or clear the task to start all rows over the new one"
            )
        return None if lease.has_left else (latest, lease.beats)

    def claim(self) -> None:
        """Become the one who may write. Raises LedgerTaken if another one does so at the same moment."""
        number = 1 + max((claim.number for claim in self._claims()), default=0)
        self._claim, self._beats, self._part, self._lines = Claim(number, self.writer), 0, 0, []
        self.beat()

    def beat(self) -> None:
        """Give a sign of life. Raises LedgerTaken."""
        self._beats += 1
        self._write_lease(has_left=False)
        self._refuse_if_taken()

    def leave(self) -> None:
        """Let the next writer begin at once."""
        if self._claim:
            self._write_lease(has_left=True)

    def add(self, records: Iterable[RowRecord]) -> None:
        """Add records; they are stored when this returns. Raises LedgerTaken."""
        for record in records:
            if len(self._lines) >= _LINES:
                self._write_part()
                self._part, self._lines = self._part + 1, []
            self._lines.append(record.to_line())
        self._write_part()
        self._refuse_if_taken()

    def _write_part(self) -> None:
        assert self._claim  # noqa: S101 - whoever adds has claimed
        name = f"rows-{self._claim.number:06d}-{self.writer}-{self._part:06d}.jsonl"
        self.folder.publish_bytes(b"".join(self._lines), name, OWNER)

    def _write_lease(self, *, has_left: bool) -> None:
        assert self._claim  # noqa: S101 - as above
        lease = Lease(connection=self.connection, beats=self._beats, has_left=has_left)
        self.folder.publish_bytes(lease.model_dump_json().encode(), _lease_name(self._claim), OWNER)

    def _lease(self, claim: Claim) -> Lease | None:
        content = self.folder.read(_lease_name(claim))
        try:
            return None if content is None else Lease.model_validate_json(content)
        except ValidationError:
            raise LedgerUnreadable(
                f"{self.folder.path(_lease_name(claim))}, which says who goes on with this batch, cannot be read. "
                "Nothing was sent. Restore the file, or clear the task, which starts all rows anew"
            ) from None

    def _claims(self) -> list[Claim]:
        matches = filter(None, map(_LEASE_NAME.fullmatch, self.folder.names()))
        return [Claim(int(match[1]), match[2]) for match in matches]

    def _refuse_if_taken(self) -> None:
        if self._claim and max(self._claims(), default=self._claim) > self._claim:
            raise LedgerTaken


def _lease_name(claim: Claim) -> str:
    return f"lease-{claim.number:06d}-{claim.writer}.json"
