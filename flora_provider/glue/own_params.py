"""FLORA's `params` beside Airflow's, which have the same name.

Airflow gives every operator an argument `params`, merges the DAG's params into it, and does not template it. Taken for
FLORA's, the DAG's own params would be sent there, and FLORA ignores what it does not know and bills all the same. So
what a DAG's author calls `params` is renamed to `model_params` before Airflow sees it, wherever an author can write it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator, XComArg

from flora_provider.api.checks import Check
from flora_provider.api.errors import FloraInputError
from flora_provider.glue.literals import check_literals, check_mapped

# Airflow makes each mapped task with this argument, and with params of its own.
_FROM_MAPPED = "_airflow_from_mapped"


def renamed(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The same arguments with FLORA's params under `model_params`.

    Raises:
        FloraInputError: they are given under both names.
    """
    if "params" not in kwargs:
        return dict(kwargs)
    if "model_params" in kwargs:
        raise FloraInputError("params and model_params are given: they are the same, so give one of them")
    return {"model_params" if name == "params" else name: value for name, value in kwargs.items()}


class OwnParams(type(BaseOperator)):  # type: ignore[misc]  # the metaclass is Airflow's, and differs by version
    """Metaclass of operators whose argument `params` is FLORA's, in the constructor, `partial` and `expand`.

    A subclass that calls `super().__init__` itself passes `model_params` on.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make a task."""
        return super().__call__(*args, **(kwargs if _FROM_MAPPED in kwargs else renamed(kwargs)))


def mappable(partial: Any, rules: Mapping[str, Check]) -> Any:
    """What `partial` returned, with FLORA's params renamed, and literals checked, in `expand` and `expand_kwargs` too.

    Args:
        partial: Airflow's.
        rules: what the parameters must be, FLORA's params among them as `params`.
    """
    task_id = partial.kwargs["task_id"]
    kind: Any = type(partial)  # Airflow's OperatorPartial, which differs by version

    class Partial(kind):  # type: ignore[misc]
        __slots__ = ()

        def expand(self, **mapped: Any) -> Any:
            check_mapped(mapped, rules, task_id=task_id)
            return super().expand(**renamed(mapped))

        def expand_kwargs(self, kwargs: Any, **options: Any) -> Any:
            rows = _renamed_rows(kwargs)
            for row in kwargs if isinstance(kwargs, list | tuple) else ():
                if isinstance(row, Mapping):
                    check_literals(row, rules, task_id=task_id)
            return super().expand_kwargs(rows, **options)

    partial.__class__ = Partial
    return partial


def _renamed_rows(rows: Any) -> Any:
    if isinstance(rows, XComArg):
        return rows.map(_renamed_row)
    if isinstance(rows, list | tuple):
        if any(isinstance(row, XComArg) for row in rows):
            raise FloraInputError("expand_kwargs takes a list of dicts or the result of one task, not of several")
        return [_renamed_row(row) for row in rows]
    return rows


def _renamed_row(row: Any) -> Any:
    return renamed(row) if isinstance(row, Mapping) else row
