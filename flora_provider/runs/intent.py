"""Which run a task means: the idempotency key of one intended run. Pure, standard library only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

_LONGEST_KEY = 255  # characters; as `validation.idempotency_key`


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One intended run of one task.

    Everything that makes it another run is in here, and nothing that a retry changes: no try number, no clock of ours,
    nothing random.

    Attributes:
        dag_id, task_id, run_id, map_index: the task instance.
        dag_run_started: when the DAG run was started, as Airflow recorded it; tells the same DAG in two deployments
            apart. A retry leaves it; it moves only when a finished DAG run is cleared, which means new runs anyway.
        connection: connection id and address.
        clears: Airflow's `max_tries`, which most clears move and a retry never does.
        body: the canonical bytes of the request; where nothing is remembered of an earlier try, and the request has
            templates, what its author wrote, which a retry renders again.
        own_key: a key the user chose instead; then only `clear_count` matters besides.
        clear_number: how often tasks of the DAG run were cleared, where a ledger tells which clears were this task's.
        clear_count: how often this task was cleared, as far as is known.
        occurrence: how many equal requests the task has sent before this one.
    """

    dag_id: str
    task_id: str
    run_id: str
    map_index: int
    dag_run_started: str
    connection: str
    clears: int
    body: bytes
    own_key: str | None = None
    clear_number: int = 0
    clear_count: int = 0
    occurrence: int = 0

    def key(self, key_version: int) -> str:
        """The `Idempotency-Key` of the run's n-th key version, counted from 1.

        The version moves only when the run before is known to have failed: FLORA keeps a key burned by a run that
        started and then failed. About 45 URL-safe characters.
        """
        if self.own_key is not None:
            clear = f"-c{self.clear_count}" if self.clear_count else ""
            again = f"-g{key_version}" if key_version > 1 else ""
            return _within_limit(self.own_key, clear + again)
        parts = [
            self.dag_id,
            self.task_id,
            self.run_id,
            self.map_index,
            self.dag_run_started,
            self.connection,
            self.clears,
            hashlib.sha256(self.body).hexdigest(),
        ]
        if self.clear_number or self.occurrence:  # else the key is the one that earlier releases derived
            parts += [self.clear_number, self.occurrence]
        digest = hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()
        return f"airflow-{digest[:32]}-g{key_version}"


def _within_limit(key: str, suffix: str) -> str:
    """A key and its suffix, in at most 255 characters: a long one is cut, and ends with its hash."""
    if not suffix or len(key) + len(suffix) <= _LONGEST_KEY:
        return key + suffix
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{key[: _LONGEST_KEY - len(digest) - len(suffix) - 1]}-{digest}{suffix}"
