"""Base of our operators, sensors and transfers: a task with a FLORA connection, whose errors name both."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from flora_provider.api.validation import raise_problems
from flora_provider.tasks.checked_task import CheckedTask
from flora_provider.tasks.done import Done
from flora_provider.tasks.exceptions import as_airflow
from flora_provider.tasks.storage_checks import storage_problems

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from airflow.providers.common.compat.sdk import Context

    from flora_provider.hooks.flora import FloraHook


class FloraTask(CheckedTask):
    """A task that uses a FLORA connection."""

    starts_runs: ClassVar[bool] = False
    """Whether a retry of the task can replace a run that failed."""

    pushes_request: ClassVar[bool] = False
    """Whether the task pushes XCom `request`."""

    flora_conn_id: str
    ui_color = "#f4e8ff"

    @cached_property
    def hook(self) -> FloraHook:
        """The hook of the task's connection."""
        from flora_provider.hooks.flora import FloraHook

        return FloraHook(self.flora_conn_id)

    @cached_property
    def done(self) -> Done:
        """What this try has done so far; each process has a copy of the task, and so one of its own."""
        return Done()

    def refuse_values(self) -> None:
        """As of the base; and refuse a storage that no file can get to, before anything is billed."""
        super().refuse_values()
        raise_problems(storage_problems(self))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Come back from the triggerer, whereupon Airflow has rendered all fields once more."""
        if next_method != "__fail__":
            with self.airflow_errors():
                self.refuse_unrendered()
        return super().resume_execution(next_method, next_kwargs, context)

    @property
    def task_label(self) -> str:
        """Which task and connection an error is about."""
        return f"task {self.task_id!r}, connection {self.flora_conn_id!r}"

    def airflow_errors(self) -> AbstractContextManager[None]:
        """Raise FLORA's errors as Airflow's too, naming the task."""
        return as_airflow(self.task_label, starts_runs=self.starts_runs)
