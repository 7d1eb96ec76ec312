"""Walking through a list, page after page. Pure."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Generic, TypeVar

from flora_provider.api import checks
from flora_provider.api.answers import Answer
from flora_provider.api.calls.call import Call, call_problems
from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import Page

M = TypeVar("M", bound=Answer)
log = logging.getLogger(__name__)

# Cursors are offsets over a newest-first list, so rows show up twice while new ones arrive; even a page of nothing else
# may. As many in a row are a server that goes round in circles.
MAX_STALE_PAGES = 5


class PageWalk(Generic[M]):
    """Which page to ask for next, and which of its items are new.

    The walk ends at a page without a cursor, at an empty page (FLORA's SDK ends there too), at a cursor that was
    followed before, or after five pages with nothing new (each logged: items may be missing), or after `max_items`.

    Attributes:
        call: the next page to ask for; None at the end.

    Raises:
        FloraInputError: `first` is no call, or `max_items` is not a whole number, 0 or more.
    """

    def __init__(self, first: Call[Page[M]], *, max_items: int | None = None) -> None:
        checks.refuse(call_problems(first) + checks.problems([("max_items", max_items, checks.optional(checks.count))]))
        self.call: Call[Page[M]] | None = first if max_items is None or max_items > 0 else None
        self._left = max_items
        self._seen: set[str] = set()
        self._cursors = {value for name, value in first.query if name == "cursor"}
        self._stale_pages = 0

    def take(self, page: Page[M]) -> Iterator[M]:
        """The items of the page that were not seen before; afterwards `call` is the page after it.

        Raises:
            FloraInputError: the call's answer is no page.
        """
        if not isinstance(page, Page):
            asked = self.call.path if self.call else "this"
            raise FloraInputError(f"{asked} does not come in pages: use send, whose answer is all of it")
        cursor = page.next_cursor
        current, self.call = self.call, None
        self._stale_pages += 1
        for item in page.items:
            if self._left == 0:
                return
            if self._is_new(item):
                self._left = None if self._left is None else self._left - 1
                self._stale_pages = 0
                yield item
        if not (current and cursor and page.items) or self._left == 0:
            return
        if cursor in self._cursors or self._stale_pages >= MAX_STALE_PAGES:
            log.warning("GET %s: FLORA repeats its pages. The walk ends here, and may have missed items", current.path)
            return
        self._cursors.add(cursor)
        query = tuple(pair for pair in current.query if pair[0] != "cursor")
        self.call = replace(current, query=(*query, ("cursor", cursor)))

    def _is_new(self, item: M) -> bool:
        name = getattr(item, item.IDENTITY, None)
        if name in self._seen:
            return False
        if name is not None:
            self._seen.add(name)
        return True
