"""Wait for many runs over one connection. Pure: who is due, and the cheapest way to look at them.

A page of the history shows a hundred runs for the price of one, outputs included. So looks are gathered for a moment,
and when more runs are due than pages would be needed, pages are asked for. What no page shows (one that slipped to a
later page, one that FLORA loses sight of for a moment) is looked at singly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from flora_provider.api import calls
from flora_provider.api.errors import FloraAnswerError, FloraAuthenticationError, FloraError
from flora_provider.api.exchange import exchange
from flora_provider.api.models import Run
from flora_provider.api.plan import Plan
from flora_provider.api.retry import may_retry
from flora_provider.runs.event import RunEvent
from flora_provider.runs.follow import ONE_TRY, Wait

# The histories that may show a run; both list the newest first, and show as much as a single look does.
HISTORIES = (("generations", "generations"), ("technique-runs", "technique_runs"))
GATHER_AT_MOST = 2.0  # seconds that a look may be put off to be made together with others
GATHER_PER_WAIT = 0.01  # seconds: alone nobody waits for others, from 200 waits on the most
PAGES_OFF_FOR = 60.0  # seconds for which pages are not tried after they did not work, or did not pay


@dataclass(slots=True, eq=False)
class Watched:
    """One wait, and whom to tell.

    Attributes:
        wait: the run, and when to look.
        tell: called with how it ended.
        context: of whoever waits, so that what is logged about its run goes to its own log.
    """

    wait: Wait
    tell: Callable[[RunEvent], None]
    context: Context = field(default_factory=copy_context)


class Watch:
    """All waits over one connection.

    Args:
        clock: unix seconds.
        draw: random numbers in [0, 1).
    """

    def __init__(self, *, clock: Callable[[], float], draw: Callable[[], float]) -> None:
        self._clock = clock
        self._draw = draw
        self._watched: dict[str, list[Watched]] = {}
        self._size = 0
        # Never later than the earliest of all dues; found anew in each round.
        self._earliest = float("inf")
        self._pages_off_until = 0.0
        # On which page of which history a run was shown; None for one that no history showed: it is looked at singly.
        self._place: dict[str, tuple[str, int] | None] = {}

    def __len__(self) -> int:
        """How many waits there are."""
        return self._size

    def add(self, watched: Watched) -> bool:
        """Wait for one more run; several may wait for the same one. Returns whether it is due before all others."""
        self._watched.setdefault(watched.wait.run_id, []).append(watched)
        self._size += 1
        is_next = watched.wait.due < self._earliest
        if is_next:
            self._earliest = watched.wait.due
        return is_next

    def discard(self, watched: Watched) -> None:
        """Wait for it no longer; nothing happens if it has ended already."""
        run_id = watched.wait.run_id
        group = self._watched.get(run_id, [])
        if watched not in group:
            return
        group.remove(watched)
        self._size -= 1
        if not group:
            del self._watched[run_id]
            self._place.pop(run_id, None)

    def end_all(self, failure: FloraError) -> None:
        """FLORA, or the connection, allows no look any more: tell everyone."""
        for run_id in list(self._watched):
            self._tell(run_id, lambda wait: RunEvent.refused(wait.run_id, failure))

    @property
    def next_round(self) -> float | None:
        """Unix seconds at which to make the next round; None when nobody waits."""
        if not self._size:
            return None
        return self._earliest + min((self._size - 1) * GATHER_PER_WAIT, GATHER_AT_MOST)

    def round(self) -> Plan[list[str]]:
        """Look at the runs that are due by pages, where that is cheaper.

        Returns:
            The runs that remain to be looked at singly, with `look`.

        Raises:
            FloraAuthenticationError: the key is not valid any more.
        """
        due = {run_id for run_id, at in self._dues() if at <= self._clock()}
        if self._clock() >= self._pages_off_until:
            for path, member in HISTORIES:
                yield from self._scan(path, member, {run_id for run_id in due if self._may_be_in(path, run_id)})
        now = self._clock()
        alone = [run_id for run_id, at in self._dues() if at <= now and run_id in due]
        # What became due meanwhile is for the next round, so that it may be seen on a page as well.
        left = set(alone)
        self._earliest = min((at for run_id, at in self._dues() if run_id not in left), default=float("inf"))
        return alone

    def look(self, run_id: str) -> Plan[None]:
        """Look at one run.

        Raises:
            FloraAuthenticationError: the key is not valid any more.
        """
        try:
            run = yield from exchange(calls.get_run(run_id), ONE_TRY, clock=self._clock, draw=self._draw)
        except FloraAuthenticationError:
            self._earliest = self._clock()
            raise
        except FloraError as failure:
            self._missed(run_id, failure)
        else:
            self._saw(run)

    def _may_be_in(self, path: str, run_id: str) -> bool:
        place = self._place.get(run_id, (path, 0))
        return place is not None and place[0] == path

    def _scan(self, path: str, member: str, wanted: set[str]) -> Plan[None]:
        """Go through a history until it has shown all that is wanted, if that takes fewer pages than there are runs."""
        # A run that was not shown yet may be anywhere among those that are waited for; others slip a page at a time.
        unknown = -(-len(self._watched) // calls.PAGE_SIZE)
        places = [self._place.get(run_id) for run_id in wanted]
        pages = max((place[1] + 1 if place else unknown for place in places), default=0)
        if len(wanted) <= pages:
            return
        missing = set(wanted)
        query = {"limit": str(calls.PAGE_SIZE)}
        for number in range(pages + 2):
            try:
                page = yield from exchange(
                    calls.raw("GET", path, query=query), ONE_TRY, clock=self._clock, draw=self._draw
                )
                rows = _rows(page, member)
            except FloraAuthenticationError:
                self._earliest = self._clock()
                raise
            except FloraError as failure:
                return self._page_failed(failure, missing)
            for run in self._known(rows):
                self._place[run.run_id] = (path, number)
                missing.discard(run.run_id)
                self._saw(run)
            cursor = _cursor(page)
            if not (missing and cursor and rows):
                break
            query["cursor"] = cursor
        if path == HISTORIES[-1][0]:
            self._place.update(dict.fromkeys(missing))
        return None

    def _page_failed(self, failure: FloraError, missing: set[str]) -> None:
        if may_retry(failure, resendable=True):
            # Weather: single looks would meet the same, a hundred times as often.
            for run_id in missing:
                self._missed(run_id, failure)
        else:
            self._pages_off_until = self._clock() + PAGES_OFF_FOR

    def _known(self, rows: Iterable[Any]) -> Iterable[Run]:
        for row in rows:
            if isinstance(row, Mapping) and row.get("run_id") in self._watched:
                try:
                    yield Run.read(row)
                except FloraAnswerError:
                    continue  # a single look will tell

    def _dues(self) -> Iterator[tuple[str, float]]:
        for run_id, group in self._watched.items():
            yield run_id, min(watched.wait.due for watched in group)

    def _saw(self, run: Run) -> None:
        now, draw = self._clock(), self._draw()
        self._tell(run.run_id, lambda wait: wait.saw(run, now=now, draw=draw))

    def _missed(self, run_id: str, failure: FloraError) -> None:
        now, draw = self._clock(), self._draw()
        self._tell(run_id, lambda wait: wait.missed(failure, now=now, draw=draw))

    def _tell(self, run_id: str, learn: Callable[[Wait], RunEvent | None]) -> None:
        for watched in list(self._watched.get(run_id, ())):
            event = watched.context.run(learn, watched.wait)
            if event is None:
                self._earliest = min(self._earliest, watched.wait.due)
            else:
                self.discard(watched)
                watched.tell(event)


def _rows(page: Any, member: str) -> list[Any]:
    rows = page.get(member) if isinstance(page, Mapping) else None
    if not isinstance(rows, list):
        raise FloraAnswerError(f"FLORA's answer holds no list {member!r}")
    return rows


def _cursor(page: Mapping[str, Any]) -> str | None:
    meta = page.get("meta")
    cursor = meta.get("next_cursor") if isinstance(meta, Mapping) else None
    return cursor if isinstance(cursor, str) else None
