"""What of a task can be checked when its DAG is parsed: values that are neither templates nor other tasks' results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from airflow.providers.common.compat.sdk import XComArg

from flora_provider.api.checks import Check, problems
from flora_provider.api.errors import FloraInputError

# What a templated parameter takes: the value itself, Jinja, or another task's result.
Text: TypeAlias = str | XComArg
Dict: TypeAlias = Mapping[str, Any] | XComArg


def is_literal(value: object) -> bool:
    """Whether the value is final: no XComArg, no Jinja."""
    if isinstance(value, str):
        return not any(mark in value for mark in ("{{", "{%", "{#"))
    return not isinstance(value, XComArg)


def check_literals(fields: Iterable[tuple[str, object, Check]], *, task_id: str) -> None:
    """Refuse at parse time what cannot be right when the task runs. None counts as not given.

    Raises:
        FloraInputError: with all that was found; Airflow shows it as the DAG's import error.
    """
    literal = ((name, value, check) for name, value, check in fields if value is not None and is_literal(value))
    if found := problems(literal):
        raise FloraInputError([f"task {task_id!r}: {problem}" for problem in found])
