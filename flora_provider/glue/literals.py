"""What of a task can be checked when its DAG is parsed: values that are neither templates nor other tasks' results."""

from __future__ import annotations

from collections.abc import Mapping
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


def check_literals(given: Mapping[str, Any], rules: Mapping[str, Check], *, task_id: str) -> None:
    """Refuse at parse time what cannot be right when the task runs. None counts as not given.

    Args:
        given: values by the name of their parameter.
        rules: what each must be; a parameter without a rule may be anything.
        task_id: for the message.

    Raises:
        FloraInputError: with all that was found; Airflow shows it as the DAG's import error.
    """
    literal = ((name, value, rule) for name, rule in rules.items() if (value := given.get(name)) is not None)
    if found := problems(field for field in literal if is_literal(field[1])):
        raise FloraInputError([f"task {task_id!r}: {problem}" for problem in found])


def check_mapped(mapped: Mapping[str, Any], rules: Mapping[str, Check], *, task_id: str) -> None:
    """The same for the values that a parameter takes over the tasks of `expand`.

    Raises:
        FloraInputError: as `check_literals`.
    """
    for name, values in mapped.items():
        if isinstance(values, list | tuple):
            for value in values:
                check_literals({name: value}, rules, task_id=task_id)
