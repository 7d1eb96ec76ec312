"""The histories that may show a run; both list the newest first, and show as much as a single look does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flora_provider.api.errors import FloraAnswerError

HISTORIES = (("generations", "generations"), ("technique-runs", "technique_runs"))


def contents(page: Any, member: str) -> tuple[list[Any], str]:
    """The rows of a page, and the cursor of the next one, empty at the end.

    Raises:
        FloraAnswerError: this is no page.
    """
    rows = page.get(member) if isinstance(page, Mapping) else None
    if not isinstance(rows, list):
        raise FloraAnswerError(f"FLORA's answer holds no list {member!r}")
    meta = page.get("meta")
    cursor = meta.get("next_cursor") if isinstance(meta, Mapping) else None
    return rows, cursor if isinstance(cursor, str) else ""
