"""The template fields of a task as its author wrote them, kept when Airflow replaces them by rendered values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from flora_provider.tasks.checked_task import CheckedTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class TemplateSnapshot(CheckedTask):
    """Base of operators that tell a template that renders differently at each try from an edit.

    Attributes:
        unsent_fields: template fields that are no part of the request, so an edit of them makes no other one.
    """

    unsent_fields: ClassVar[frozenset[str]] = frozenset()

    @property
    def has_templates(self) -> bool:
        """Whether something was written that is replaced at each try."""
        return any(getattr(self, name) != value for name, value in self._request_as_written().items())

    def as_written(self) -> str:
        """The templates of all fields, other tasks' results by their kind; empty while Airflow has rendered none."""
        if self._written is None:
            return ""
        return json.dumps(self._request_as_written(), sort_keys=True, default=lambda value: type(value).__name__)

    def renders_differently(self, context: Context, result: Callable[[], bytes]) -> bool:
        """Whether what is made of the fields changes when they are rendered again: from a clock, or chance."""
        written = self._request_as_written()
        rendered = {name: getattr(self, name) for name in written}
        before = result()
        try:
            for name, value in written.items():
                setattr(self, name, value)
            environment, mapped = self.get_template_env(), set(self._mapped_values)
            self._do_render_template_fields(self, self.template_fields, context, environment, mapped)
            self.refuse_unrendered()
            return result() != before
        finally:
            for name, value in rendered.items():
                setattr(self, name, value)

    def _request_as_written(self) -> dict[str, Any]:
        return {name: value for name, value in (self._written or {}).items() if name not in self.unsent_fields}
