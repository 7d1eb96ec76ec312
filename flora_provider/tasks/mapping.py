"""What can be checked of mapped tasks: the arguments of `partial`, `expand` and `expand_kwargs`."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import XComArg

from flora_provider.api.text import short_repr
from flora_provider.tasks.parse_checks import is_literal, literal_problems, refuse_at_parse

if TYPE_CHECKING:
    from flora_provider.tasks.checked_task import CheckedTask

FROM_MAPPED = "_airflow_from_mapped"
"""Airflow makes each mapped task with this argument."""

_KEY = "idempotency_key"
_OWN_KEYS = "put {{ ti.map_index }} into it, or give one to each row of expand_kwargs"


def is_mapped(task: Any) -> bool:
    """Whether a task of a DAG is mapped, or stands in a mapped group."""
    return hasattr(task, "expand_input") or next(task.iter_mapped_task_groups(), None) is not None


class MappedArguments:
    """The arguments of a task that is mapped, as far as they are known when its DAG is parsed.

    Args:
        operator: the class whose tasks are mapped.
        arguments: those of `partial`, those that `default_args` fill in among them.
        dag: the DAG, if there is one.
    """

    def __init__(self, operator: type[CheckedTask], arguments: Mapping[str, Any], dag: Any) -> None:
        self._operator, self._arguments, self._rules, self._dag = operator, arguments, operator.rules, dag
        self._templated = frozenset(operator.template_fields)

    def of_partial(self, params: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with the arguments of `partial`, and with the `params` that Airflow made of them."""
        yield from self._literals(self._arguments)
        if _KEY in self._rules:
            yield from undeclared_params(params, self._dag)
            yield from shared_key(self._arguments.get(_KEY))

    def of_expand(self, mapped: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with the lists of `expand`."""
        yield from missing_arguments(self._operator, {**self._arguments, **mapped})
        for name, values in mapped.items():
            if isinstance(values, str | bytes | int | float) or values is None:
                yield (
                    f"{name} is expanded over {short_repr(values)}: give a list, with a mapped task for each of its "
                    "values, or give it to partial()"
                )
        columns = {name: _literal_list(values) for name, values in mapped.items()}
        for name, values in columns.items():
            for value in values:
                yield from self._literals({name: value})
        yield from repeated_keys(columns.get(_KEY, ()))
        if _KEY in mapped and len(mapped) > 1:
            others = ", ".join(sorted(mapped.keys() - {_KEY}))
            yield f"{_KEY} is expanded with {others}, so each key is used more than once: use expand_kwargs"

    def of_rows(self, rows: Any) -> Iterator[str]:
        """What is wrong with the rows of `expand_kwargs`."""
        literal = [row for row in _literal_list(rows) if isinstance(row, Mapping)]
        for row in literal:
            yield from name_problems(self._operator, {**self._arguments, **row})
            yield from self._literals(row)
        yield from repeated_keys([row.get(_KEY) for row in literal])

    def _literals(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        yield from literal_problems(arguments, self._rules, templated=self._templated)
        if _KEY in self._rules and isinstance(params := arguments.get("params"), Mapping):
            yield from undeclared_params(params, self._dag)


def checked(partial: Any, arguments: MappedArguments) -> Any:
    """What Airflow's `partial` returned; the literals of `partial`, `expand` and `expand_kwargs` are checked."""
    kind: Any = type(partial)  # Airflow's OperatorPartial, which differs by version
    task_id = partial.kwargs["task_id"]

    def raise_problems(found: Iterator[str]) -> None:
        if problems := list(dict.fromkeys(found)):
            partial._expand_called = True  # noqa: SLF001 - else Airflow warns, on top, that it was never mapped
            refuse_at_parse(problems, task_id)

    class Partial(kind):  # type: ignore[misc]
        __slots__ = ()

        def expand(self, **mapped: Any) -> Any:
            raise_problems(arguments.of_expand(mapped))
            return super().expand(**mapped)

        def expand_kwargs(self, kwargs: Any, **options: Any) -> Any:
            raise_problems(arguments.of_rows(kwargs))
            return super().expand_kwargs(kwargs, **options)

    raise_problems(arguments.of_partial(partial.params))
    partial.__class__ = Partial
    return partial


def default_args_of(dag: Any, task_group: Any, own: Mapping[str, Any] | None) -> dict[str, Any]:
    """The `default_args` that hold for a task: its own before its group's before its DAG's."""
    levels = (getattr(level, "default_args", None) for level in (dag, task_group))
    return {name: value for level in (*levels, own) for name, value in (level or {}).items()}


def parameters_of(operator: type) -> frozenset[str]:
    """The names that a task of this class takes, Airflow's among them."""
    return frozenset(name for base in operator.__mro__ if "__init__" in vars(base) for name in _named(base))


def name_problems(operator: type, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Misspelt arguments, each with what was probably meant, and missing ones."""
    yield from unknown_arguments(operator, arguments)
    yield from missing_arguments(operator, arguments)


def unknown_arguments(operator: type, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Misspelt arguments, each with what was probably meant."""
    known = parameters_of(operator)
    for name in sorted(name for name in arguments.keys() - known if not name.startswith("_airflow_")):
        import difflib

        near = difflib.get_close_matches(name, sorted(known), n=2)
        meant = f"did you mean {' or '.join(near)}?" if near else "see its docstring for those that there are"
        yield f"{name} is no parameter of {operator.__name__}: {meant}"


def missing_arguments(operator: type, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Arguments that the class itself asks for; one that a subclass fills in is not missing."""
    for name, parameter in _named(operator).items():
        if parameter.default is parameter.empty and name not in arguments and name != "task_id":
            yield f"{name} is missing"


def _named(operator: type) -> dict[str, inspect.Parameter]:
    taken = inspect.signature(operator.__init__).parameters  # type: ignore[misc]  # of whatever class it is
    return {
        name: parameter
        for name, parameter in taken.items()
        if name != "self" and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def undeclared_params(params: Mapping[str, Any], dag: Any) -> Iterator[str]:
    """Airflow's `params` of a task that its DAG does not declare: their author most likely means the model's."""
    if names := sorted(map(str, params.keys() - (dag.params if dag else {}).keys())):
        yield (
            f"params holds {', '.join(names)}, which the DAG does not declare. `params` are Airflow's and are not sent "
            "to FLORA: give parameters of the model as `model_params`, and declare others in the DAG's params"
        )


def shared_key(key: Any, *, in_group: bool = False) -> Iterator[str]:
    """Refuse a key of one's own that all mapped tasks would use, so that only the first of them would start a run.

    In a mapped group, another task's result may differ from one mapped task to the next.
    """
    shared = isinstance(key, XComArg) and not in_group
    if shared or (isinstance(key, str) and (is_literal(key) or "map_index" not in key)):
        yield f"{_KEY} is {short_repr(key)} for all mapped tasks, of which only one would start a run: {_OWN_KEYS}"


def repeated_keys(keys: Sequence[Any]) -> Iterator[str]:
    """Refuse a key of one's own that several mapped tasks are given."""
    for key, times in Counter(key for key in keys if isinstance(key, str) and "map_index" not in key).items():
        if times > 1:
            yield (
                f"{_KEY} is {short_repr(key)} for {times} mapped tasks, of which only one would start a run: "
                f"{_OWN_KEYS}"
            )


def _literal_list(values: Any) -> list[Any]:
    """What a parameter is expanded over, if the DAG's file says it."""
    if isinstance(values, Mapping):
        return list(values.items())
    return list(values) if isinstance(values, list | tuple) else []
