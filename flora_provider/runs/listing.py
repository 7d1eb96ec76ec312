"""FLORA's histories of runs: their raw pages, and the search for a run whose id was lost.

A history shows neither prompt nor key, so a row can only be excluded, never be known to be the lost run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from flora_provider.api import calls
from flora_provider.api.calls.pagination import PageWalk
from flora_provider.api.calls.sending import send_call
from flora_provider.api.errors import FloraAnswerError
from flora_provider.api.http.context import FlowContext
from flora_provider.api.http.flow import Sleep
from flora_provider.api.models import Generation, Page
from flora_provider.runs.effects import ReadClaimedRuns, SubmitFlow

# Path and name of the list; both list the newest first, and show as much of a run as a poll of it does.
HISTORIES = (("generations", "generations"), ("technique-runs", "technique_runs"))

LISTED_WITHIN = 60.0  # seconds after its POST within which a run stands in the history, if there is one
_PAUSE = 5.0  # seconds between two searches


def rows_and_cursor(page: Any, member: str) -> tuple[list[Any], str]:
    """The rows of a raw page, and the cursor of the next one, empty at the end.

    Raises:
        FloraAnswerError: this is no page.
    """
    rows = page.get(member) if isinstance(page, Mapping) else None
    if not isinstance(rows, list):
        raise FloraAnswerError(f"FLORA's answer holds no list {member!r}")
    meta = page.get("meta")
    cursor = meta.get("next_cursor") if isinstance(meta, Mapping) else None
    return rows, cursor if isinstance(cursor, str) else ""


def search(
    context: FlowContext,
    candidates: calls.Call[Page[Generation]] | None,
    wanted: Mapping[str, str],
    *,
    since: float,
    failed: Collection[str] = (),
) -> SubmitFlow[list[Generation]]:
    """Rows that may be the lost run, newest first, without those of runs that other tasks own.

    Args:
        context: the client's.
        candidates: which call lists them; None when the history cannot be searched.
        wanted: what a row must say, by attribute; a row that does not say it may be the run.
        since: unix seconds before which the run cannot have been started.
        failed: run ids that this task has left behind.
    """
    found: list[Generation] = []
    excluded = (yield ReadClaimedRuns()) | set(failed)
    walk = PageWalk(candidates) if candidates else None
    while walk and walk.call:
        page = yield from send_call(walk.call, context)
        rows = list(walk.take(page))
        recent = [row for row in rows if row.created_at is None or row.created_at.timestamp() >= since]
        found += [row for row in recent if row.run_id not in excluded and _fits(row, wanted)]
        if len(recent) < len(rows):
            break
    return found


def search_until_listed(
    context: FlowContext,
    candidates: calls.Call[Page[Generation]] | None,
    wanted: Mapping[str, str],
    *,
    since: float,
    failed: Collection[str] = (),
    timeout: float,
    at_once: bool,
) -> SubmitFlow[list[Generation]]:
    """The same for a run that FLORA says exists: it may be listed some seconds late.

    Args:
        context: the client's.
        candidates: as for `search`.
        wanted: as for `search`.
        since: as for `search`.
        failed: as for `search`.
        timeout: seconds for which it may not be listed yet.
        at_once: whether rows that are found before that will do; else another task's run may be listed first.
    """
    if not at_once and timeout > 0:
        yield Sleep(timeout)
        timeout = 0.0
    while True:
        found = yield from search(context, candidates, wanted, since=since, failed=failed)
        if found or candidates is None or timeout <= 0:
            return found
        yield Sleep(min(_PAUSE, timeout))
        timeout -= _PAUSE


def _fits(row: Generation, wanted: Mapping[str, Any]) -> bool:
    return all(getattr(row, name, None) in (None, value) for name, value in wanted.items())
