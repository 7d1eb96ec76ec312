"""Wait for many runs over one connection. Pure: who is due, and the cheapest way to look at them.

A page of the history shows a hundred runs for the price of one, outputs included. So looks are gathered for a moment,
and when more runs are due than pages would be needed, pages are asked for. What no page shows (one that slipped to a
later page, one that FLORA loses sight of for a moment) is looked at singly.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any

from flora_provider.api import calls
from flora_provider.api.errors import FloraAnswerError, FloraAuthenticationError, FloraError, FloraRateLimitError
from flora_provider.api.exchange import Tools, exchange
from flora_provider.api.models import Run, RunStatus
from flora_provider.api.plan import Plan, Sleep
from flora_provider.api.retry import RetryPolicy
from flora_provider.runs.event import RunEvent
from flora_provider.runs.follow import ONE_TRY, Wait, is_weather

# The histories that may show a run; both list the newest first, and show as much as a single look does.
HISTORIES = (("generations", "generations"), ("technique-runs", "technique_runs"))
GATHER_AT_MOST = 0.5  # seconds that a look may be put off to be made together with others
GATHER_PER_WAIT = 0.005  # seconds: alone nobody waits for others, from 100 waits on the most
ALONE_FOR = 60.0  # seconds for which a run that no history showed is looked at singly
PAGES_OFF_FOR = (3.0, 60.0)  # seconds for which pages are not tried after one failed; doubles up to the second
SINGLES = 100  # looks at single runs between two rounds, for a round may find a cheaper way
AHEAD = 5.0  # seconds; a row of a run that goes on and is due later than that tells nothing worth reading it
BREATH = 20  # rows after which others on the event loop have their turn
# A page that was not shown is asked for again at once: starting anew would cost all pages before it.
PAGE_TRIES = RetryPolicy(max_retries=4, budget=60.0)


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

    Every run that is waited for either has a due time or is being looked at. Dues are kept in a dict, not in a heap: a
    page moves a hundred of them at once, and the earliest of ten thousand is found in less than a millisecond.

    Args:
        clock: unix seconds.
        draw: random numbers in [0, 1).
    """

    def __init__(self, *, clock: Callable[[], float], draw: Callable[[], float]) -> None:
        self._clock = clock
        self._draw = draw
        self._watched: dict[str, list[Watched]] = {}
        self._due: dict[str, float] = {}
        self._earliest = inf  # of all dues, when it was last asked for
        # On which page of which history a run was last shown, and until when one is not looked for there.
        self._place: dict[str, tuple[str, int]] = {}
        self._alone_until: dict[str, float] = {}
        self._pages_off_until = 0.0
        self._pages_failed = 0  # times in a row
        self._quiet_until = 0.0  # FLORA asked not to be asked

    def __len__(self) -> int:
        """How many runs are waited for."""
        return len(self._watched)

    def add(self, watched: Watched) -> bool:
        """Wait for one more run; several may wait for the same one. Returns whether `next_round` is earlier now."""
        run_id = watched.wait.run_id
        group = self._watched.setdefault(run_id, [])
        group.append(watched)
        if len(group) == 1 or run_id in self._due:
            self._plan(run_id)
        return self._due.get(run_id, inf) < self._earliest

    def discard(self, watched: Watched) -> None:
        """Wait for it no longer; nothing happens if it has ended already."""
        run_id = watched.wait.run_id
        group = self._watched.get(run_id, [])
        if watched in group:
            group.remove(watched)
            if not group:
                for of_run in (self._watched, self._due, self._place, self._alone_until):
                    of_run.pop(run_id, None)

    def end_all(self, failure: FloraError) -> None:
        """FLORA, or the connection, allows no look any more: tell everyone."""
        for run_id in list(self._watched):
            self._tell(run_id, lambda wait: RunEvent.refused(wait.run_id, failure))

    def restart(self) -> None:
        """Whoever was looking has stopped, perhaps in the middle: all runs have their due times again."""
        for run_id in self._watched:
            self._plan(run_id)

    @property
    def next_round(self) -> float:
        """Unix seconds at which to make the next round; infinity when nobody waits, or all are being looked at."""
        self._earliest = min(self._due.values(), default=inf)
        gathered = self._earliest + min((len(self._due) - 1) * GATHER_PER_WAIT, GATHER_AT_MOST)
        return max(gathered, self._quiet_until)

    def round(self) -> Plan[list[str]]:
        """Look at the runs that are due by pages, where that is cheaper.

        Returns:
            The runs that remain, to be looked at with `look`, the longest overdue first.

        Raises:
            FloraAuthenticationError: the key is not valid any more. Go on with `restart`.
        """
        now = self._clock()
        due = {run_id for run_id, at in self._due.items() if at <= now}
        if now >= self._pages_off_until:
            listed = {run_id for run_id in due if self._alone_until.get(run_id, 0.0) <= now}
            missing = {run_id for run_id in listed if run_id not in self._place}
            for path, member in HISTORIES:
                here = {run_id for run_id in listed if run_id in self._place and self._place[run_id][0] == path}
                missing = yield from self._scan(path, member, here | missing)
            self._alone_until.update((run_id, now + ALONE_FOR) for run_id in missing if run_id in self._watched)
        alone = sorted((at, run_id) for run_id in due if (at := self._due.get(run_id, inf)) <= now)
        for _, run_id in alone[:SINGLES]:
            del self._due[run_id]
        return [run_id for _, run_id in alone[:SINGLES]]

    def look(self, run_id: str) -> Plan[bool]:
        """Look at one run. Returns whether FLORA showed it.

        Raises:
            FloraAuthenticationError: the key is not valid any more. Go on with `restart`.
        """
        try:
            run = yield from exchange(calls.get_run(run_id), Tools(ONE_TRY, self._clock, self._draw))
        except FloraAuthenticationError:
            raise
        except FloraError as failure:
            self._missed(run_id, failure)
            return False
        self._saw(run_id, run)
        return True

    def _scan(self, path: str, member: str, wanted: Collection[str]) -> Plan[set[str]]:
        """Go through a history until it has shown all that is wanted, if that takes fewer pages than there are runs.

        Returns:
            The runs that it does not show; none when pages were not tried, or could not be had.
        """
        # A run that was not shown yet is taken to be among as many as are waited for.
        new = ("", ceil(len(self._watched) / calls.PAGE_SIZE) - 1)
        pages = max((self._place.get(run_id, new)[1] + 1 for run_id in wanted), default=0)
        if len(wanted) <= pages:
            return set()
        missing = set(wanted)
        query = {"limit": str(calls.PAGE_SIZE)}
        number = 0
        vain = 0  # pages in a row that showed nothing new
        while True:
            try:
                call = calls.raw("GET", path, query=query)
                page = yield from exchange(call, Tools(PAGE_TRIES, self._clock, self._draw))
                rows, cursor = _contents(page, member)
            except FloraAuthenticationError:
                raise
            except FloraError as failure:
                yield from self._no_page(failure, missing)
                return set()
            before = len(missing)
            yield from self._read(rows, (path, number), missing)
            # Others may push our runs to deeper pages; those pay as long as single looks would cost more.
            number += 1
            vain = vain + 1 if len(missing) == before else 0
            is_vain = number >= pages and vain > 1 + len(missing) // 4
            if is_vain or not (missing and rows and cursor):
                break
            query["cursor"] = cursor
        self._pages_failed = 0
        for run_id in missing:
            self._place.pop(run_id, None)
        return missing

    def _read(self, rows: list[Any], place: tuple[str, int], missing: set[str]) -> Plan[None]:
        known, soon = 0, self._clock() + AHEAD
        for row in rows:
            if not isinstance(row, Mapping) or not isinstance(run_id := row.get("run_id"), str):
                continue
            if run_id not in self._watched:
                continue
            if self._due.get(run_id, 0.0) > soon and not RunStatus.is_terminal(str(row.get("status"))):
                self._place[run_id] = place
                continue
            try:
                run = Run.read(row)
            except FloraAnswerError:
                continue  # a single look will tell
            if run.status == RunStatus.COMPLETED and not run.outputs:
                continue  # should rows lack them one day, a single look has them
            self._place[run_id] = place
            missing.discard(run_id)
            self._saw(run_id, run)
            known += 1
            if known % BREATH == 0:
                yield Sleep(0)

    def _no_page(self, failure: FloraError, missing: set[str]) -> Plan[None]:
        """A page could not be had. One single look tells whether that is about histories only, or about FLORA."""
        oldest = min((run_id for run_id in missing if run_id in self._due), key=self._due.__getitem__, default=None)
        if not isinstance(failure, FloraRateLimitError):
            about_pages = oldest is None or not is_weather(failure, gone_for=inf)
            if about_pages or (oldest is not None and (yield from self.look(oldest))):
                first, most = PAGES_OFF_FOR
                self._pages_off_until = self._clock() + min(first * 2.0 ** min(self._pages_failed, 10), most)
                self._pages_failed += 1
                return
            missing.discard(oldest or "")
        # Looks at the others would meet the same.
        for number, run_id in enumerate(missing, 1):
            self._missed(run_id, failure)
            if number % BREATH == 0:
                yield Sleep(0)

    def _plan(self, run_id: str) -> None:
        self._due[run_id] = min(watched.wait.due for watched in self._watched[run_id])

    def _saw(self, run_id: str, run: Run) -> None:
        now, draw = self._clock(), self._draw()
        self._tell(run_id, lambda wait: wait.saw(run, now=now, draw=draw))

    def _missed(self, run_id: str, failure: FloraError) -> None:
        now, draw = self._clock(), self._draw()
        if isinstance(failure, FloraRateLimitError):
            self._quiet_until = max(self._quiet_until, now + (failure.retry_after or 0.0))
        self._tell(run_id, lambda wait: wait.missed(failure, now=now, draw=draw))

    def _tell(self, run_id: str, learn: Callable[[Wait], RunEvent | None]) -> None:
        for watched in list(self._watched.get(run_id, ())):
            event = watched.context.run(learn, watched.wait)
            if event is not None:
                self.discard(watched)
                watched.tell(event)
        if run_id in self._watched:
            self._plan(run_id)


def _contents(page: Any, member: str) -> tuple[list[Any], str]:
    """The rows of a page, and the cursor of the next one, empty at the end."""
    rows = page.get(member) if isinstance(page, Mapping) else None
    if not isinstance(rows, list):
        raise FloraAnswerError(f"FLORA's answer holds no list {member!r}")
    meta = page.get("meta")
    cursor = meta.get("next_cursor") if isinstance(meta, Mapping) else None
    return rows, cursor if isinstance(cursor, str) else ""
