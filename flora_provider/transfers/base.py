"""What the transfers share: checks of paths, and a hook. Cheap to import, as operators are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

from flora_provider.api.text import is_rendered_none, short_repr
from flora_provider.tasks.checked_task import CheckedTask
from flora_provider.tasks.exceptions import as_airflow

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from flora_provider.hooks.flora import FloraHook


class Transfer(CheckedTask):
    """A task that moves files over a FLORA connection; it starts no run."""

    flora_conn_id: str
    ui_color = "#f4e8ff"

    @cached_property
    def hook(self) -> FloraHook:
        """The hook of the task's connection."""
        from flora_provider.hooks.flora import FloraHook

        return FloraHook(self.flora_conn_id)

    def airflow_errors(self) -> AbstractContextManager[None]:
        """Raise FLORA's errors as Airflow's too, naming the task."""
        return as_airflow(f"task {self.task_id!r}, connection {self.flora_conn_id!r}", starts_runs=False)


def path(name: str, value: object) -> str | None:
    """A path of this machine or of an object store; a check as in `api.validation`."""
    is_path = isinstance(value, PathLike) or hasattr(value, "conn_id")  # Airflow's ObjectStoragePath is no PathLike
    if is_path or (isinstance(value, str) and value.strip() and "\0" not in value and not is_rendered_none(value)):
        return None
    return f"{name} is {short_repr(value)}: give a path, or an address such as s3://bucket/folder"


def is_several(value: object) -> bool:
    """Whether this is a list, also the lazy one of a mapped task's results."""
    return (
        isinstance(value, Iterable)
        and not isinstance(value, str | bytes | Mapping | PathLike)
        and not (hasattr(value, "conn_id"))
    )


def as_list(value: Any) -> list[Any]:
    """The members of a list, or the one value."""
    return list(value) if is_several(value) else [value]
