"""Reading a script of faults from a file."""

from __future__ import annotations

import re
from pathlib import Path

from flora_provider.sandbox.faults.faults import Faults, check_list
from flora_provider.sandbox.http.json_text import read_json
from flora_provider.sandbox.http.limits import MAX_JSON
from flora_provider.sandbox.http.responses import ApiError

_SHOWN_PROBLEMS = 3


def add_faults(faults: Faults, file: Path) -> None:
    """Script the faults of a JSON file; raises ValueError with one line that says what is wrong with it, and where."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_JSON + 1)  # no more: it may be a device
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > MAX_JSON:
        raise ValueError(f"is larger than {MAX_JSON} bytes")
    add_text(faults, content)


def add_text(faults: Faults, content: bytes) -> None:
    """Script the faults of a JSON text, or raise ValueError as `add_faults` does."""
    try:
        faults.add(*check_list(read_json(content)), where="faults")
    except ApiError as error:
        raise ValueError(_one_line(error)) from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from None


def _one_line(error: ApiError) -> str:
    problems = [f"{name}: {message}" for name, message in error.fields[:_SHOWN_PROBLEMS]]
    if more := len(error.fields) - len(problems):
        problems.append(f"and {more} more")
    # Names and values in it may hold any character.
    return re.sub(r"[^ -~]", lambda found: ascii(found[0])[1:-1], "; ".join(problems))
