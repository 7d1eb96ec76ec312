"""The template fields of a task as its author wrote them, kept when Airflow replaces them by rendered values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context


class TemplateSnapshot(BaseOperator):
    """Base of operators that keep their templates, to tell one that renders differently at each try from an edit."""

    _written: dict[str, Any] | None = None  # None while nothing was rendered: then the fields are as written
    _mapped: frozenset[int] = frozenset()  # which of those values a mapping gave, so that Airflow does not render them

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        # Airflow's own place for this, also for mapped tasks, of which it renders what `expand` has made.
        if parent is self and self._written is None:
            self._written = {name: getattr(self, name) for name in self.template_fields}
            self._mapped = frozenset(seen_oids)
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

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
        """Whether what is made of the fields is something else if they are rendered once more: from a clock, or chance.

        Args:
            context: of the task.
            result: what is made of the fields.
        """
        written = self._written or {}
        rendered = {name: getattr(self, name) for name in written}
        before = result()
        try:
            for name, value in written.items():
                setattr(self, name, value)
            super()._do_render_template_fields(
                self, self.template_fields, context, self.get_template_env(), set(self._mapped)
            )
            return result() != before
        finally:
            for name, value in rendered.items():
                setattr(self, name, value)
