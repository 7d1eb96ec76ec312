"""FLORA from a task or a plain function: each verb is one line onto the client.

This module loads the HTTP client. Operators and sensors import it when a task runs, so that DAG files stay cheap to
parse; a DAG file that wants a hook should do the same, inside its task.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flora_provider.api import calls
from flora_provider.api.errors import FloraError
from flora_provider.api.models import FloraModel
from flora_provider.hooks.connection import EXTRA_FIELDS, FIELD_BEHAVIOUR
from flora_provider.hooks.files import FilesHook
from flora_provider.runs.polling import new_poller
from flora_provider.runs.ref import RunRef

if TYPE_CHECKING:
    from flora_provider.api import models


class FloraHook(FilesHook):
    """FLORA over an Airflow connection of type `flora`.

    Args:
        flora_conn_id: the connection. Its password is the API key; the README describes host and extra.

    Every verb may raise what `flora_provider.api.errors` draws, and FloraInputError before anything is sent.
    """

    def test_connection(self) -> tuple[bool, str]:
        """For the Test button: list the workspaces of the key, or say in one sentence what is wrong."""
        try:
            with self:
                workspaces = self.list_workspaces()
        except FloraError as error:
            return False, str(error)
        names = ", ".join(f"{workspace.name} ({workspace.workspace_id}, {workspace.role})" for workspace in workspaces)
        return True, f"FLORA accepts the key. Workspaces: {names or 'none'}"

    @staticmethod
    def get_connection_form_widgets() -> dict[str, Any]:
        """The form's extra fields, for Airflow before 3.2."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget  # noqa: PLC0415 - absent from Airflow 3
        from wtforms import StringField  # noqa: PLC0415 - the same

        return {
            name: StringField(field.label, widget=BS3TextFieldWidget(), description=field.help)
            for name, field in EXTRA_FIELDS.items()
        }

    @staticmethod
    def get_ui_field_behaviour() -> dict[str, Any]:
        """The form's standard fields, for Airflow before 3.2."""
        return FIELD_BEHAVIOUR

    # ── Runs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def generate(
        self,
        *,
        type: str,  # noqa: A002 - FLORA's own name for it
        prompt: str,
        idempotency_key: str,
        workspace_id: str | None = None,
        project_id: str | None = None,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        callback_url: str | None = None,
    ) -> models.Started:
        """Start a generation, as `calls.generate` says; workspace and project None for the connection's. Bills.

        The `idempotency_key` is one per intended run; sent again within two hours it starts nothing (FLORA answers
        409). `FloraGenerateOperator` derives one from its task, and finds the run again after a crash.
        """
        scope = self.scope(workspace_id, project_id)
        call = calls.generate(type=type, prompt=prompt, model=model, params=params, callback_url=callback_url, **scope)
        return self.client().send(call.with_key(idempotency_key))

    def get_run(self, run_id: str) -> models.Run:
        """The state of a run."""
        return self.client().send(calls.get_run(run_id))

    def wait_for_run(
        self,
        run_id: str,
        technique: str | None = None,
        *,
        timeout: float | None = None,
        poll_interval: float = 3.0,
        started_at: float | None = None,
        estimated_seconds: float | None = None,
    ) -> models.FinishedRun:
        """Wait, blocking, until a run has ended: as `flora_provider.runs.wait_for_run`, whose docstring says the rest.

        Beyond that, after FLORA has refused the key, the connection is read again, and used for some minutes more.
        """
        ref, known = RunRef(run_id, technique), {"started_at": started_at, "estimated_seconds": estimated_seconds}
        poller = new_poller(ref, now=time.time(), timeout=timeout, poll_interval=poll_interval, **known)
        return self.poll_until_done(poller).result()

    def list_generations(
        self,
        *,
        workspace_id: str | None = None,
        project_id: str | None = None,
        status: str | None = None,
        limit: int = calls.PAGE_SIZE,
        cursor: str | None = None,
    ) -> models.Page[models.Generation]:
        """One page of the generation history, newest first; `next_cursor` leads to the next."""
        call = calls.list_generations(
            workspace_id=workspace_id, project_id=project_id, status=status, limit=limit, cursor=cursor
        )
        return self.client().send(call)

    def iter_generations(
        self,
        *,
        workspace_id: str | None = None,
        project_id: str | None = None,
        status: str | None = None,
        max_items: int | None = None,
    ) -> Iterator[models.Generation]:
        """The whole generation history, newest first, each run once."""
        call = calls.list_generations(workspace_id=workspace_id, project_id=project_id, status=status)
        return self.client().items(call, max_items=max_items)

    def iter_technique_runs(
        self,
        *,
        workspace_id: str | None = None,
        project_id: str | None = None,
        technique_id: str | None = None,
        status: str | None = None,
        max_items: int | None = None,
    ) -> Iterator[models.TechniqueRun]:
        """The whole technique run history, newest first, each run once."""
        call = calls.list_technique_runs(
            workspace_id=workspace_id, project_id=project_id, technique_id=technique_id, status=status
        )
        return self.client().items(call, max_items=max_items)

    def run_technique(
        self, *, technique_id: str, inputs: Mapping[str, Any], idempotency_key: str, workspace_id: str | None = None
    ) -> models.Started:
        """Start a technique in a workspace (None for the connection's). Bills."""
        call = calls.run_technique(technique_id=technique_id, workspace_id=self.workspace(workspace_id), inputs=inputs)
        return self.client().send(call.with_key(idempotency_key))

    def run_action(
        self,
        *,
        action_id: str,
        inputs: list[dict[str, Any]],
        idempotency_key: str,
        workspace_id: str | None = None,
        project_id: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> models.Started:
        """Run a prebuilt action; workspace and project None for the connection's."""
        scope = self.scope(workspace_id, project_id)
        call = calls.run_action(action_id=action_id, **scope, inputs=inputs, params=params)
        return self.client().send(call.with_key(idempotency_key))

    # ── Catalog ───────────────────────────────────────────────────────────────────────────────────────────────────

    def list_models(self, *, type: str | None = None) -> list[models.Model]:  # noqa: A002 - FLORA's own name for it
        """The models, all or of one type."""
        return list(self.client().items(calls.list_models(type=type)))

    def list_workspaces(self) -> tuple[models.Workspace, ...]:
        """The workspaces of the key."""
        return self.client().send(calls.list_workspaces())

    def iter_projects(self, *, workspace_id: str | None = None, query: str | None = None) -> Iterator[models.Project]:
        """The projects of a workspace (None for the connection's), the most recently used first."""
        call = calls.list_projects(workspace_id=self.workspace(workspace_id), query=query)
        return self.client().items(call)

    def iter_techniques(
        self, *, workspace_id: str | None = None, query: str | None = None
    ) -> Iterator[models.Technique]:
        """The techniques that the key sees."""
        return self.client().items(calls.list_techniques(workspace_id=workspace_id, query=query))

    def get_technique(self, technique: str) -> models.Technique:
        """One technique, by id or slug."""
        return self.client().send(calls.get_technique(technique))

    def list_actions(self) -> tuple[models.Action, ...]:
        """The prebuilt actions."""
        return self.client().send(calls.list_actions())

    def iter_nodes(self, project_id: str | None = None) -> Iterator[models.Node]:
        """The visible media nodes of a project's canvas (None for the connection's project)."""
        return self.client().items(calls.list_nodes(self.project(project_id)))

    def iter_assets(
        self, *, workspace_id: str | None = None, project_id: str | None = None, query: str | None = None
    ) -> Iterator[models.Asset]:
        """The files that the key sees."""
        return self.client().items(calls.list_assets(workspace_id=workspace_id, project_id=project_id, query=query))


def _let_tasks_pass_on(kind: type[FloraModel], allow_class: Callable[[type], None]) -> None:
    for model in kind.__subclasses__():
        allow_class(model)
        _let_tasks_pass_on(model, allow_class)


# What a verb returns may be returned by a task. Airflow reads it for the next one where its class is allowed: here,
# for processes that load this module; elsewhere, and before 3.3, by `[core] allowed_deserialization_classes`.
try:
    from airflow.sdk.serde import allow_class
except ImportError:
    pass
else:
    _let_tasks_pass_on(FloraModel, allow_class)
