"""Start exactly one run, or find the one already started. Pure; the ledger and the network are brought by others.

What happened before decides what is sent:

    ledger says                     then
    ─────────────────────────────   ───────────────────────────────────────────────────────────────────────────────────
    nothing, and would know         write the intent, POST, write the run id
    nothing, for it cannot know     the same; in a retry, also look at the run that the POST names, for the key may have
                                    been sent before
    intent, no run id               POST the same key again, and look; FLORA's answer was lost, or never came
    the same, too old for FLORA     POST only if the history shows no run that may be ours; else fail, or start another,
    to know the key                 as `on_unknown` says: what fits may be a sibling's that has not heard of it either
    run id                          look at it: alive or completed is ours, nothing is sent
                                    failed: the next generation, if a retry may help; else fail for good
                                    not shown (404): alive, for FLORA may lose sight of a run for a moment
    a record of an earlier clear    history: a cleared task is a new run

and what FLORA says of the POST:

    2xx                             ours, even when it is a replay of an earlier answer
    409 idempotency_duplicate       a run was started whose id we do not know: `on_unknown` decides; by default, fail
    422 idempotency_conflict        somebody used the key for something else: fail for good
    a replayed failure              the stored answer of an earlier try: the next generation, once
    anything else                   nothing was started; the error goes to the task's `retries`, or is final
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol, Self, TypeVar

from flora_provider.api import calls
from flora_provider.api.errors import (
    FloraDuplicateError,
    FloraError,
    FloraNotFoundError,
    FloraStatusError,
    RunFailed,
    RunOutcomeUnknown,
)
from flora_provider.api.exchange import Tools, exchange
from flora_provider.api.models import Generation, Page, Run, RunStatus, Started
from flora_provider.api.paging import PageWalk
from flora_provider.api.plan import Plan
from flora_provider.runs.event import WaitRefused
from flora_provider.runs.failures import advice_for
from flora_provider.runs.follow import is_weather
from flora_provider.runs.identity import Intent

log = logging.getLogger(__name__)

T = TypeVar("T")

UnknownOutcome = Literal["fail", "adopt", "submit_again"]
KEY_TRUSTED_FOR = 110 * 60.0  # seconds; FLORA remembers a key for two hours, and clocks differ
CLOCK_SKEW = 30.0  # seconds by which FLORA's clock may differ from ours
_MAX_GENERATIONS = 20  # of one task try; each needs a run that failed, so more means that something else is wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the ledger keeps of the latest run of a task; plain JSON without nulls.

    Attributes:
        clears: for which clear of the task it was written.
        generation: of the key.
        key: that was sent, or is about to be.
        intended_at: unix seconds just before the first POST of this generation.
        run_id: empty until it is known.
    """

    clears: int
    generation: int
    key: str
    intended_at: float
    run_id: str = ""

    @classmethod
    def load(cls, value: object) -> Self | None:
        """Read what `dump` wrote; anything else counts as no record."""
        try:
            return cls(**value) if isinstance(value, Mapping) else None
        except TypeError:
            return None

    def dump(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


class Ledger(Protocol):
    """Where a task remembers, across retries and crashes, what it started.

    Attributes:
        durable: whether it remembers at all; if not, nothing is known of earlier tries.
    """

    durable: bool

    def read(self) -> Record | None:
        """The latest record, of whatever clear; None when there is none."""

    def write(self, record: Record) -> None:
        """Remember; must be durable when it returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The one run of a task.

    Attributes:
        run_id: the run.
        started: FLORA's answer when this try started it (or FLORA repeated that answer); None when it was found.
        run: its state when it was looked at; None right after it was started, or while FLORA does not show it.
    """

    run_id: str
    started: Started | Run | None = None
    run: Run | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """How to start exactly one run.

    Attributes:
        call: starts it; without its key.
        intent: which run is meant.
        ledger: where to remember it.
        first_try: False when an earlier try may have sent the request already; asked if the ledger is not durable.
        earliest: unix seconds before which no try can have sent it; bounds the search when the ledger knows nothing.
        on_unknown: what to do when a run was started that cannot be told: see `FloraGenerateOperator`.
        look: which call shows a run.
        candidates: which call lists runs that may be the lost one; None when the history cannot be searched.
        matches: whether a row of that history may be the lost run.
        claimed: run ids that other tasks are known to own.
    """

    call: calls.Call[Any]
    intent: Intent
    ledger: Ledger
    first_try: bool
    earliest: float
    on_unknown: UnknownOutcome = "fail"
    look: Callable[[str], calls.Call[Run]] = calls.get_run
    candidates: calls.Call[Page[Generation]] | None = None
    matches: Callable[[Generation], bool] = lambda row: True  # noqa: ARG005 - the default takes every row
    claimed: Callable[[], frozenset[str]] = frozenset

    def plan(self, tools: Tools) -> Plan[Submission]:
        """Start or find the run, as this module's table says.

        Args:
            tools: the client's.

        Raises:
            RunFailed: the run of an earlier try failed, and no retry can help.
            RunOutcomeUnknown: a run was started and cannot be told.
            WaitRefused: the run of an earlier try is known, and FLORA does not let us look at it.
            FloraStatusError, FloraConnectionError: nothing is known to have been started; a retry sends the same key.
        """
        record = self.ledger.read()
        if record is not None and record.clears != self.intent.clears:
            record = None
        fresh = record is None and (self.ledger.durable or self.first_try)
        generation = record.generation if record else 1
        replayed_failure = False
        failed: set[str] = set()  # runs of the generations before
        for _ in range(_MAX_GENERATIONS):
            if record is None or record.generation != generation:
                record = self._record(generation, intended_at=tools.clock() if fresh else self.earliest)
            if record.run_id:
                submission = Submission(run_id=record.run_id)
            else:
                try:
                    posted = yield from self._post(tools, record, failed, now=tools.clock())
                except FloraStatusError as error:
                    if not error.replayed or replayed_failure:
                        raise
                    log.warning("FLORA repeated the stored failure of an earlier try: %s. Using the next key", error)
                    posted, replayed_failure = None, True
                if posted is None:
                    fresh, generation = fresh or self.ledger.durable, generation + 1
                    continue
                submission = posted
                self.ledger.write(replace(record, run_id=submission.run_id))
            if fresh:
                return submission
            run = yield from self._look(tools, submission.run_id)
            if run is None or not _failed_but_may_be_retried(run):
                return replace(submission, run=run)
            failed.add(run.run_id)
            # A later generation may have been sent by an earlier try as well, unless the ledger would know.
            fresh, generation = self.ledger.durable, generation + 1
        raise RunOutcomeUnknown(f"{_MAX_GENERATIONS} runs of this task have failed one after the other", run_id=None)

    def _record(self, generation: int, *, intended_at: float) -> Record:
        key = self.intent.key(generation)
        return Record(clears=self.intent.clears, generation=generation, key=key, intended_at=intended_at)

    def _look(self, tools: Tools, run_id: str) -> Plan[Run | None]:
        """The run of an earlier try; None while FLORA does not show it, for a wait knows how long to tolerate that."""
        try:
            run = yield from exchange(self.look(run_id), tools)
        except FloraNotFoundError:
            log.warning("FLORA does not show run %s of this task (yet); nothing new is started", run_id)
            return None
        except FloraError as failure:
            if not is_weather(failure, gone_for=0.0):
                raise WaitRefused(run_id=run_id, detail=str(failure)) from failure
            log.warning("Run %s of this task could not be looked at; it may go on and be billed", run_id)
            raise
        log.info("Found FLORA run %s of this task (%s)", run.run_id, run.status)
        return run

    def _post(self, tools: Tools, record: Record, failed: set[str], *, now: float) -> Plan[Submission | None]:
        """POST, or find what an earlier POST started; None when the next key is to be used."""
        self.ledger.write(record)
        if now - record.intended_at > KEY_TRUSTED_FOR:
            found = yield from self._search(tools, record, failed)
            if found or self.candidates is None:
                why = "the key may be too old for FLORA to know whether it has started a run"
                self._refuse_unless_submitting_again(record, found, why=why)
                return None
        try:
            started = yield from exchange(self.call.with_key(record.key), tools)
        except FloraDuplicateError:
            why = "FLORA says that this key has already started a run, but not which one"
            found = yield from self._search(tools, record, failed)
            if self.on_unknown == "adopt" and len(found) == 1:
                log.warning("%s; adopting run %s, the only one in the history that fits", why, found[0].run_id)
                return Submission(run_id=found[0].run_id)
            self._refuse_unless_submitting_again(record, found, why=why)
            return None
        return Submission(run_id=started.run_id, started=started)

    def _search(self, tools: Tools, record: Record, failed: set[str]) -> Plan[list[Generation]]:
        """Rows of the history that may be the lost run, newest first."""
        found: list[Generation] = []
        walk = PageWalk(self.candidates) if self.candidates else None
        others = self.claimed() | failed
        since = record.intended_at - CLOCK_SKEW
        while walk and walk.call:
            page = yield from exchange(walk.call, tools)
            rows = list(walk.take(page))
            recent = [row for row in rows if row.created_at is None or row.created_at.timestamp() >= since]
            found += [row for row in recent if row.run_id not in others and self.matches(row)]
            if len(recent) < len(rows):
                break
        return found

    def _refuse_unless_submitting_again(self, record: Record, found: list[Generation], *, why: str) -> None:
        if self.on_unknown == "submit_again":
            log.warning("%s; starting another run, as on_unknown_outcome says. An earlier one is billed too", why)
            return
        listed = "; ".join(f"{row.run_id} ({row.status}, created {row.created_at})" for row in found) or "none"
        raise RunOutcomeUnknown(
            f"{why}. Nothing was sent again. Key {record.key}, first sent at unix time "
            f"{record.intended_at:.0f} or later. Runs of the history that fit: {listed}. Look at them in FLORA: if one "
            "is this task's, give its run_id to a FloraRunSensor; if none is, clear the task to start a new run",
            run_id=found[0].run_id if len(found) == 1 else None,
        )


def _failed_but_may_be_retried(run: Run) -> bool:
    if run.status != RunStatus.FAILED:
        return False
    advice = advice_for(run.error_code, run.error_message)
    failed = RunFailed(run_id=run.run_id, code=run.error_code, reason=run.error_message, advice=advice)
    if not advice.may_retry:
        raise failed
    log.info("%s. Starting another run", failed)
    return True
