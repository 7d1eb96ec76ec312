"""Cursor pages over newest-first lists (contract, section 5)."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import sys
from collections.abc import Callable, Iterable
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


def page(name: str, items: Iterable[T], query: PageQuery, render: Callable[[T], dict[str, Any]]) -> ApiResponse:
    """Answer one page of rows under `name`; no more of `items` (newest first) is consumed than it needs.

    A cursor is an offset into a list that grows at its front, as FLORA's seem to be: a row can appear on two pages
    when new ones arrive between the requests.
    """
    start, limit = offset_of(query.cursor) if query.cursor else 0, query.limit
    rows = list(itertools.islice(items, start, start + limit + 1))
    meta = {"next_cursor": cursor_of(start + limit) if len(rows) > limit else None}
    return ApiResponse({name: [render(item) for item in rows[:limit]], "meta": meta})
