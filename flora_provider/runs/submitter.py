"""Start exactly one run, or find the one already started. Pure; the ledger and the network are brought by others.

What happened before decides what is sent:

    ledger says                     then
    ─────────────────────────────   ───────────────────────────────────────────────────────────────────────────────────
    nothing, and would know         check the request, write the intent, POST, write the run id
    nothing, for it cannot know     the same; in a retry, also poll the run that the POST names, for the key may have
                                    been sent before
    intent, no run id               POST the stored request again with its key, and poll; FLORA's answer was lost, or
                                    never came
    the same, too old for FLORA     POST only if the history shows no run that may be ours; else fail, or start another,
    to know the key                 as `on_unknown` says: what fits may be a sibling's that has not heard of it either
    run id                          poll it: alive or completed is ours, nothing is sent
                                    failed: the next key version, if a retry may help, or another seed where
                                    moderation refused it and the author wants that; else fail for good
                                    not shown (404): alive, for FLORA may lose sight of a run for a moment
    another request in its place    as for that request; then `on_changed` decides: fail, take its run, or start this
                                    one; but if its run has failed, start this one, for failed runs cost nothing
    a record of an earlier clear    history: a cleared task is a new run; if `on_clear` is "reuse", its run is taken
                                    again, unless it has failed or the request is another one

and what FLORA says of the POST:

    2xx                             ours, even when it is a replay of an earlier answer
    409 idempotency_duplicate       a run was started whose id we do not know: search until a minute after the intent,
                                    then `on_unknown` decides; by default, fail
    422 idempotency_conflict        the same, if an earlier try may have sent another body; else fail for good
    a replayed failure              the stored answer of an earlier try: the next key version, once
    anything else                   nothing was started; the error goes to the task's `retries`, or is final
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from flora_provider.api.errors import RequestChanged
from flora_provider.api.http.flow import FlowContext
from flora_provider.api.models import RunStatus
from flora_provider.runs.effects import ReadLedger, RenderAgain, SubmitFlow, WriteLedger
from flora_provider.runs.ledger import LedgerRecord, Slot, before_clear, find
from flora_provider.runs.request import RunRequest, differences
from flora_provider.runs.start import Start
from flora_provider.runs.submission import Submission, SubmitOptions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSubmitter:
    """How to start exactly one run: of which request, and in which try of its task."""

    request: RunRequest
    options: SubmitOptions

    def flow(self, context: FlowContext) -> SubmitFlow[Submission]:
        """Start or find the run, as this module's table says; `context` is the client's.

        Raises:
            FloraInputError: FLORA's catalog says that the request cannot be right; nothing was sent or stored.
            RunFailed: the run of an earlier try failed, and no retry can help.
            RunOutcomeUnknown: a run was started whose id is not known.
            RunOutcomeOpen: an earlier request may have started a run, and FLORA does not let us find out now.
            RequestChanged: an earlier try has started a run for another request.
            WaitRefused: the run of an earlier try is known, and FLORA refuses to show it.
            LedgerUnreadable, LedgerUnavailable: it is not known, or could not be stored, what was started.
            FloraStatusError, FloraConnectionError: nothing is known to have been started; a retry sends the same key.
        """
        attempt = self.options.attempt
        records: list[LedgerRecord] = yield ReadLedger()
        if after := self.options.after:  # else an equal request of this try would be another one
            records = [one.with_(is_released=True) if one.run_id == after else one for one in records]
        slot = find(records, attempt, self.request.fingerprint)
        if slot.free and records[0].clear_number != attempt.clear_number:
            # Another task was cleared. The first record tells clears apart, so it has to know that this was none.
            if records[0].failed_try < attempt.try_number - 1:
                log.warning(
                    "A task of this DAG run was cleared when this one ran, and Airflow does not say which. This one "
                    "counts as retried, and keeps its run; if it was cleared itself, clear it again to start another"
                )
            yield WriteLedger(0, records[0].with_(clear_number=attempt.clear_number))
        if slot.record is None:
            _warn_of_unanswered(records, slot.clear_count)
            if self.options.on_clear == "reuse" and (
                again := (yield from self._run_before_clear(context, slot, records))
            ):
                return again
        request, record = self.request, slot.record
        if record is not None and slot.is_changed and record.is_void:
            record = None
        elif record is not None and slot.is_changed:
            stored = request.as_stored(record)
            is_same_template = bool(request.template) and record.template == request.template
            if stored and is_same_template and (not record.run_id or record.varies or (yield RenderAgain())):
                log.warning(
                    "The request of this task is rendered differently at each try (from a clock, or a random value?). "
                    "The request of its first try is kept, and its run taken"
                )
                request, record = stored, record.with_(varies=True)
            else:
                found = yield from self._run_of_other(context, slot, record, stored)
                if found:
                    return found
                # It is kept behind the others, for the request may be changed back.
                yield WriteLedger(slot.free, record.with_(is_replaced=True))
                record = None
        submission = yield from Start(context, self.options, slot, request, record).flow()
        assert submission is not None, "it may restart"  # noqa: S101 - for mypy
        return replace(submission, is_as_asked=request is self.request)

    def _run_before_clear(
        self, context: FlowContext, slot: Slot, records: list[LedgerRecord]
    ) -> SubmitFlow[Submission | None]:
        """The run that this request had before the task was cleared; None if it had none, or it came to nothing."""
        attempt = self.options.attempt
        record = before_clear(records, attempt, self.request.fingerprint, slot.occurrence)
        if record is None:
            return None
        start = Start(context, self.options, slot, self.request, record)
        run = yield from start.poll(self.request.ref(record.run_id))
        if run is None or run.status == RunStatus.FAILED:
            log.info("Run %s of before the clear cannot be taken again", record.run_id)
            return None
        log.info("Taking run %s of before the clear again, as on_clear says; nothing new is started", record.run_id)
        yield start.write(
            record.with_(
                max_tries=attempt.max_tries, retries=attempt.retries, clear_count=slot.clear_count, failed_try=0
            )
        )
        ref = self.request.ref(record.run_id)
        known = Submission(
            ref=ref, run=run, quoted_cost=record.quoted_cost, is_as_asked=True, is_reused=run.is_terminal
        )
        return replace(known, seed=record.seed, moderated=record.moderated)

    def _run_of_other(
        self, context: FlowContext, slot: Slot, record: LedgerRecord, stored: RunRequest | None
    ) -> SubmitFlow[Submission | None]:
        """The run of another request that an earlier try has sent, if it is to be taken; None if ours is to be started.

        `record` is of that request; `stored` is it, or None if it cannot be sent again nor looked for.
        """
        changes = differences(record, self.request)
        earlier = f"FLORA run {record.run_id}" if record.run_id else f"a run whose id was lost (key {record.key})"
        if self.options.on_changed == "submit_again":
            log.warning(
                "The request of this task has changed since an earlier try, which has sent one that may have started "
                "%s: %s. Starting another run, as on_changed_request says. The earlier one is billed too",
                earlier,
                changes,
            )
            return None
        submission = Submission(ref=self.request.ref(record.run_id)) if record.run_id else None
        if stored is not None:
            submission = yield from Start(context, self.options, slot, stored, record, may_restart=False).flow()
            if submission is None:
                log.warning("The request of this task has changed (%s); the earlier one came to nothing", changes)
                return None
            earlier = f"FLORA run {submission.run_id}"
            earlier += f" ({submission.run.status})" if submission.run else ""
        if submission and self.options.on_changed == "adopt":
            log.warning(
                "The request of this task has changed since an earlier try: %s. Taking the earlier one's %s, "
                "as on_changed_request says",
                changes,
                earlier,
            )
            return submission
        raise RequestChanged(
            f"the request of this task has changed since an earlier try, which started {earlier}: {changes}. Nothing "
            "was sent for the new request. Clear the task to start a run for it, and pay for both; or set "
            "on_changed_request to 'adopt', which takes the earlier run, or to 'submit_again'",
            run_id=submission.run_id if submission else None,
        )


def _warn_of_unanswered(records: list[LedgerRecord], clear_count: int) -> None:
    """Name the requests of before the task was cleared whose answers never came: their records are about to go."""
    keys = [one.key for one in records if one.clear_count == clear_count - 1 and not (one.run_id or one.is_void)]
    if keys:
        log.warning(
            "Before this task was cleared, it sent a request whose answer it never got. That may have started a run "
            "that is billed: key %s",
            ", ".join(keys),
        )
