"""Which run a task means: the idempotency key of one intended run. Pure, standard library only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass


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
        clears: Airflow's `max_tries`, which a clear moves and a retry never does.
        body: the canonical bytes of the request.
        own_key: a key the user chose instead; then the rest does not matter.
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

    def key(self, generation: int) -> str:
        """The `Idempotency-Key` of the run's n-th generation, counted from 1.

        The generation moves only when the run before is known to have failed: FLORA keeps a key burned by a run that
        started and then failed. About 45 URL-safe characters.
        """
        if self.own_key is not None:
            return self.own_key if generation == 1 else f"{self.own_key}-g{generation}"
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
        digest = hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()
        return f"airflow-{digest[:32]}-g{generation}"
