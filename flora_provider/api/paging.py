"""Walking through a list, page after page. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Generic, TypeVar

from flora_provider.api.answers import Answer
from flora_provider.api.calls.call import Call
from flora_provider.api.models import Page

M = TypeVar("M", bound=Answer)

# What names an item of each list. Cursors are offsets over a newest-first list, so a row can show up twice while new
# ones arrive.
_IDENTITY = ("run_id", "asset_id", "node_id", "technique_id", "project_id", "model_id")


class PageWalk(Generic[M]):
    """Which page to ask for next, and which of its items are new.

    The walk ends at a page without a cursor, at an empty page (FLORA's SDK ends there too), at a cursor that was
    followed before, or after `max_items`.

    Attributes:
        call: the next page to ask for; None at the end.
    """

    def __init__(self, first: Call[Page[M]], *, max_items: int | None = None) -> None:
        self.call: Call[Page[M]] | None = first if max_items is None or max_items > 0 else None
        self._left = max_items
        self._seen: set[tuple[str, str]] = set()
        self._cursors: set[str] = set()

    def take(self, page: Page[M]) -> Iterator[M]:
        """The items of the page that were not seen before; afterwards `call` is the page after it."""
        cursor = page.next_cursor
        current, self.call = self.call, None
        for item in page.items:
            if self._left == 0:
                return
            if self._is_new(item):
                self._left = None if self._left is None else self._left - 1
                yield item
        if current and cursor and page.items and cursor not in self._cursors and self._left != 0:
            self._cursors.add(cursor)
            query = tuple(pair for pair in current.query if pair[0] != "cursor")
            self.call = replace(current, query=(*query, ("cursor", cursor)))

    def _is_new(self, item: M) -> bool:
        for name in _IDENTITY:
            value = getattr(item, name, None)
            if isinstance(value, str):
                if (name, value) in self._seen:
                    return False
                self._seen.add((name, value))
                return True
        return True
