"""A value that an object makes at its first use. Standard library only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 - a decorator, as functools.cached_property
    """`functools.cached_property` without a lock, for Python 3.11's is one for all objects.

    A process that is forked while a thread holds it, as while Airflow is asked for a connection, waits for it for ever.
    Of two threads that come first at once, both make a value, and both get that of one of them.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        """Keep the value under the attribute's own name, where it is found without this."""
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        """The value, made now."""
        value: T = instance.__dict__.setdefault(self._name, self._make(instance))
        return value
