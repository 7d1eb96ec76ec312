"""Walks through random lists, whatever the server does with its pages and cursors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api import calls
from flora_provider.api.calls.pagination import MAX_STALE_PAGES, PageWalk
from flora_provider.api.errors import FloraInputError
from tests.unit.api.lists import LISTS, identity_of, row


def walk_through(pages, *, name="generations", max_items=None, limit=1000):
    """The names that a walk yields; `pages` goes from cursor to (names, next cursor), None being the first."""
    walk = PageWalk(LISTS[name][0], max_items=max_items)
    seen, asked = [], []
    while walk.call is not None:
        cursor = dict(walk.call.query).get("cursor")
        asked.append(cursor)
        assert len(asked) < limit, "the walk does not end"
        names, following = pages(cursor)
        data = {name: [row(name, each) for each in names], "meta": {"next_cursor": following}}
        seen += [identity_of(name, item) for item in walk.take(walk.call.read(data))]
    return seen, asked


identities = st.integers(0, 30).map("id_{}".format)
books = st.dictionaries(
    st.none() | st.sampled_from("abcdef"),
    st.tuples(st.lists(identities, max_size=6), st.none() | st.just("") | st.sampled_from("abcdefg")),
)


@given(books, st.none() | st.integers(0, 20))
def test_walk_of_any_graph_of_pages_ends_with_each_item_once(book, max_items):
    seen, asked = walk_through(lambda cursor: book.get(cursor, ([], None)), max_items=max_items, limit=20)
    assert len(seen) == len(set(seen))
    assert len(asked) == len(set(asked))
    assert max_items is None or len(seen) <= max_items
    visited = dict.fromkeys(name for cursor in asked for name in book.get(cursor, ([], None))[0])
    assert seen == list(visited)[:max_items]


@given(st.lists(identities, unique=True, max_size=60), st.integers(1, 7), st.sampled_from(sorted(LISTS)))
def test_walk_yields_all_items_in_order(rows, size, name):
    def page(cursor):
        start = int(cursor or 0)
        return rows[start : start + size], str(start + size) if start + size < len(rows) else None

    assert walk_through(page, name=name)[0] == rows


@given(st.lists(st.integers(0, 2), max_size=30), st.integers(3, 7))  # fewer than a page between two pages
def test_rows_that_arrive_while_walking_cost_no_old_row(arrivals, size):
    rows, arrivals = [f"old_{n}" for n in range(20)], list(arrivals)

    def page(cursor):
        start = int(cursor or 0)
        found = rows[start : start + size]
        rows[:0] = [f"new_{len(rows)}_{n}" for n in range(arrivals.pop() if arrivals else 0)]
        return found, str(start + size)

    seen, _ = walk_through(page)
    assert len(seen) == len(set(seen))
    assert [name for name in seen if name.startswith("old")] == [f"old_{n}" for n in range(20)]


def test_walk_ends_if_the_server_repeats_its_pages(caplog):
    ever_new = (str(number) for number in range(10_000))
    seen, asked = walk_through(lambda _cursor: (["id_1", "id_2"], next(ever_new)))
    assert seen == ["id_1", "id_2"]
    assert len(asked) == 1 + MAX_STALE_PAGES
    assert caplog.messages == [INCOMPLETE]


INCOMPLETE = "GET /generations: FLORA repeats its pages. The walk ends here, and may have missed items"


@pytest.mark.parametrize(
    ("book", "max_items", "reported"),
    [
        ({None: (["a"], "x"), "x": (["b"], "x")}, None, [INCOMPLETE]),
        ({None: (["a"], "x"), "x": (["b"], "y"), "y": (["c"], "x")}, None, [INCOMPLETE]),
        ({None: (["a"], "x"), "x": (["a", "b"], None)}, None, []),
        ({None: (["a"], "x"), "x": ([], "y")}, None, []),
        ({None: ([], "")}, None, []),
        ({None: (["a"], "x"), "x": (["b"], "x")}, 2, []),  # all that was asked for
    ],
)
def test_list_that_may_be_incomplete_is_reported(caplog, book, max_items, reported):
    walk_through(book.__getitem__, max_items=max_items)
    assert caplog.messages == reported


def test_walk_starts_at_the_cursor_of_its_call():
    walk = PageWalk(calls.list_assets(cursor="c7"))
    assert dict(walk.call.query)["cursor"] == "c7"
    assert len(list(walk.take(walk.call.read({"assets": [row("assets", "a")], "meta": {"next_cursor": "c7"}})))) == 1
    assert walk.call is None


@pytest.mark.parametrize("odd", [-1, True, "3", 1.5])
def test_invalid_max_items_is_refused(odd):
    with pytest.raises(FloraInputError, match=r"max_items is .*: give a whole number, 0 or more"):
        PageWalk(calls.list_assets(), max_items=odd)


def test_rows_without_a_name_are_all_kept():
    walk = PageWalk(calls.list_assets())
    nameless = row("assets", None)
    assert len(list(walk.take(walk.call.read({"assets": [nameless, nameless], "meta": {}})))) == 2
