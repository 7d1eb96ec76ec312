"""FLORA's histories of runs: their pages, and the search for a run whose id was lost.

A history shows neither prompt nor key, so a row can only be excluded, never be known to be the lost run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from flora_provider.api.calls.base import members
from flora_provider.api.calls.pagination import PageWalk
from flora_provider.api.calls.sending import send_call
from flora_provider.api.errors import FloraAnswerError
from flora_provider.api.http.flow import FlowContext, Sleep
from flora_provider.api.models import Run, RunStatus
from flora_provider.runs.effects import ReadClaimedRuns, SubmitFlow
from flora_provider.runs.request import RunRequest

# Path and name of the list; both list the newest first, and show as much of a run as a poll of it does.
HISTORIES = (("generations", "generations"), ("technique-runs", "technique_runs"))

LISTED_WITHIN = 60.0  # seconds after its POST within which a run stands in the history, if there is one
CLAIMED_WITHIN = 10.0  # seconds after its listing within which whoever has started a run has stored its id


def rows_and_cursor(page: Any, member: str) -> tuple[list[Any], str]:
    """The rows of a parsed page, and the cursor of the next one, empty at the end; FloraAnswerError if it is none."""
    rows = members(page, member)
    meta = page.get("meta")
    cursor = meta.get("next_cursor") if isinstance(meta, Mapping) else None
    return rows, cursor if isinstance(cursor, str) else ""


def run_of_row(row: Mapping[str, Any]) -> Run | None:
    """What a row shows of its run; None if a single poll may show more."""
    try:
        run = Run.read(row)
    except FloraAnswerError:
        return None
    return None if run.status == RunStatus.COMPLETED and not run.outputs else run


def search(
    request: RunRequest, context: FlowContext, *, since: float, excluded: Collection[str]
) -> SubmitFlow[list[Any]]:
    """Rows that may be the lost run of a request, newest first, without those of runs that other tasks own.

    If there are any, it waits for `CLAIMED_WITHIN`, and leaves out those that others have stored meanwhile.

    Args:
        request: that has started it, and says how to find it.
        context: the client's.
        since: unix seconds before which the run cannot have been started.
        excluded: run ids that this task has left behind.
    """
    rows = yield from _rows_since(since, request, context)
    claimed = set(excluded) | (yield ReadClaimedRuns())
    found = [row for row in rows if row.run_id not in claimed]
    if found:  # where many are started at once, others are about to be claimed
        yield Sleep(CLAIMED_WITHIN)
        claimed |= yield ReadClaimedRuns()
        found = [row for row in found if row.run_id not in claimed]
    return found


def _rows_since(since: float, request: RunRequest, context: FlowContext) -> SubmitFlow[list[Any]]:
    """The rows that fit the request; one that says nothing fits."""
    found: list[Any] = []
    walk = PageWalk(request.candidates) if request.candidates else None
    while walk and walk.call:
        page = yield from send_call(walk.call, context)
        rows = list(walk.take(page))
        recent = [row for row in rows if row.created_at is None or row.created_at.timestamp() >= since]
        wanted = request.search_for.items()
        found += [row for row in recent if all(getattr(row, name, None) in (None, value) for name, value in wanted)]
        if len(recent) < len(rows):
            break
    return found
