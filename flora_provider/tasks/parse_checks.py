"""Checks at parse time of the literals of a task: values that Airflow does not replace when the task runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any, TypeAlias

from airflow.providers.common.compat.sdk import XComArg

from flora_provider.api import validation
from flora_provider.api.errors import FloraInputError
from flora_provider.api.text import is_rendered_none, short_repr
from flora_provider.api.validation import Check

# The base of everything that Airflow resolves when a task runs: XComArg, a DAG function's argument, an argument of a
# mapped task group, literal(…). Its module differs by version.
Placeholder: type = next(base for base in XComArg.__mro__ if base.__name__ == "ResolveMixin")

# What a templated parameter takes: the value itself, Jinja, or a placeholder such as another task's result.
Text: TypeAlias = str | XComArg
Dict: TypeAlias = Mapping[str, Any] | XComArg

# A folder: a path of the worker, an ObjectStoragePath, or the text of either.
Folder: TypeAlias = str | PathLike[str] | XComArg

JINJA_MARKS = ("{{", "{%", "{#")


def is_literal(value: object) -> bool:
    """Whether the value is final: no placeholder, no Jinja, no function that makes it.

    What stands inside a dict or a list does not matter.
    """
    if isinstance(value, str):
        return not any(mark in value for mark in JINJA_MARKS)
    return not isinstance(value, Placeholder) and not callable(value)


def storage_path(name: str, value: object) -> str | None:
    """A path of this machine or of an object store; a check as in `api.validation`."""
    if problem := validation.no_missing_slash(name, value):
        return problem
    if is_path(value) or (
        isinstance(value, str) and value.strip() and "\0" not in value and not is_rendered_none(value)
    ):
        return None
    return f"{name} is {short_repr(value)}: give a path, or an address such as s3://bucket/folder"


def is_several(value: object) -> bool:
    """Whether this is a list, also the lazy one of a mapped task's results."""
    is_one = isinstance(value, str | bytes | Mapping) or is_path(value)
    return isinstance(value, Iterable) and not is_one


def is_path(value: object) -> bool:
    """Whether this is a path; Airflow's own is no PathLike, and too slow to import at parse time."""
    return isinstance(value, PathLike) or "ObjectStoragePath" in {base.__name__ for base in type(value).__mro__}


def as_list(value: Any) -> list[Any]:
    """The members of a list, or the one value."""
    return list(value) if is_several(value) else [value]


def literal_problems(
    arguments: Mapping[str, Any], rules: Mapping[str, Check], *, templated: frozenset[str]
) -> list[str]:
    """The problems of literal values; None counts as absent.

    Args:
        arguments: values by the name of their parameter.
        rules: what each must be; a parameter without a rule may be anything.
        templated: the parameters that Airflow renders. The others take neither Jinja nor placeholders: their text would
            be used as it stands, and every text counts as true.
    """
    found = []
    for name, rule in rules.items():
        value = arguments.get(name)
        if value is None or (name in templated and not is_literal(value)):
            continue
        if hasattr(value, "task_id") and hasattr(value, "output"):
            found.append(f"{name} is the task {value.task_id!r} itself: give its .output")
        elif problem := rule(name, value):
            unrendered = (
                "" if is_literal(value) else "; it is no template field, so it takes no template or placeholder"
            )
            found.append(problem + unrendered)
    return found


def refuse_at_parse(found: list[str], task_id: str) -> None:
    """Raise all problems of a task at once.

    Raises:
        FloraInputError: there is at least one; Airflow shows it as the DAG's import error.
    """
    if found:
        raise FloraInputError([f"task {task_id!r}: {problem}" for problem in found])


def unawaited(task: Any) -> list[str]:
    """What an operator's author wants of a finished run that the operator does not wait for."""
    found = []
    if not task.wait_for_completion:
        found += [
            f"{name} needs wait_for_completion=True, for there is nothing to save before the run has ended"
            for name in ("save_outputs_to", "reuse_from")
            if getattr(task, name) is not None
        ]
        if task.on_moderated == "new_seed":
            found.append("on_moderated needs wait_for_completion=True, for a run is refused when it ends")
    if task.reuse_max_age is not None and task.reuse_from is None:
        found.append("reuse_max_age needs reuse_from: name the folder of the build cache, or leave it out")
    return found
