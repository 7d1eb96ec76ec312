"""Walking through a list, page after page. Pure."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Generic, TypeVar

from flora_provider.api import validation
from flora_provider.api.calls.base import Call, call_problems
from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import FloraModel, Page

M = TypeVar("M", bound=FloraModel)
log = logging.getLogger(__name__)

# Cursors are offsets over a newest-first list, so rows show up twice while new ones arrive; even a page of nothing else
# may. As many in a row are a server that goes round in circles.
MAX_STALE_PAGES = 5


class CursorWalk:
    """Which page of a list to ask for next.

    Args:
        first: asks for the first page.

    Attributes:
        call: the next page to ask for; None at the end.
    """

    def __init__(self, first: Call[Any]) -> None:
        self.call: Call[Any] | None = first
        self._cursors = {value for name, value in first.query if name == "cursor"}
        self._stale_pages = 0

    def advance(self, cursor: str | None, *, is_stale: bool = False) -> None:
        """Go on to the next page; there is none without a cursor, nor at one that was followed before.

        Args:
            cursor: of the next page, as the current one gives it.
            is_stale: whether the current page had nothing new; after five in a row the walk ends.
        """
        current, self.call = self.call, None
        self._stale_pages = self._stale_pages + 1 if is_stale else 0
        if current is None or not cursor:
            return
        if cursor in self._cursors or self._stale_pages >= MAX_STALE_PAGES:
            log.warning("GET %s: FLORA repeats its pages. The walk ends here, and may have missed items", current.url)
            return
        self._cursors.add(cursor)
        query = tuple(pair for pair in current.query if pair[0] != "cursor")
        self.call = replace(current, query=(*query, ("cursor", cursor)))


class PageWalk(CursorWalk, Generic[M]):
    """The same, and which items of a page are new.

    The walk ends at a page without a cursor, at an empty page (FLORA's SDK ends there too), at a cursor that was
    followed before, or after five pages with nothing new (each logged: items may be missing), or after `max_items`.

    Attributes:
        call: the next page to ask for; None at the end.

    Raises:
        FloraInputError: `first` is no call, or `max_items` is not a whole number, 0 or more.
    """

    def __init__(self, first: Call[Page[M]], *, max_items: int | None = None) -> None:
        validation.raise_problems(
            call_problems(first)
            + validation.problems([("max_items", max_items, validation.optional(validation.non_negative_int))])
        )
        super().__init__(first)
        if max_items == 0:
            self.call = None
        self._left = max_items
        self._seen: set[str] = set()

    def take(self, page: Page[M]) -> Iterator[M]:
        """The items of the page that were not seen before; afterwards `call` is the page after it.

        Raises:
            FloraInputError: the call's answer is no page.
        """
        if not isinstance(page, Page):
            asked = self.call.url if self.call else "this"
            raise FloraInputError(f"{asked} does not come in pages: use send, whose answer is all of it")
        new = [item for item in page.items if self._is_new(item)][: self._left]
        if self._left is not None:
            self._left -= len(new)
        is_last = not page.items or self._left == 0
        self.advance(None if is_last else page.next_cursor, is_stale=not new)
        return iter(new)

    def _is_new(self, item: M) -> bool:
        name = getattr(item, item.IDENTITY, None)
        if name in self._seen:
            return False
        if name is not None:
            self._seen.add(name)
        return True
