"""Reading JSON as strictly as a server should."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 100
"""Most levels of arrays and objects in a body; FLORA publishes no number."""


def read_json(content: bytes) -> Any:
    """Return the value of a JSON text; raises ValueError, or RecursionError if it is nested without end."""
    value = json.loads(content, parse_constant=_finite, parse_float=_finite)
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    """Refuse what is nested too deeply, before something walks through it and fails."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        groups = [item.values() if isinstance(item, dict) else item for item in level]
        level = [item for group in groups for item in group if isinstance(item, dict | list)]
        if not level:
            return
    raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


def _finite(text: str) -> float:
    """Read a number as JSON knows it: neither NaN nor one beyond all floats, which no answer could repeat."""
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no number of JSON")
    return number
