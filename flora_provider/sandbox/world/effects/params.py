"""Parameters as a client sent them: of any kind and size, so each is read with a default and within bounds."""

from __future__ import annotations

import math
import re
from typing import Any

Color = tuple[int, int, int]

_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})([0-9a-fA-F]{1,2})?")


class Params:
    """The `params` of a run, read without ever raising: nonsense counts as the default, as FLORA has it."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def has(self, name: str) -> bool:
        """Whether the client sent a number or a text under this name."""
        value = self._values.get(name)
        return isinstance(value, int | float | str) and value != "" and not isinstance(value, bool)

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """Return a finite number within bounds; a numeric text counts, as options are texts."""
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return default
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return default
        return min(max(number, least), most) if math.isfinite(number) else default

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number within bounds."""
        return round(self.number(name, default, least, most))

    def choice(self, name: str, *choices: str) -> str:
        """Return one of the choices; the first is the default."""
        value = self._values.get(name)
        return value if isinstance(value, str) and value in choices else choices[0]

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean."""
        value = self._values.get(name)
        return value if isinstance(value, bool) else default

    def string(self, name: str, default: str, most: int = 2000) -> str:
        """Return a text, of a bounded length."""
        value = self._values.get(name)
        return value[:most] if isinstance(value, str) else default

    def color(self, name: str, default: str) -> Color:
        """Return a color written as `#rrggbb` or `#rgb`; how opaque it is, as in `#rrggbbaa`, does not count."""
        found = _HEX.fullmatch(self.string(name, "", 9)) or _HEX.fullmatch(default)
        digits = found[1] if found else "000000"
        digits = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)  # noqa: PLR2004 - rrggbb
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)

    def point(self, name: str, x: float, y: float) -> tuple[float, float]:
        """Return `{x, y}`, each a share of the picture from 0 to 1."""
        value = self._values.get(name)
        inner = Params(value if isinstance(value, dict) else {})
        return inner.number("x", x, 0.0, 1.0), inner.number("y", y, 0.0, 1.0)
