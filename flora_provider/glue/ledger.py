"""Where a task remembers what it started: Airflow's task state store (3.3 and newer), or nowhere (older)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flora_provider.runs.submit import Record

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_NAME = "flora_run"


class TaskStateLedger:
    """The task state store: survives a retry, a SIGKILL and a clear, which XCom does not."""

    durable = True

    def __init__(self, store: Any) -> None:
        self._store = store

    def read(self) -> Record | None:
        """The latest record, of whatever clear."""
        return Record.load(self._store.get(_NAME))

    def write(self, record: Record) -> None:
        """Remember; the supervisor has stored it when this returns."""
        self._store.set(_NAME, record.dump())


class NoLedger:
    """Airflow before 3.3 has no task state store: the derived key alone finds the run again."""

    durable = False

    def read(self) -> None:
        """Nothing is known."""

    def write(self, record: Record) -> None:
        """Nothing is kept."""


def ledger_of(context: Context) -> TaskStateLedger | NoLedger:
    """The ledger of the running task."""
    store = context.get("task_state_store")
    return NoLedger() if store is None else TaskStateLedger(store)
