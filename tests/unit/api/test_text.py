"""Text that Airflow's wire, its XComs or its database cannot hold is replaced, and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.text import bounded, storable
from tests.support.strategies import texts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | texts() | st.sampled_from(["\ud83d", "\x00", "a\udc00b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def test_storable_replaces_half_a_surrogate_pair_and_nul():
    assert storable({"a\x00": ["\ud83d!", 1, None]}) == {"a\ufffd": ["\ufffd!", 1, None]}


@given(JSON)
def test_storable_text_has_utf8_and_no_nul(value):
    text = json.dumps(storable(value), ensure_ascii=False)
    assert "\\u0000" not in text
    assert json.loads(text.encode()) == storable(value)


@given(texts())
def test_storable_keeps_every_other_text(text):
    assert storable(text) == text.replace("\x00", "\ufffd")


@given(texts(), st.integers(10, 30))
def test_bounded_text_is_whole_or_says_that_it_was_cut(text, longest):
    shown = bounded(text, longest)
    assert shown == text or (len(shown) == longest and shown.endswith("… (cut)"))
    assert bounded(shown, longest) == shown


@pytest.mark.parametrize("length", range(20, 60))
def test_bounded_text_shows_no_part_of_an_address_that_was_cut(length):
    shown = bounded(f"see https://a.b/c then https://ann:secret@s.example/a{'x' * 60}", length)
    assert len(shown) <= length
    assert "sec" not in shown
    assert shown.endswith("… (cut)")
