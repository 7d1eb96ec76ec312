"""Where a task remembers what it started: Airflow's task state store (3.3 and newer), or nowhere (older)."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from flora_provider.api.errors import FloraError
from flora_provider.runs.errors import LedgerUnavailable
from flora_provider.runs.intent import Intent
from flora_provider.runs.ledger import Attempt, LedgerRecord, load

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from flora_provider.operators.base import FloraRunOperator
    from flora_provider.operators.batch import FloraGenerateBatchOperator

log = logging.getLogger(__name__)

T = TypeVar("T")

_NAME = "flora_run"  # of the first slot, as earlier releases named the only one; the others follow it as flora_run_1, …
# The api-server may be restarted just now. What was paid for is worth waiting for it as long as a rollout takes.
RETRY_FOR = 300.0  # seconds
_PROCESS = uuid.uuid4().hex  # with the process id: a fork copies it


class TaskStateLedger:
    """The task state store: survives a retry, a SIGKILL and a clear, which XCom does not.

    Attributes:
        run_id: that was to be stored last, whether or not it is; empty before.
    """

    durable = True

    def __init__(self, store: Any) -> None:
        self._store = store  # Airflow's
        self._slot: int | None = None  # that was written last
        self.run_id = ""

    def read(self) -> list[LedgerRecord]:
        """All records, by slot; raises LedgerUnavailable if the store does not answer, and as `load`."""
        records: list[LedgerRecord] = []
        try:
            while (record := load(self._get(len(records)))) is not None:
                records.append(record)
        except FloraError:
            raise
        except Exception as error:
            raise LedgerUnavailable(
                "the task state store, which knows whether an earlier try of this task has started a run, cannot be "
                f"read: {type(error).__name__}. Nothing was sent"
            ) from error
        return records

    def write(self, slot: int, record: LedgerRecord) -> None:
        """Remember; the supervisor has stored it when this returns. Raises LedgerUnavailable if it does not take it."""
        self._slot, self.run_id = slot, record.run_id
        started = f"FLORA run {record.run_id}, which is billed," if record.run_id else "What is about to be sent"
        try:
            retry_airflow(lambda: self._store.set(_name(slot), record.dump()), f"{started} is not stored yet")
        except Exception as error:
            raise LedgerUnavailable(
                f"{started} could not be stored in the task state store: {type(error).__name__}"
                + ("" if record.run_id else ". Nothing was sent"),
                run_id=record.run_id or None,
            ) from error

    def release(self, attempt: Attempt, *, started_nothing: bool) -> None:
        """Remember that this try ended with an error of its own, and so was not cleared while it ran.

        If that cannot be stored, it raises nothing: the error itself is what matters. The rest is as of
        `LedgerRecord.released`.
        """
        try:
            for number in dict.fromkeys((0, self._slot or 0)):
                if (record := load(self._store.get(_name(number)))) is not None:
                    released = record.released(attempt, is_own=number == self._slot, started_nothing=started_nothing)
                    self._store.set(_name(number), released.dump())
        except Exception as error:  # noqa: BLE001 - see above
            log.debug("The end of this try was not stored: %s", type(error).__name__)

    def _get(self, slot: int) -> Any:
        return retry_airflow(lambda: self._store.get(_name(slot)), "The task state store does not answer")


class NoLedger:
    """Airflow before 3.3 has no task state store: the derived key alone finds the run again.

    What one try has sent is known to it, for a run that is followed by another one in the same try.
    """

    durable = False
    run_id = ""

    def __init__(self) -> None:
        self._records: list[LedgerRecord] = []

    def read(self) -> list[LedgerRecord]:
        """What this try has sent."""
        return list(self._records)

    def write(self, slot: int, record: LedgerRecord) -> None:
        """Know it in this try."""
        self._records[slot : slot + 1] = [record]

    def dump(self) -> list[dict[str, Any]]:
        """What this try has sent, for another process of it, which renders the request again."""
        return [record.without_request().dump() for record in self._records]

    def restore(self, dumped: list[dict[str, Any]]) -> None:
        """Read what `dump` wrote."""
        self._records = [record for one in dumped if (record := load(one)) is not None]

    def release(self, attempt: Attempt, *, started_nothing: bool) -> None:
        """Nothing is kept."""


def ledger_of(context: Context) -> TaskStateLedger | NoLedger:
    """The ledger of the running task."""
    store = context.get("task_state_store")
    return NoLedger() if store is None else TaskStateLedger(store)


def attempt_of(task: FloraRunOperator | FloraGenerateBatchOperator, context: Context) -> Attempt:
    """Which try of the task this is; `task` is an operator of ours, perhaps inside of a task of another kind."""
    ti = context["ti"]
    running: Any = context.get("task") or task
    return Attempt(
        try_number=ti.try_number,
        max_tries=ti.max_tries,
        retries=running.retries,
        clear_number=getattr(context["dag_run"], "clear_number", None),
        may_run_long=(task.wait_for_completion and not task.deferrable) or type(running) is not type(task),
        process=f"{_PROCESS}-{os.getpid()}",
    )


def intent_of(context: Context, **members: Any) -> Intent:
    """The intent of the running task instance; `members` are those that Airflow does not know."""
    ti, began = context["ti"], context["dag_run"].start_date
    return Intent(
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        dag_run_started=began.isoformat() if began else "",
        **members,
    )


def retry_airflow(action: Callable[[], T], complaint: str) -> T:
    """Ask Airflow for something until it answers, or for `RETRY_FOR` seconds; then the last failure is raised.

    Each failure is logged with the complaint, a sentence without its full stop.
    """
    import tenacity

    def complain(state: tenacity.RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        log.warning("%s: Airflow raised %s. Trying again", complaint, type(error).__name__)

    # What is wrong with the value itself does not pass. Timeouts and kills of the task are no Exceptions.
    may_pass = tenacity.retry_if_not_exception_type((TypeError, ValueError, AssertionError))
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Exception) & may_pass,
        stop=tenacity.stop_after_delay(RETRY_FOR),
        wait=tenacity.wait_exponential(multiplier=0.5, max=10.0),
        before_sleep=complain,
        reraise=True,
    )
    return attempts(action)


def _name(slot: int) -> str:
    return f"{_NAME}_{slot}" if slot else _NAME
