"""What a task remembers, across retries and crashes, of the requests it has sent. Pure: `tasks/ledger.py` keeps it.

A record is about one *request* of one *clear* of a task. A task that executes several operators has a record for each,
in the order in which they were first sent; the position of a record in that order is its slot.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from flora_provider.runs.errors import LedgerUnreadable
from flora_provider.runs.moderation import ModeratedRun

VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a task, as Airflow describes it.

    Attributes:
        try_number: from 1, over all clears.
        max_tries: Airflow's; a clear of a task that does not run sets it to `try_number + retries`, a retry leaves it.
        retries: what the task's author has written by now; None if unknown.
        clear_number: how often any task of the DAG run was cleared; None where Airflow does not say.
        may_run_long: whether its process may go on for long, as one that waits in a worker does, so that a user may
            well clear it while it runs.
        process: names this process, and no other one.
    """

    try_number: int
    max_tries: int
    retries: int | None = None
    clear_number: int | None = None
    may_run_long: bool = False
    process: str = ""


class LedgerRecord(BaseModel):
    """What the ledger keeps of one request.

    Attributes:
        version: of this shape; a record of another version is not guessed at.
        max_tries, retries, clear_number, may_run_long: of the try that wrote it, see `Attempt`.
        clear_count: how often the task was cleared before, as far as the ledger knows.
        failed_try: the last try that ended with an error of its own, so that it was not cleared while it ran; 0: none.
        claimed_by: the try, and its process, that has sent or found this request.
        is_released: that attempt ended with an error, so an equal request is this one again, not another one.
        is_void: its request has surely started nothing so far, so another one may take its place.
        is_replaced: another request was sent instead; kept, for this one may come back.
        fingerprint: of the request; empty in a record of version 1, which is taken for the current request's.
        occurrence: how many equal requests the task has sent before this one.
        template: fingerprint of the request as its author wrote it; empty if that is not known.
        varies: the same template was rendered to another request, and this one was taken all the same.
        key: that was sent, or is about to be.
        key_version: of the key, counted from 1.
        intended_at: unix seconds just before the first POST of this key version.
        run_id: empty until it is known.
        quoted_cost: FLORA's quote in USD; None when it gave none.
        seed: parameter of the model and value that replace what the body says, for moderation has refused that.
        moderated: the runs of earlier key versions that moderation has refused.
        connection, path, body: the request; the body is empty if it holds an address that may be signed.
        search_path, search_query, search_for: how to find its run in the history.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64"
    )

    version: int = VERSION
    max_tries: int
    retries: int | None = None
    clear_number: int | None = None
    may_run_long: bool = False
    clear_count: int = 0
    failed_try: int = 0
    claimed_by: str = ""
    is_released: bool = False
    is_void: bool = False
    is_replaced: bool = False
    fingerprint: str
    occurrence: int = 0
    template: str = ""
    varies: bool = False
    key: str
    key_version: int
    intended_at: float
    run_id: str = ""
    quoted_cost: float | None = None
    seed: dict[str, int] = {}
    moderated: tuple[ModeratedRun, ...] = ()
    connection: str = ""
    path: str = ""
    body: bytes = b""
    search_path: str = ""
    search_query: tuple[tuple[str, str], ...] = ()
    search_for: dict[str, str] = {}

    def dump(self) -> dict[str, Any]:
        """Plain JSON without nulls, which Airflow's store refuses."""
        plain: dict[str, Any] = json.loads(self.model_dump_json(exclude_none=True))
        return plain

    def released(self, attempt: Attempt, *, is_own: bool, started_nothing: bool) -> LedgerRecord:
        """The same after a try that ended with an error, about this request (`is_own`) or another.

        `started_nothing` says that the error's request has surely started no run.
        """
        is_own = is_own and self.claimed_by == claim(attempt)
        return self.with_(
            failed_try=attempt.try_number,
            is_released=self.is_released or is_own,
            is_void=is_own and started_nothing and not self.run_id,
        )

    def without_request(self) -> LedgerRecord:
        """The same without what was asked for; it counts as the record of the request that is made next."""
        nothing: dict[str, Any] = {"fingerprint": "", "template": "", "connection": "", "path": "", "body": b""}
        return self.with_(**nothing, search_path="", search_query=(), search_for={})

    def with_(self, **changes: Any) -> LedgerRecord:
        """The same with these changes."""
        return self.model_copy(update=changes)


