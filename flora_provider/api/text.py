"""Text from outside, made fit for wherever it may go. Standard library only."""

from __future__ import annotations

import re
from typing import Any

# Half a surrogate pair has no UTF-8, so no socket, file or XCom takes it; PostgreSQL's text and JSONB refuse U+0000.
_NOT_STORABLE = re.compile(r"[\x00\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
MAX_TEXT = 2000  # characters of a message that is not ours; longer ones are not read
MAX_MESSAGE = 10_000  # characters of one of ours, which may list many things
_CUT = "… (cut)"


def storable(value: Any) -> Any:
    """The same JSON value with every character replaced that UTF-8, XCom or PostgreSQL cannot hold.

    Args:
        value: parsed JSON: text, numbers, lists and dicts (keys are made storable too); anything else is kept as it is.
    """
    if isinstance(value, str):
        return _NOT_STORABLE.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {storable(name): storable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value


def bounded(text: str, longest: int = MAX_TEXT) -> str:
    """The text if it is no longer, else what it begins with, and a mark that more followed.

    An address in which it was cut is left out: whether its first part is a password, only its rest would tell.
    """
    if len(text) <= longest:
        return text
    begin = text[: longest - len(_CUT)]
    before, mark, address = begin.rpartition("://")
    whole = not mark or any(map(str.isspace, address))
    return (begin if whole else before + mark) + _CUT


def short_repr(value: object, longest: int = 80) -> str:
    """A value as a message shows it, cut to so many characters: by default what a line of a log has room for."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - an integer of 5,000 digits has none, and an object of a user's may do anything
        return f"a value of type {type(value).__name__}"
    if is_rendered_none(value):
        return f"{text} (what a template of a missing value renders to)"
    return text if len(text) <= longest else f"{text[: longest - 3]}…"


def is_rendered_none(value: object) -> bool:
    """Whether Jinja wrote this for an XCom, variable or param that is missing: FLORA would bill a picture of it."""
    return isinstance(value, str) and value.strip() == "None"


def one_line(value: object, longest: int) -> str:
    """A text on one line, without what would confuse a log; empty if it is none."""
    text = value[:longest] if isinstance(value, str) else ""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
