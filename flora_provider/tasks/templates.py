"""The template fields of a task as its author wrote them, kept when Airflow replaces them by rendered values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from flora_provider.tasks.checked_task import CheckedTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class TemplateSnapshot(CheckedTask):
    """Base of operators that tell a template that renders differently at each try from an edit."""

    @property
    def has_templates(self) -> bool:
        """Whether something was written that is replaced at each try."""
        return any(getattr(self, name) != value for name, value in (self._written or {}).items())

    def as_written(self) -> str:
        """The templates of all fields, other tasks' results by their kind; empty while Airflow has rendered none."""
        if self._written is None:
            return ""
        return json.dumps(self._written, sort_keys=True, default=lambda value: type(value).__name__)

    def renders_differently(self, context: Context, result: Callable[[], bytes]) -> bool:
        """Whether what is made of the fields changes when they are rendered again: from a clock, or chance."""
        written = self._written or {}
        rendered = {name: getattr(self, name) for name in written}
        before = result()
        try:
            for name, value in written.items():
                setattr(self, name, value)
            environment, mapped = self.get_template_env(), set(self._mapped_values)
            self._do_render_template_fields(self, self.template_fields, context, environment, mapped)
            return result() != before
        finally:
            for name, value in rendered.items():
                setattr(self, name, value)
