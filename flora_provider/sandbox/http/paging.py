"""Cursor pages over newest-first lists (contract, section 5)."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator

from flora_provider.sandbox.http.responses import ApiResponse, invalid
from flora_provider.sandbox.http.validation import Query, Text

T = TypeVar("T")

DEFAULT_LIMIT = 20
"""Rows per page when a request names no `limit`. FLORA publishes no number; 20 is its MCP wrapper's."""
_PAGE_SIZES = {str(number): number for number in range(1, 101)}


def _page_size(value: str) -> int:
    if value not in _PAGE_SIZES:
        raise ValueError(f"Expected an integer from 1 to 100; got {value!r}.")
    return _PAGE_SIZES[value]


class PageQuery(Query):
    """The query of a list with pages."""

    limit: Annotated[int, BeforeValidator(_page_size)] = DEFAULT_LIMIT
    cursor: Text = ""


def cursor_of(offset: int) -> str:
    """Return the opaque cursor of an offset: unpadded base64url of `{"offset":20}`, as in FLORA's example."""
    return base64.urlsafe_b64encode(f'{{"offset":{offset}}}'.encode()).rstrip(b"=").decode()


def offset_of(cursor: str) -> int:
    """Return the offset behind a cursor, or refuse with a 400 what is no cursor of ours."""
    try:
        offset = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))["offset"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        offset = None
    if not isinstance(offset, int) or not 0 <= offset < sys.maxsize // 2:
        raise invalid(("cursor", "Not a cursor of this list."))
    return offset


class NewestFirst(Sequence[T]):
    """A view of rows that were appended as they came; a copy of 100,000 takes longer than a page of them."""

    def __init__(self, rows: Sequence[T]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        """Return the row at `index`, 0 being the newest."""
        return self._rows[-1 - index]


def page(
    name: str,
    items: Sequence[T],
    query: PageQuery,
    render: Callable[[T], dict[str, Any]],
    keep: Callable[[T], bool] = lambda _: True,
) -> ApiResponse:
    """Answer one page of the rows to `keep` under `name`; no more of `items` (newest first) is looked at than it needs.

    A cursor is an offset into a list that grows at its front, as FLORA's seem to be: a row can appear on two pages
    when new ones arrive between the requests.
    """
    start = offset_of(query.cursor) if query.cursor else 0
    offsets = (offset for offset in range(start, len(items)) if keep(items[offset]))
    found = list(itertools.islice(offsets, query.limit))
    following = next(offsets, None)
    meta = {"next_cursor": None if following is None else cursor_of(following)}
    return ApiResponse({name: [render(items[offset]) for offset in found], "meta": meta})
