"""Look for a run whose id was lost: which rows of FLORA's history may be it. Pure.

The history shows neither prompt nor key, so a row can only be excluded, never be known to be the lost run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from flora_provider.api import calls
from flora_provider.api.exchange import Tools, exchange
from flora_provider.api.models import Generation, Page
from flora_provider.api.paging import PageWalk
from flora_provider.api.plan import Plan, Sleep

LISTED_WITHIN = 60.0  # seconds after its POST by which a run is taken to stand in the history, if there is one
_PAUSE = 5.0  # seconds between two searches


def search(
    tools: Tools,
    candidates: calls.Call[Page[Generation]] | None,
    wanted: Mapping[str, str],
    *,
    since: float,
    excluded: Callable[[], Collection[str]],
) -> Plan[list[Generation]]:
    """Rows that may be the lost run, newest first.

    Args:
        tools: the client's.
        candidates: which call lists them; None when the history cannot be searched.
        wanted: what a row must say, by attribute; a row that does not say it may be the run.
        since: unix seconds before which the run cannot have been started.
        excluded: tells the run ids that are surely others' by now.
    """
    found: list[Generation] = []
    others = excluded()
    walk = PageWalk(candidates) if candidates else None
    while walk and walk.call:
        page = yield from exchange(walk.call, tools)
        rows = list(walk.take(page))
        recent = [row for row in rows if row.created_at is None or row.created_at.timestamp() >= since]
        found += [row for row in recent if row.run_id not in others and _fits(row, wanted)]
        if len(recent) < len(rows):
            break
    return found


def search_until_listed(
    tools: Tools,
    candidates: calls.Call[Page[Generation]] | None,
    wanted: Mapping[str, str],
    *,
    since: float,
    excluded: Callable[[], Collection[str]],
    patience: float,
    at_once: bool,
) -> Plan[list[Generation]]:
    """The same for a run that FLORA says exists: it may be listed some seconds late.

    Args:
        tools: the client's.
        candidates: as for `search`.
        wanted: as for `search`.
        since: as for `search`.
        excluded: as for `search`; asked anew each time.
        patience: seconds for which it may not be listed yet.
        at_once: whether rows that are found before that will do; else another's may be the first to be listed.
    """
    if not at_once and patience > 0:
        yield Sleep(patience)
        patience = 0.0
    while True:
        found = yield from search(tools, candidates, wanted, since=since, excluded=excluded)
        if found or candidates is None or patience <= 0:
            return found
        yield Sleep(min(_PAUSE, patience))
        patience -= _PAUSE


def _fits(row: Generation, wanted: Mapping[str, Any]) -> bool:
    return all(getattr(row, name, None) in (None, value) for name, value in wanted.items())
