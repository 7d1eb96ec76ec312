"""What a value of a parameter may be, by what the catalog says of it.

A catalog that contradicts itself rules nothing out: a good request is never refused for a broken row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeGuard

from flora_provider.api.text import is_rendered_none
from flora_provider.catalog.messages import NATIVE_HINT, label, nearest, plain_number, safe_repr
from flora_provider.catalog.values import is_list

TypeCheck: TypeAlias = Callable[[str, object], str | None]
_LONG = 10**18  # a number that messages do not spell out


def fewest(found: Iterable[list[str]]) -> list[str]:
    """The shortest list of problems: where the catalog has several rows for one thing, one that allows it suffices."""
    return min(found, key=len)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether this is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def bound(value: object) -> float | None:
    """A bound as a float; None where the catalog has none, or one beyond all floats."""
    try:
        return float(value) if is_number(value) else None
    except OverflowError:
        return None


def a_string(name: str, value: object) -> str | None:
    """Check for a text."""
    if not isinstance(value, str):
        spelled = is_number(value) and abs(value) < _LONG
        hint = f": give the text '{value}'" if spelled else ": give a text"
        return f"{name} is {safe_repr(value)}{hint}"
    return f"{name} is {safe_repr(value)}: see that it exists, or leave it out" if is_rendered_none(value) else None


def strings(name: str, value: object) -> str | None:
    """Check for a list of texts."""
    if not is_list(value):
        return f"{name} is {safe_repr(value)}: give a list of texts{_hint(value)}"
    return next((problem for n, it in enumerate(value) if (problem := a_string(f"{name}[{n}]", it))), None)


def a_boolean(name: str, value: object) -> str | None:
    """Check for True or False."""
    return None if isinstance(value, bool) else f"{name} is {safe_repr(value)}: give True or False{_hint(value)}"


def an_integer(name: str, value: object) -> str | None:
    """Check for a whole number."""
    good = isinstance(value, int) and not isinstance(value, bool)
    return None if good else f"{name} is {safe_repr(value)}: give a whole number{_hint(value)}"


def a_number(name: str, value: object) -> str | None:
    """Check for a finite number."""
    return None if is_number(value) else f"{name} is {safe_repr(value)}: give a finite number{_hint(value)}"


def a_mapping(name: str, value: object) -> str | None:
    """Check for a dict with string keys."""
    good = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    return None if good else f"{name} is {safe_repr(value)}: give a dict with string keys{_hint(value)}"


def anything(_name: str, _value: object) -> None:
    """Check nothing, for the catalog names a type that is unknown here."""


def or_none(check: TypeCheck) -> TypeCheck:
    """The same check; None is good."""
    return lambda name, value: None if value is None else check(name, value)


def _hint(value: object) -> str:
    return f"; {NATIVE_HINT}" if isinstance(value, str) else ""


def range_problem(name: str, value: object, low: object, high: object) -> str | None:
    """What is wrong with a number outside of `low`..`high`; what is no number, or no range, is not checked."""
    least, most = bound(low), bound(high)
    if not is_number(value) or (least is not None and most is not None and least > most):
        return None
    try:
        number = float(value)  # as the bounds, which the catalog's models hold as floats
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if (least is None or number >= least) and (most is None or number <= most):
        return None
    if least is None or most is None:
        remedy = f"{plain_number(least)} or more" if least is not None else f"{plain_number(most or 0)} or less"
    else:
        remedy = f"{plain_number(least)} to {plain_number(most)}"
    return f"{name} is {safe_repr(value)}: give {remedy}"


def option_problem(name: str, value: object, options: Iterable[object], *, strict: bool = False) -> str | None:
    """What is wrong with a value that is none of the options `{label, value}`.

    Args:
        name: of the parameter.
        value: compared by its text (`true` and `false` for booleans), for FLORA's options are texts.
        options: of the catalog. One without a value makes them unreliable, and nothing is refused.
        strict: whether the type counts, too.
    """
    rows = list(options)
    values = [row.get("value") if isinstance(row, Mapping) else row for row in rows]
    if not values or any(not isinstance(it, str | int | float) for it in values):
        return None
    if strict and any(type(it) is type(value) and it == value for it in values):
        return None
    as_text = _option_text(value)
    texts = list(map(_option_text, values))
    if not strict and (as_text in texts or _same_number(value, values)):
        return None
    by_text = next((it for it in values if _option_text(it) == as_text), None)
    if strict and by_text is not None:
        return f"{name} is {safe_repr(value)}: give {by_text!r}{_hint(value)}"
    labeled = (row["value"] for row in rows if isinstance(row, Mapping) and row.get("label") == value)
    if isinstance(value, str) and (meant := next(labeled, None)) is not None:
        return f"{name} is {safe_repr(value)}: give {meant!r}, whose label this is"
    remedy = nearest(as_text, texts) if isinstance(value, str) else nearest("", texts)
    return f"{name} is {safe_repr(value)}, which is none of its options: {remedy}"


def _option_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    spelled = isinstance(value, str) or (is_number(value) and abs(value) < _LONG)
    return str(value) if spelled else safe_repr(value)


def _same_number(value: object, options: Iterable[object]) -> bool:
    """Whether a number is an option in another spelling: 2 and `2.0`."""
    if not is_number(value):
        return False
    for option in options:
        try:
            if float(str(option)) == value:
                return True
        except ValueError:
            continue
    return False


def member_problems(name: str, value: Mapping[str, Any], properties: Mapping[str, Any]) -> list[str]:
    """What is wrong with the members of a dict, where the catalog says which there are."""
    found = []
    for key, member in value.items():
        rule = properties.get(key)
        if properties and key not in properties:
            found.append(f"{label(name, key)} is unknown: {nearest(key, properties)}")
        elif isinstance(rule, Mapping):
            low, high = rule.get("min"), rule.get("max")
            is_numeric = any(map(is_number, (low, high, rule.get("default"))))
            problem = a_number(label(name, key), member) if is_numeric else None
            found.append(problem or range_problem(label(name, key), member, low, high) or "")
    return [problem for problem in found if problem]
