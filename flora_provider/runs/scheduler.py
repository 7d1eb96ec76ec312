"""Poll many runs over one connection. Pure: which are due, and the cheapest way to poll them.

A page of the history shows a hundred runs for the price of one, outputs included. So polls are gathered for a moment,
and pages are read when they spare more polls, now and within a second, than they cost. What no page shows (a run that
moved to a later page, or that FLORA does not show for a moment) is polled singly.

So each run has two times: when it is due by itself, and from when on pages that show it are worth reading. The cheaper
pages are for each of their runs, the sooner the second comes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from math import ceil, inf
from typing import Any

from flora_provider.api import calls
from flora_provider.api.calls.pagination import CursorWalk
from flora_provider.api.calls.sending import send_call
from flora_provider.api.errors import (
    FloraAuthenticationError,
    FloraError,
    FloraRateLimitError,
    FloraTimeoutError,
)
from flora_provider.api.http.flow import Flow, FlowContext, Sleep
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.api.models import Run, RunStatus
from flora_provider.runs.event import RunEvent
from flora_provider.runs.listing import HISTORIES, rows_and_cursor, run_of_row
from flora_provider.runs.poll_policy import GATHER_AT_MOST, ONE_TRY, gathering
from flora_provider.runs.poller import RunPoller
from flora_provider.runs.ref import RunRef
from flora_provider.runs.subscription import Subscription
from flora_provider.runs.tolerance import is_transient

log = logging.getLogger(__name__)

SPARED_WITHIN = 1.0  # seconds; a page spares the polls that runs on it are due for within this time
SINGLE_POLL_FOR = 60.0  # seconds for which a run that no history showed is polled singly
PAGES_OFF_FOR = (3.0, 60.0)  # seconds for which pages are not tried after one failed; doubles up to the second
MAX_SINGLE_POLLS = 100  # single polls between two rounds, for a round may find a cheaper way
SKIP_IF_DUE_AFTER = 2.0  # seconds; rows of unfinished runs that are due later than this are skipped
YIELD_EVERY_ROWS = 10  # rows parsed before yielding to the event loop
# A failed page is asked for again at once, for a while: starting anew would cost all pages before it.
PAGE_TRIES = RetryPolicy(max_retries=4, budget=15.0)


class PollScheduler:
    """Decides which of many runs to poll when, over one connection, and how.

    Every run either has a due time or is being polled. Due times are kept in a dict, not in a heap: a page moves a
    hundred of them at once, and the earliest of ten thousand is found in less than a millisecond. All times herein are
    those of `context.steady`.
    """

    def __init__(self, context: FlowContext) -> None:
        self._context = context
        self._clock, self._random = context.steady, context.random
        self._subscriptions: dict[RunRef, list[Subscription]] = {}
        self._refs: dict[str, list[RunRef]] = {}  # by run id, which is all that histories show
        self._due: dict[RunRef, float] = {}
        self._page_due: dict[RunRef, float] = {}  # of the same runs, for polls by pages; never later
        self._pages_not_before = 0.0  # for runs that are not due but by pages: too few of them may be worth none
        self._earliest = inf  # of all due times, when `next_round` was last read
        # On which page of which history a run was last found, and until when it is polled singly.
        self._page_position: dict[RunRef, tuple[str, int]] = {}
        self._single_until: dict[RunRef, float] = {}
        self.pages_read = 0  # since the beginning: whether pages hang, or merely are many
        self._share = 0.0  # requests that the pages read last have cost each run on them
        self._pages_off_until = 0.0
        self._pages_failed = 0  # times in a row
        self._not_before = 0.0  # as FLORA's latest 429 asks

    def __len__(self) -> int:
        """How many runs are waited for."""
        return len(self._subscriptions)

    def add(self, subscription: Subscription) -> bool:
        """Wait for one more run; several may wait for the same one. Returns whether `next_round` is earlier now."""
        ref = subscription.poller.ref
        subscription.poller.begin(self._clock())
        group = self._subscriptions.setdefault(ref, [])
        group.append(subscription)
        if len(group) == 1:
            self._refs.setdefault(ref.run_id, []).append(ref)
        if len(group) == 1 or ref in self._due:
            self._schedule(ref)
        return self._page_due.get(ref, inf) < self._earliest

    def discard(self, subscription: Subscription) -> None:
        """Stop waiting; nothing happens if the wait has ended already."""
        ref = subscription.poller.ref
        group = self._subscriptions.get(ref, [])
        if subscription in group:
            group.remove(subscription)
            if not group:
                for by_ref in (self._subscriptions, self._due, self._page_due, self._page_position, self._single_until):
                    by_ref.pop(ref, None)
                self._refs[ref.run_id].remove(ref)
                if not self._refs[ref.run_id]:
                    del self._refs[ref.run_id]

    def end_all(self, failure: FloraError) -> None:
        """End all waits as refused: polling is not possible any more."""
        for ref in list(self._subscriptions):
            self._notify(ref, lambda poller: RunEvent.refused(poller.ref, failure))

    @property
    def next_round(self) -> float:
        """When to start the next round; infinity when there is nothing to poll."""
        pages_from = max(min(self._page_due.values(), default=inf), self._pages_not_before, self._pages_off_until)
        self._earliest = min(min(self._due.values(), default=inf), pages_from)
        return max(self._earliest + gathering(runs=len(self._due), share=self._share), self._not_before)

    def round(self) -> Flow[list[RunRef]]:
        """Poll the runs that are due by pages, where that is cheaper.

        Returns:
            The runs that remain, to be polled with `poll`, the longest overdue first.
        """
        now = self._clock()
        due = [ref for ref, at in self._page_due.items() if at <= now]
        self._pages_not_before = now + GATHER_AT_MOST
        if now >= self._pages_off_until:
            by_page = [ref for ref in due if self._single_until.get(ref, 0.0) <= now]
            missing = [ref for ref in by_page if ref not in self._page_position]
            for path, member in HISTORIES:
                here = [ref for ref in by_page if ref in self._page_position and self._page_position[ref][0] == path]
                missing = yield from self._scan(path, member, here + missing)
            self._single_until.update((ref, now + SINGLE_POLL_FOR) for ref in missing if ref in self._subscriptions)
        return self._take_due(due, now)

    def due_now(self) -> list[RunRef]:
        """The runs that are due, to be polled with `poll` while the pages of a round hang."""
        return self._take_due(self._due, self._clock())

    def poll(self, ref: RunRef) -> Flow[bool]:
        """Poll one run. Returns whether FLORA showed it."""
        try:
            run = yield from send_call(ref.poll_call(), replace(self._context, policy=ONE_TRY))
        except FloraError as failure:
            self._on_error(ref, failure)
            return False
        self._on_run(ref, run)
        return True

    def poll_given_up(self, ref: RunRef, reason: str) -> None:
        """Take a poll for timed out, for other runs would have to wait for its answer."""
        self._on_error(ref, FloraTimeoutError(reason))

    def poll_crashed(self, ref: RunRef, error: Exception) -> None:
        """Take a poll that raised an unexpected error for failed; other runs go on."""
        log.error("Polling FLORA run %s raised an unexpected error; other runs go on", ref.run_id, exc_info=error)
        self._on_error(ref, FloraError(f"polling it raised an unexpected {type(error).__name__}"))

    def pages_crashed(self, error: Exception) -> None:
        """Poll singly for a while, for reading pages raised an unexpected error."""
        log.error("Reading FLORA's histories raised an unexpected error; runs are polled singly", exc_info=error)
        self._turn_pages_off()

    def _take_due(self, refs: Collection[RunRef], now: float) -> list[RunRef]:
        due = sorted((ref for ref in refs if self._due.get(ref, inf) <= now), key=self._due.__getitem__)
        for ref in due[:MAX_SINGLE_POLLS]:
            self._unschedule(ref)
        return due[:MAX_SINGLE_POLLS]

    def _scan(self, path: str, member: str, wanted: Collection[RunRef]) -> Flow[list[RunRef]]:
        """Read a history until it has shown all wanted runs, if that takes fewer pages than it spares polls.

        Returns:
            The runs that it does not show; none when pages were not tried, or failed.
        """
        # A run that was not found yet is taken to be among the newest, as many as are waited for.
        unknown = ("", ceil(len(self._subscriptions) / calls.PAGE_SIZE) - 1)
        pages = max((self._page_position.get(ref, unknown)[1] + 1 for ref in wanted), default=0)
        missing = dict.fromkeys(wanted)  # not a set: its order, which hashes decide, would decide who is polled first
        here = [ref for ref, (where, number) in self._page_position.items() if where == path and number < pages]
        soon = self._clock() + SPARED_WITHIN
        spared = sum(self._page_due.get(ref, inf) <= soon for ref in here if ref not in missing)
        if len(wanted) + spared <= pages:
            return []
        served = max(len(wanted), len(here))
        walk = CursorWalk(calls.request("GET", path, query={"limit": str(calls.PAGE_SIZE)}))
        number = vain = 0  # pages read; pages in a row that showed no more runs that are waited for
        known: set[str] = set()  # the runs that are waited for on the pages read
        while walk.call:
            try:
                page = yield from send_call(walk.call, replace(self._context, policy=PAGE_TRIES))
                rows, cursor = rows_and_cursor(page, member)
            except FloraError as failure:
                yield from self._on_page_error(failure, missing)
                return []
            self.pages_read += 1
            before = len(known)
            self._share = max(pages, number + 1) / served
            yield from self._read_rows(rows, (path, number), missing, known)
            # Others may push our runs to deeper pages; reading on pays as long as single polls would cost more.
            number += 1
            vain = vain + 1 if len(known) == before else 0
            is_vain = number >= pages and vain > 1 + len(missing) // 4
            walk.advance(cursor if missing and rows and not is_vain else None)
        self._pages_failed = 0
        for ref in missing:
            self._page_position.pop(ref, None)
        self._page_due.update((ref, self._due[ref]) for ref in missing if ref in self._due)
        return list(missing)

    def _read_rows(
        self, rows: list[Any], position: tuple[str, int], missing: dict[RunRef, None], known: set[str]
    ) -> Flow[None]:
        soon = self._clock() + SKIP_IF_DUE_AFTER
        for row in rows:
            run_id = row.get("run_id") if isinstance(row, Mapping) else None
            refs = list(self._refs.get(run_id, ())) if isinstance(run_id, str) else []
            if not refs:
                continue
            known.add(str(run_id))
            is_terminal = RunStatus.is_terminal(str(row.get("status")))
            is_early = not is_terminal and all(self._page_due.get(ref, 0.0) > soon for ref in refs)
            run = None if is_early else run_of_row(row)
            if run is None and not is_early:
                continue  # it is polled singly
            for ref in refs:
                self._page_position[ref] = position
                missing.pop(ref, None)
                if run is not None:
                    self._on_run(ref, run, self._share)
            if len(known) % YIELD_EVERY_ROWS == 0:
                yield Sleep(0)

    def _on_page_error(self, failure: FloraError, missing: Collection[RunRef]) -> Flow[None]:
        """Poll one run to see whether only listing fails."""
        now = self._clock()
        missing = [ref for ref in missing if self._page_due.get(ref, inf) <= now]  # others were polled meanwhile
        oldest = min(missing, key=self._due.__getitem__, default=None)
        if not isinstance(failure, FloraRateLimitError):
            about_key = isinstance(failure, FloraAuthenticationError)
            about_pages = oldest is None or not (about_key or is_transient(failure, not_found_for=inf))
            if oldest is not None and not about_pages:
                missing.remove(oldest)
                self._unschedule(oldest)
                about_pages = yield from self.poll(oldest)
            if about_pages:
                self._turn_pages_off()
                return
        # Polling the others would fail in the same way.
        for number, ref in enumerate(missing, 1):
            self._on_error(ref, failure)
            if number % YIELD_EVERY_ROWS == 0:
                yield Sleep(0)

    def _turn_pages_off(self) -> None:
        first, most = PAGES_OFF_FOR
        self._pages_off_until = self._clock() + min(first * 2.0 ** min(self._pages_failed, 10), most)
        self._pages_failed += 1

    def _schedule(self, ref: RunRef) -> None:
        pollers = [subscription.poller for subscription in self._subscriptions[ref]]
        self._due[ref] = self._page_due[ref] = min(poller.due for poller in pollers)
        if ref in self._page_position:
            self._page_due[ref] = min(poller.page_due for poller in pollers)

    def _unschedule(self, ref: RunRef) -> None:
        del self._due[ref], self._page_due[ref]

    def _on_run(self, ref: RunRef, run: Run, share: float = 1.0) -> None:
        now, random = self._clock(), self._random()
        self._notify(ref, lambda poller: poller.on_run(run, now=now, random=random, share=share))

    def _on_error(self, ref: RunRef, failure: FloraError) -> None:
        now, random = self._clock(), self._random()
        if isinstance(failure, FloraRateLimitError):
            self._not_before = max(self._not_before, now + (failure.retry_after or 0.0))
        self._notify(ref, lambda poller: poller.on_error(failure, now=now, random=random))

    def _notify(self, ref: RunRef, update: Callable[[RunPoller], RunEvent | None]) -> None:
        for subscription in list(self._subscriptions.get(ref, ())):
            try:
                event = subscription.context.run(update, subscription.poller)
            except Exception as error:  # whatever it is, it is about this wait and ends no other
                log.exception("A wait for FLORA run %s raised an unexpected error; others go on", ref.run_id)
                event = RunEvent.refused(ref, FloraError(f"the wait raised {type(error).__name__}"))
            if event is not None:
                self.discard(subscription)
                subscription.on_end(event)
            elif subscription.poller.is_refused:
                subscription.on_refused()
        if ref in self._subscriptions:
            self._schedule(ref)
