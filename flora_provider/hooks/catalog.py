"""The hook's verbs about what FLORA has: models, actions, techniques, workspaces, projects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from flora_provider.api import calls
from flora_provider.hooks.base import ConnectedHook

if TYPE_CHECKING:
    from flora_provider.api import models


class CatalogHook(ConnectedHook):
    """What there is to run, and where."""

    def list_models(self, *, type: str | None = None) -> list[models.Model]:  # noqa: A002 - FLORA's own name for it
        """The models, all or of one type."""
        return list(self.client().items(calls.list_models(type=type)))

    def list_actions(self) -> tuple[models.Action, ...]:
        """The prebuilt actions."""
        return self.send(calls.list_actions())

    def get_action(self, action_id: str) -> models.Action:
        """One action, with its inputs and params."""
        return self.send(calls.get_action(action_id))

    def iter_techniques(
        self, *, workspace_id: str | None = None, query: str | None = None
    ) -> Iterator[models.Technique]:
        """The techniques that the key sees."""
        return self.client().items(calls.list_techniques(workspace_id=workspace_id, query=query))

    def get_technique(self, technique: str) -> models.Technique:
        """One technique, by id or slug."""
        return self.send(calls.get_technique(technique))

    def list_workspaces(self) -> tuple[models.Workspace, ...]:
        """The workspaces of the key."""
        return self.send(calls.list_workspaces())

    def iter_projects(self, *, workspace_id: str | None = None, query: str | None = None) -> Iterator[models.Project]:
        """The projects of a workspace (None for the connection's), the most recently used first."""
        call = calls.list_projects(workspace_id=self.workspace(workspace_id), query=query)
        return self.client().items(call)

    def get_project(self, project_id: str | None = None) -> models.Project:
        """One project."""
        return self.send(calls.get_project(self.project(project_id)))

    def create_project(
        self, name: str, *, workspace_id: str | None = None, idempotency_key: str | None = None
    ) -> models.Project:
        """A new project. Names are not unique: creating twice makes two, unless under one key."""
        call = calls.create_project(workspace_id=self.workspace(workspace_id), name=name)
        return self.send(call, idempotency_key)

    def create_workspace_project(
        self, name: str, *, workspace_id: str | None = None, idempotency_key: str | None = None
    ) -> models.Project:
        """The same by the newer endpoint, whose path names the workspace."""
        call = calls.create_workspace_project(workspace_id=self.workspace(workspace_id), name=name)
        return self.send(call, idempotency_key)

    def create_folder_project(
        self, name: str, folder_id: str, *, workspace_id: str | None = None, idempotency_key: str | None = None
    ) -> models.Project:
        """The same in a folder of projects."""
        workspace = self.workspace(workspace_id)
        call = calls.create_folder_project(workspace_id=workspace, folder_id=folder_id, name=name)
        return self.send(call, idempotency_key)

    def send_feedback(
        self,
        *,
        kind: str,
        summary: str,
        detail: str,
        attempted_tools: Iterable[str] = (),
        workspace_id: str | None = None,
        project_id: str | None = None,
        run_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.Feedback:
        """Tell FLORA's makers about a bug or a wish."""
        about = {"workspace_id": workspace_id, "project_id": project_id, "run_id": run_id}
        call = calls.send_feedback(kind=kind, summary=summary, detail=detail, attempted_tools=attempted_tools, **about)
        return self.send(call, idempotency_key)
