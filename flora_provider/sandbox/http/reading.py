"""Dataclasses from JSON: the members a dataclass declares, with values of the types it declares."""

from __future__ import annotations

import functools
import types
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from flora_provider.sandbox.http.responses import invalid

T = TypeVar("T")


def read(cls: type[T], data: Any, where: str = "") -> T:
    """Build a dataclass from a JSON object.

    Args:
        cls: A dataclass whose members all have defaults.
        data: What came in.
        where: Prefix of the field names in complaints, e.g. `behavior.`.

    Raises:
        ApiError: 400, naming every member that is unknown or of the wrong type.
    """
    if not isinstance(data, dict):
        raise invalid((where.rstrip(".") or "body", "Expected an object."))
    if problems := find_problems(cls, data, where):
        raise invalid(*problems)
    return cls(**data)


def find_problems(cls: type, data: dict[str, Any], where: str = "") -> list[tuple[str, str]]:
    """Return what is wrong with the members of `data`, as `(field, message)`."""
    hints = _hints(cls)
    problems = []
    for name, value in data.items():
        if name not in hints:
            problems.append((f"{where}{name}", f"Unrecognized member; expected one of {', '.join(hints)}."))
        elif not _fits(value, hints[name]):
            problems.append((f"{where}{name}", f"Got {value!r}."))
    return problems


@functools.cache  # resolving annotations takes longer than all the rest of starting a run
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, arguments[1]) for item in value.values())
    if origin is tuple:
        return isinstance(value, list | tuple) and all(_fits(item, arguments[0]) for item in value)
    if hint is Any or isinstance(value, bool):  # Python takes a bool for an int; JSON does not
        return hint in (Any, bool)
    return isinstance(value, int | float if hint is float else hint)
