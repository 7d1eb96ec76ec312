"""Texts and JSON that break programs, for property tests.

Hypothesis's own texts are of all Unicode, for which it first makes a table: in a fresh clone that takes longer than all
tests of `api/` and `runs/` together. This alphabet has every kind of character, and the troublesome ones more often.
"""

import string

from hypothesis import strategies as st

ALPHABET = (
    string.printable
    + "\x00\x08\x1b\x7f\x80\x85\xa0\xad"  # controls, no-break space, soft hyphen
    + "\xe4\xdf\xe9\u0130\u0131\u017f\ufb01"  # letters that change their length, or their kind, with their case
    + "\u0301\u0327\u1100\u1161\u0e33"  # what joins the character before it
    + "\xb2\xbd\u0663\u096b\u2167\uff15"  # digits and numbers that are not ASCII's
    + "\u05d0\u0627\u4e2d\u6587\uac00\u30a2"  # from right to left, and without spaces
    + "\u200b\u200d\u200e\u202e\u2028\u2029\u2060\ufeff"  # invisible, turning round, ending a line
    + "\u2018\u2019\u2013\u2026\u20ac\uff0f\uff0e\u2024"  # look like quotes, dashes, dots and slashes
    + "\ud7ff\ue000\ufdd0\ufffd\uffff"  # beside the surrogates, private, and no characters at all
    + "\U0001f600\U0001f3fd\U0001d518\U000e0001\U0010ffff"  # beyond 16 bits
)


def texts(*, min_size=0, max_size=None):
    """Any text; `min_size` and `max_size` in characters."""
    return st.text(ALPHABET, min_size=min_size, max_size=max_size)


def scalars(numbers=None):
    """The leaves of JSON values; `numbers` instead of all floats, NaN included."""
    return st.none() | st.booleans() | st.integers() | (st.floats() if numbers is None else numbers) | texts()


def json_values(leaf=None, names=None, *, max_size=3, max_leaves=8):
    """Any JSON value, of these leaves and these names of members; `max_size` in members of a list or an object."""
    names = texts() if names is None else names
    return st.recursive(
        scalars() if leaf is None else leaf,
        lambda inner: st.lists(inner, max_size=max_size) | st.dictionaries(names, inner, max_size=max_size),
        max_leaves=max_leaves,
    )
