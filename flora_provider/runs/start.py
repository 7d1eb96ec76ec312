"""Start the run of one request, or find the one that an earlier try started. Pure."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Any

from flora_provider.api.calls.sending import send_call
from flora_provider.api.errors import (
    FloraDuplicateError,
    FloraError,
    FloraNotFoundError,
    FloraStatusError,
    RunFailed,
    RunOutcomeOpen,
    RunOutcomeUnknown,
)
from flora_provider.api.http.flow import Flow, FlowContext, Sleep
from flora_provider.api.models import Run, RunStatus, Started
from flora_provider.api.validation import raise_problems
from flora_provider.runs.effects import SubmitFlow, WriteLedger
from flora_provider.runs.error_codes import RetryAdvice, advice_for
from flora_provider.runs.errors import WaitRefused
from flora_provider.runs.intent import Intent
from flora_provider.runs.ledger import LedgerRecord, Slot, claim
from flora_provider.runs.listing import LISTED_WITHIN, search
from flora_provider.runs.ref import RunRef
from flora_provider.runs.request import RunRequest
from flora_provider.runs.submission import Submission, SubmitOptions
from flora_provider.runs.tolerance import is_transient

log = logging.getLogger(__name__)

KEY_TRUSTED_FOR = 110 * 60.0  # seconds; FLORA remembers a key for two hours, and clocks differ
CLOCK_SKEW = 30.0  # seconds by which FLORA's clock may differ from ours
CLOCK_SKEW_IF_OLD = 900.0  # the same, where overlooking a run would pay for another
_REFUSALS = frozenset({401, 402, 403, 404})  # statuses that say nothing about a run that is there
_MAX_KEY_VERSIONS = 20  # of one task try; each needs a run that failed, so more means that something else is wrong


@dataclass(slots=True)
class Start:
    """The way from what is known of one request to its one run.

    Args:
        context: the client's.
        options: of the try.
        slot: where its record stands.
        request: what is sent.
        record: of an earlier try, or None.
        may_restart: whether another run may follow one that came to nothing; else there is none then.
    """

    context: FlowContext
    options: SubmitOptions
    slot: Slot
    request: RunRequest
    record: LedgerRecord | None
    may_restart: bool = True
    _failed: set[str] = field(default_factory=set)  # runs of the key versions before
    _replayed: bool = False  # a stored failure has been met in this try

    def flow(self) -> SubmitFlow[Submission | None]:
        """Start or find it, as the table in `submitter.py` says, and raise what `RunSubmitter.flow` does.

        Returns:
            None only if it came to nothing, and `may_restart` is False.
        """
        durable, record = self.options.durable, self.record
        if record and not record.fingerprint:  # of an earlier release, which kept less
            record = record.with_(**self.request.stored_members())
        key_version, inherited = (record.key_version, _inherited(record)) if record else (1, {})
        if record and record.is_void:  # nothing came of it, so it is as if it had not been sent
            record = None
        is_forgotten = record is None and bool(self.options.after)
        is_known = durable or (self.options.attempt.try_number <= 1 and not is_forgotten)
        fresh = record is None and is_known
        yield from self._check(record, fresh=fresh)
        for _ in range(_MAX_KEY_VERSIONS):
            if record is None or record.key_version != key_version:
                intended_at = self.context.clock() if fresh else self.options.earliest
                record = self._record(key_version, intended_at=intended_at, **inherited)
            yield self.write(record)
            submission = self._known(record)
            if submission is None and not (yield from self._is_given_up(record)):
                try:
                    started = yield from self.request.send(self.context, record, fresh=fresh)
                    submission = self._submission(started)
                except FloraError as error:
                    submission = yield from self._find(error, record, fresh=fresh)
                if submission:
                    log.info("FLORA run %s is this task's", submission.run_id)  # before it is stored, which may fail
                    yield self.write(record.with_(run_id=submission.run_id, quoted_cost=submission.quoted_cost))
            run = (yield from self.poll(submission.ref)) if submission and not fresh else None
            yield from self.request.settle(record, submission.quoted_cost if submission else None, run)
            if submission and (run is None or run.status != RunStatus.FAILED):
                return replace(submission, run=run, seed=record.seed, moderated=record.moderated)
            key_version += 1
            if (following := (yield from self._following(record, run, key_version))) is None:
                return None
            # A later key version may have been sent by an earlier try as well, unless the ledger would know.
            fresh, inherited = is_known, following
        raise RunOutcomeUnknown(f"{_MAX_KEY_VERSIONS} runs of this task have failed one after the other", run_id=None)

    def _check(self, record: LedgerRecord | None, *, fresh: bool) -> Flow[None]:
        """Refuse a request that cannot be right, unless an earlier try may have sent it, and paid for its run."""
        check = None if record else self.request.check
        found = (yield from check(self.context)) if check else []
        if fresh:
            raise_problems(found)
        if found:
            log.warning("%s. An earlier try of this task may have sent it, so it is sent again", "; ".join(found))

    def _known(self, record: LedgerRecord) -> Submission | None:
        ref = self.request.ref(record.run_id)
        return Submission(ref=ref, quoted_cost=record.quoted_cost) if record.run_id else None

    def _submission(self, started: Started | Run) -> Submission:
        quoted_cost = None if (quote := getattr(started, "charged_cost", None)) is None else float(quote)
        return Submission(ref=self.request.ref(started.run_id), started=started, quoted_cost=quoted_cost)

    def _following(self, record: LedgerRecord, run: Run | None, key_version: int) -> Flow[dict[str, Any] | None]:
        """What the next run inherits from this one, which has failed, or from a key that came to nothing (None).

        None if no run may follow: the other request is to be sent then. Raises RunFailed if none can help.
        """
        if run is None:
            return _inherited(record) if self.may_restart else None
        self._failed.add(run.run_id)
        advice = advice_for(run.error_code, run.error_message)
        failure = RunFailed(run_id=run.run_id, code=run.error_code, reason=run.error_message, advice=advice)
        if not self.may_restart:
            log.info("%s", failure)
            return None
        if advice is RetryAdvice.MODERATED and (seeds := self.request.new_seeds):
            key, body = self._intent().key(key_version), self.request.call.body
            if following := (yield from seeds.members(self.context, record, run, body=body, key=key)):
                return following
        if not advice.may_retry:
            raise failure
        log.info("%s. Starting another run", failure)
        return _inherited(record)

    def _intent(self) -> Intent:
        """Which run is meant, in the words of the ledger if there is one."""
        intent = self.options.intent
        if not self.options.durable:
            return intent
        return replace(
            intent,
            clear_number=self.options.attempt.clear_number or 0,
            clear_count=self.slot.clear_count,
            occurrence=self.slot.occurrence,
        )

    def _record(self, key_version: int, *, intended_at: float, **inherited: Any) -> LedgerRecord:
        attempt = self.options.attempt
        return LedgerRecord(
            max_tries=attempt.max_tries,
            retries=attempt.retries,
            clear_count=self.slot.clear_count,
            occurrence=self.slot.occurrence,
            varies=self.record.varies if self.record else False,
            key=self._intent().key(key_version),
            key_version=key_version,
            intended_at=intended_at,
            **inherited,
            **self.request.stored_members(),
        )

    def write(self, record: LedgerRecord) -> WriteLedger:
        """Store a record as this try's."""
        attempt = self.options.attempt
        by_this_try = {"clear_number": attempt.clear_number, "may_run_long": attempt.may_run_long}
        claimed = {"claimed_by": claim(attempt), "is_released": False, "is_void": False, "is_replaced": False}
        return WriteLedger(self.slot.number, record.with_(**by_this_try, **claimed))

    def poll(self, ref: RunRef) -> Flow[Run | None]:
        """The run of an earlier try; None while FLORA does not show it, for a wait knows how long to tolerate that."""
        try:
            run = yield from send_call(ref.poll_call(), self.context)
        except FloraNotFoundError:
            log.warning("FLORA does not show run %s of this task (yet); nothing new is started", ref.run_id)
            return None
        except FloraError as failure:
            if not is_transient(failure, not_found_for=0.0):
                raise WaitRefused(run_id=ref.run_id, detail=str(failure)) from failure
            log.warning("Run %s of this task could not be polled; it may go on and be billed", ref.run_id)
            raise
        log.info("Found FLORA run %s of this task (%s)", run.run_id, run.status)
        return run

    def _is_given_up(self, record: LedgerRecord) -> SubmitFlow[bool]:
        """Whether the next key is to be used: this one is too old for FLORA to know whether it has started a run."""
        if self._age(record) <= KEY_TRUSTED_FOR:
            return False
        found = yield from self._search(record, skew=CLOCK_SKEW_IF_OLD)
        if not found and self.request.candidates is not None:
            return False
        why = "the key may be too old for FLORA to know whether it has started a run"
        remedy = "if none is, clear the task to start a new run"
        self._refuse_unless_submitting_again(record, found, why=why, remedy=remedy)
        return True

    def _find(self, error: FloraError, record: LedgerRecord, *, fresh: bool) -> SubmitFlow[Submission | None]:
        """The run of a POST that was refused; None when the next key is to be used; else raises the error."""
        error.started_nothing = error.started_nothing and fresh  # else an earlier request may have
        if not isinstance(error, FloraStatusError):
            raise error
        if isinstance(error, FloraDuplicateError) or (error.code == "idempotency_conflict" and not fresh):
            return (yield from self._find_duplicate(record))
        if not fresh:
            _leave_open(error, record)
        if not error.replayed or self._replayed:
            raise error
        log.warning("FLORA repeated the stored failure of an earlier try: %s. Using the next key", error)
        self._replayed = True
        return None

    def _find_duplicate(self, record: LedgerRecord) -> SubmitFlow[Submission | None]:
        """FLORA says that a run was started: take it if it can be found, and `on_unknown` is `adopt`."""
        why = "FLORA says that this key has already started a run, but not which one"
        found: list[Any] = []
        if self.options.on_unknown != "submit_again":
            listed_in = LISTED_WITHIN - self._age(record)
            if self.request.candidates is not None and listed_in > 0:  # before, only others' runs may be listed
                yield Sleep(listed_in)
            found = yield from self._search(record, skew=CLOCK_SKEW)
        if self.options.on_unknown == "adopt" and len(found) == 1:
            log.warning("%s; adopting run %s, the only one in the history that fits", why, found[0].run_id)
            return Submission(ref=self.request.ref(found[0].run_id))
        remedy = "if it is not listed yet, try again later"
        self._refuse_unless_submitting_again(record, found, why=why, remedy=remedy)
        return None

    def _age(self, record: LedgerRecord) -> float:
        return max(self.context.clock() - record.intended_at, 0.0)

    def _search(self, record: LedgerRecord, *, skew: float) -> SubmitFlow[list[Any]]:
        since, failed = record.intended_at - skew, {*self._failed, *(run.run_id for run in record.moderated)}
        try:
            return (yield from search(self.request, self.context, since=since, excluded=failed))
        except FloraError as error:
            error.started_nothing = False
            if isinstance(error, FloraStatusError):
                _leave_open(error, record)
            raise

    def _refuse_unless_submitting_again(self, record: LedgerRecord, found: list[Any], *, why: str, remedy: str) -> None:
        if self.options.on_unknown == "submit_again":
            log.warning("%s; starting another run, as on_unknown_outcome says. An earlier one is billed too", why)
            return
        rows = "; ".join(f"{row.run_id} ({row.status}, created {row.created_at})" for row in found) or "none"
        raise RunOutcomeUnknown(
            f"{why}. Nothing was sent again. Key {record.key}, first sent at unix time "
            f"{record.intended_at:.0f} or later. Runs of the history that fit: {rows}. Look at them in FLORA: if one "
            f"is this task's, give its run_id to a FloraRunSensor; {remedy}",
            run_id=found[0].run_id if len(found) == 1 else None,
        )


def _inherited(record: LedgerRecord) -> dict[str, Any]:
    """What each key version keeps of the one before."""
    return {"seed": record.seed, "moderated": record.moderated}


def _leave_open(error: FloraStatusError, record: LedgerRecord) -> None:
    """Raise RunOutcomeOpen where FLORA refuses what would tell whether an earlier request has started a run."""
    if error.status in _REFUSALS:
        raise RunOutcomeOpen(
            f"{error}. An earlier request with key {record.key} may have started a run, which a retry finds once FLORA "
            "accepts the connection again",
            run_id=None,
        ) from error
