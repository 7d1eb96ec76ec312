"""Wait for many runs over one connection. Pure: who is due, and the cheapest way to look at them.

A page of the history shows a hundred runs for the price of one, outputs included. So looks are gathered for a moment,
and when more runs are due than pages would be needed, pages are asked for. What no page shows (one that slipped to a
later page, one that FLORA loses sight of for a moment) is looked at singly.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any

from flora_provider.api import calls
from flora_provider.api.errors import (
    FloraAnswerError,
    FloraAuthenticationError,
    FloraError,
    FloraRateLimitError,
    FloraTimeoutError,
)
from flora_provider.api.exchange import Tools, exchange
from flora_provider.api.models import Run, RunStatus
from flora_provider.api.plan import Plan, Sleep
from flora_provider.api.retry import RetryPolicy
from flora_provider.runs.event import RunEvent
from flora_provider.runs.follow import ONE_TRY, Wait, is_weather
from flora_provider.runs.histories import HISTORIES, contents

log = logging.getLogger(__name__)

GATHER_AT_MOST = 0.5  # seconds that a look may be put off to be made together with others
GATHER_PER_WAIT = 0.005  # seconds: alone nobody waits for others, from 100 waits on the most
ALONE_FOR = 60.0  # seconds for which a run that no history showed is looked at singly
PAGES_OFF_FOR = (3.0, 60.0)  # seconds for which pages are not tried after one failed; doubles up to the second
SINGLES = 100  # looks at single runs between two rounds, for a round may find a cheaper way
AHEAD = 5.0  # seconds; a row of a run that goes on and is due later than that tells nothing worth reading it
BREATH = 20  # rows after which others on the event loop have their turn
# A page that was not shown is asked for again at once: starting anew would cost all pages before it.
# Not for long: meanwhile what is due is looked at singly.
PAGE_TRIES = RetryPolicy(max_retries=4, budget=15.0)


@dataclass(slots=True, eq=False)
class Watched:
    """One wait, and whom to tell.

    Attributes:
        wait: the run, and when to look.
        tell: called with how it ended.
        refused: called each time FLORA refuses to show the run and the wait goes on: the connection may have changed,
            and another watch be the right one.
        context: of whoever waits, so that what is logged about its run goes to its own log.
    """

    wait: Wait
    tell: Callable[[RunEvent], None]
    refused: Callable[[], None] = lambda: None
    context: Context = field(default_factory=copy_context)


class Watch:
    """All waits over one connection.

    Every run that is waited for either has a due time or is being looked at. Dues are kept in a dict, not in a heap: a
    page moves a hundred of them at once, and the earliest of ten thousand is found in less than a millisecond.

    Args:
        clock: seconds of a clock that nobody sets; all times herein are its times.
        draw: random numbers in [0, 1).
        unix_time: the wall clock, for dates in answers; None to take `clock`.
    """

    def __init__(
        self, *, clock: Callable[[], float], draw: Callable[[], float], unix_time: Callable[[], float] | None = None
    ) -> None:
        self._clock = clock
        self._draw = draw
        self._unix_time = unix_time or clock
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
        watched.wait.begin(self._clock())
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
        """There is no way to look any more: tell everyone."""
        for run_id in list(self._watched):
            self._tell(run_id, lambda wait: RunEvent.refused(wait.run_id, failure))

    @property
    def next_round(self) -> float:
        """When to make the next round; infinity when nobody waits, or all are being looked at."""
        self._earliest = min(self._due.values(), default=inf)
        gathered = self._earliest + min((len(self._due) - 1) * GATHER_PER_WAIT, GATHER_AT_MOST)
        return max(gathered, self._quiet_until)

    def round(self) -> Plan[list[str]]:
        """Look at the runs that are due by pages, where that is cheaper.

        Returns:
            The runs that remain, to be looked at with `look`, the longest overdue first.
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
        return self._hand_out(due, now)

    def due_now(self) -> list[str]:
        """The runs that are due, to be looked at with `look`, while a round takes long: its pages may hang."""
        return self._hand_out(set(self._due), self._clock())

    def look(self, run_id: str) -> Plan[bool]:
        """Look at one run. Returns whether FLORA showed it."""
        try:
            run = yield from exchange(calls.get_run(run_id), self._tools(ONE_TRY))
        except FloraError as failure:
            self._missed(run_id, failure)
            return False
        self._saw(run_id, run)
        return True

    def gave_up(self, run_id: str, why: str) -> None:
        """Whoever looked has stopped, for no answer came while others would have to wait."""
        self._missed(run_id, FloraTimeoutError(why))

    def broke(self, run_id: str, error: Exception) -> None:
        """Looking raised what nobody foresaw; should that last, the waits for this run end, and no others."""
        log.error("Looking at FLORA run %s broke; others are not concerned", run_id, exc_info=error)
        self._missed(run_id, FloraError(f"looking at it raised {type(error).__name__}, which nobody foresaw"))

    def pages_broke(self, error: Exception) -> None:
        """Going through pages raised what nobody foresaw: runs are looked at singly for a while."""
        log.error("Going through FLORA's histories broke; runs are looked at singly", exc_info=error)
        self._pages_off()

    def _hand_out(self, run_ids: Collection[str], now: float) -> list[str]:
        alone = sorted((at, run_id) for run_id in run_ids if (at := self._due.get(run_id, inf)) <= now)
        for _, run_id in alone[:SINGLES]:
            del self._due[run_id]
        return [run_id for _, run_id in alone[:SINGLES]]

    def _tools(self, policy: RetryPolicy) -> Tools:
        return Tools(policy, self._unix_time, self._draw, self._clock)

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
                page = yield from exchange(call, self._tools(PAGE_TRIES))
                rows, cursor = contents(page, member)
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
        now = self._clock()
        missing = {run_id for run_id in missing if self._due.get(run_id, inf) <= now}  # others were looked at meanwhile
        oldest = min(missing, key=self._due.__getitem__, default=None)
        if not isinstance(failure, FloraRateLimitError):
            about_key = isinstance(failure, FloraAuthenticationError)
            about_pages = oldest is None or not (about_key or is_weather(failure, gone_for=inf))
            if oldest is not None and not about_pages:
                missing.discard(oldest)
                del self._due[oldest]
                about_pages = yield from self.look(oldest)
            if about_pages:
                self._pages_off()
                return
        # Looks at the others would meet the same.
        for number, run_id in enumerate(missing, 1):
            self._missed(run_id, failure)
            if number % BREATH == 0:
                yield Sleep(0)

    def _pages_off(self) -> None:
        first, most = PAGES_OFF_FOR
        self._pages_off_until = self._clock() + min(first * 2.0 ** min(self._pages_failed, 10), most)
        self._pages_failed += 1

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
            try:
                event = watched.context.run(learn, watched.wait)
            except Exception as error:  # whatever it is, it is about this wait and ends no other
                log.exception("A wait for FLORA run %s broke; others are not concerned", run_id)
                event = RunEvent.refused(run_id, FloraError(f"the wait raised {type(error).__name__}"))
            if event is not None:
                self.discard(watched)
                watched.tell(event)
            elif watched.wait.is_refused:
                watched.refused()
        if run_id in self._watched:
            self._plan(run_id)