def load(value: object) -> LedgerRecord | None:
    """Read what `LedgerRecord.dump` wrote, in this version or an earlier one; None for None.

    Raises:
        LedgerUnreadable: it is anything else. An earlier try may have paid, so it does not count as nothing.
    """
    if value is None:
        return None
    version = value.get("version", 1) if isinstance(value, Mapping) else None
    try:
        if version == 1 and isinstance(value, Mapping):
            members = {
                "version": VERSION,
                "fingerprint": "",
                **{_NAMES_IN_1.get(name, name): value[name] for name in value},
            }
            return LedgerRecord.model_validate_json(json.dumps(members))
        if version == VERSION:
            return LedgerRecord.model_validate_json(json.dumps(value))
        problem = f"it is of version {version!r}, and this release reads up to {VERSION}"
    except (ValidationError, ValueError, TypeError) as error:
        found = error.errors(include_input=False, include_url=False) if isinstance(error, ValidationError) else []
        problem = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:5]) or str(error)
    raise LedgerUnreadable(
        f"what an earlier try of this task has stored in the task state store cannot be read ({problem}). It may have "
        "started a run that is paid for, so nothing was sent. If another release of this provider wrote it, run this "
        "task with that release; else look for the run in FLORA and clear the task, which starts a new one"
    )


_NAMES_IN_1 = {"clears": "max_tries", "generation": "key_version"}


class Slot(NamedTuple):
    """Where the record of a request stands.

    Attributes:
        number: of the slot.
        record: of an earlier try, or of this process's earlier attempt; None for a new request.
        is_changed: whether the record is that of another request, in whose place this one is sent now.
        clear_count: how often the task was cleared before.
        occurrence: how many equal requests this try has sent before.
        free: number of the next slot that is free, for a request in the place of another one.
    """

    number: int
    record: LedgerRecord | None
    is_changed: bool
    clear_count: int
    occurrence: int
    free: int


def find(records: Sequence[LedgerRecord], attempt: Attempt, fingerprint: str) -> Slot:
    """The record of a request: by its content and its position among equal ones, then by its position in the task."""
    current = of_this_clear(records, attempt)
    clears = [record.clear_count for record in records]
    clear_count = current[0].clear_count if current else max(clears, default=-1) + 1
    mine = claim(attempt)
    sent = [record for record in current if record.claimed_by == mine and not record.is_replaced]
    occurrence = sum(record.fingerprint == fingerprint and not record.is_released for record in sent)
    slot = partial(Slot, clear_count=clear_count, occurrence=occurrence, free=len(current))
    for number, record in enumerate(current):
        is_free = record.claimed_by != mine or record.is_released
        if is_free and record.fingerprint in (fingerprint, "") and record.occurrence == occurrence:
            return slot(number, record, is_changed=False)
    kept = [number for number, record in enumerate(current) if not record.is_replaced]
    if len(sent) < len(kept) and (record := current[kept[len(sent)]]).claimed_by != mine:
        return slot(kept[len(sent)], record, is_changed=True)
    return slot(len(current), None, is_changed=False)


def of_this_clear(records: Sequence[LedgerRecord], attempt: Attempt) -> list[LedgerRecord]:
    """The records that were written since the task was last cleared; they stand in the first slots."""
    if not records or is_cleared(records[0], attempt):
        return []
    first = records[0]
    last = next(
        (
            number
            for number, record in enumerate(records)
            if (record.max_tries, record.clear_count) != (first.max_tries, first.clear_count)
        ),
        len(records),
    )
    return list(records[:last])


def before_clear(
    records: Sequence[LedgerRecord], attempt: Attempt, fingerprint: str, occurrence: int
) -> LedgerRecord | None:
    """The record of an equal request whose run is known, of before the last clear; of several, the newest."""
    earlier = records[len(of_this_clear(records, attempt)) :]
    fits = [one for one in earlier if one.run_id and (one.fingerprint, one.occurrence) == (fingerprint, occurrence)]
    return max(fits, key=lambda record: record.clear_count, default=None)


def is_cleared(record: LedgerRecord, attempt: Attempt) -> bool:
    """Whether the task was cleared since this record, the first of its task, was last written.

    A clear of a task that does not run sets `max_tries` to its try plus its retries, which may be what it was if the
    author has changed the retries. A clear of one that runs leaves it. Both count up the DAG run's `clear_number`, and
    so does a clear of any other task, which is no reason to pay again. So where only that number has moved, the task
    was cleared if `max_tries` is what a clear makes it. Else it was cleared while it ran, or it has just been retried:
    a try that ended with an error of its own was not cleared, nor, most likely, one that vanished although it runs for
    seconds only.
    """
    if record.max_tries != attempt.max_tries:
        return True
    before = attempt.try_number - 1
    is_edited = None not in (attempt.retries, record.retries) and attempt.retries != record.retries
    fits = is_edited and attempt.max_tries == before + (attempt.retries or 0)
    failed = record.failed_try == before
    if record.clear_number is None or attempt.clear_number is None:
        return fits and not failed
    return record.clear_number != attempt.clear_number and (fits or (record.may_run_long and not failed))


def claim(attempt: Attempt) -> str:
    """What a record is marked with while this very try, in this very process, has its run."""
    return f"{attempt.process} try {attempt.try_number}"


def fingerprint_of(*parts: str | bytes) -> str:
    """A short hash of texts and bytes, in their order."""
    digests = [hashlib.sha256(part.encode() if isinstance(part, str) else part).digest() for part in parts]
    return hashlib.sha256(b"".join(digests)).hexdigest()[:32]
