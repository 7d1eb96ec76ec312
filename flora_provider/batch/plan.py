"""The plan of a batch: its rows as they are sent, written by a worker for whoever starts them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from flora_provider.api import calls
from flora_provider.api.errors import FloraError
from flora_provider.runs.request import RunBudget, RunRequest

LARGEST_PLAN = 1024**3  # bytes
_KEY_PART = 24  # hexadecimal digits of a row's identity in its idempotency key


class PlannedRow(BaseModel):
    """One row as it is sent.

    Attributes:
        number: of the row, from 1, for messages.
        row: its identity.
        request: the members of `calls.generate`.
        price_kind: what its price depends on: equal for equal models and parameters.
        price: USD by FLORA's catalog; None where it was not asked for.
        reuse_key: under which the build cache keeps its run; empty without one.
        reused_from: the entry of the build cache that it is taken from; then nothing is started.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    number: int
    row: str
    request: dict[str, Any]
    price_kind: str = ""
    price: float | None = None
    reuse_key: str = ""
    reused_from: str = ""

    def key(self, batch: str) -> str:
        """Its idempotency key in its first version; `batch` is the key of the whole."""
        return f"{batch}-{self.row[:_KEY_PART]}"

    def run_request(self, connection: str, budget: RunBudget | None = None) -> RunRequest:
        """What starts its run; raises FloraInputError if it cannot be right."""
        scope = {name: self.request[name] for name in ("workspace_id", "project_id")}
        model = self.request.get("model")
        return RunRequest(
            call=calls.generate(**self.request),
            connection=connection,
            budget=budget,
            candidates=calls.list_generations(**scope),
            search_for={"model_id": model} if model else {},
        )


def dump_plan(rows: Iterable[PlannedRow]) -> tuple[str, bytes]:
    """The name of the plan's file, which depends on all that is in it, and its content: a row in each line."""
    content = b"".join(row.model_dump_json(exclude_defaults=True).encode() + b"\n" for row in rows)
    return f"plan-{hashlib.sha256(content).hexdigest()[:16]}.jsonl", content


def load_plan(content: bytes | None, path: str) -> Iterator[PlannedRow]:
    """The rows of a plan, which are parsed one by one: a thread that does it leaves others their turn.

    Raises:
        FloraError: it is not there, or none of ours; a retry of the task writes it again.
    """
    if content is None:
        raise FloraError(
            f"{path}, which holds the rows of this batch, is not there: see that the folder is one that workers and "
            "triggerers both see; a retry of the task writes it again"
        )
    try:
        for line in content.splitlines():
            yield PlannedRow.model_validate_json(line)
    except ValidationError:
        raise FloraError(
            f"{path}, which holds the rows of this batch, cannot be read: a retry writes it again"
        ) from None
