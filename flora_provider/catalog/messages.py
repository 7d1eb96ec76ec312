"""What the messages of this room share: values without secrets, and the nearest of the names that there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from flora_provider.api.text import bounded, one_line, short_repr
from flora_provider.api.urls import redact_urls

NATIVE_HINT = (
    "a template renders to text: set render_template_as_native_obj=True of the DAG, "
    "or give the value itself (an XComArg)"
)
_MAX_READ = 2000  # characters of a value that are read for secrets before it is cut
_MAX_SHOWN = 100  # characters of it that a message holds
_MAX_NAME = 80  # characters of a name that are compared
_MAX_NAMES = 2000  # names that are compared
_MAX_LISTED = 12  # names that a message holds


def safe_repr(value: object) -> str:
    """A value as a message may hold it: its addresses are redacted before it is cut, so that no password is left."""
    return bounded(redact_urls(short_repr(value, _MAX_READ)), _MAX_SHOWN)


def label(prefix: str, key: str) -> str:
    """The name of a member for messages: short, on one line, without what an address is signed with."""
    return f"{prefix}.{bounded(redact_urls(one_line(key, _MAX_READ)), _MAX_NAME)}"


def nearest(name: str, names: Iterable[str], remedy: str = "use one of") -> str:
    """The remedy for an unknown name: the names like it, else all of them if they are few; empty if there are none."""
    known = list(dict.fromkeys(it for it in names if it))[:_MAX_NAMES]
    by_fold = {it[:_MAX_NAME].casefold(): it for it in reversed(known)}
    close = difflib.get_close_matches(name[:_MAX_NAME].casefold(), by_fold, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(safe_repr(by_fold[it]) for it in close)}?"
    more = ", …" if len(known) > _MAX_LISTED else ""
    return f"{remedy} {', '.join(map(str, known[:_MAX_LISTED]))}{more}" if known else ""


def plain_number(value: float) -> str:
    """A bound as one would write it: 4 rather than 4.0."""
    return str(int(value)) if float(value).is_integer() else repr(value)
