"""The hook's verbs about a project's canvas: read it, change it, and run what is on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flora_provider.api import calls
from flora_provider.hooks.base import ConnectedHook

if TYPE_CHECKING:
    from flora_provider.api import models


class CanvasHook(ConnectedHook):
    """The canvas of a project, by default of the connection's."""

    def iter_nodes(self, project_id: str | None = None) -> Iterator[models.Node]:
        """The visible media nodes of a canvas."""
        return self.client().items(calls.list_nodes(self.project(project_id)))

    def attach_asset(
        self, asset_id: str, *, project_id: str | None = None, idempotency_key: str | None = None
    ) -> models.AttachedAsset:
        """Put a ready asset on a canvas."""
        call = calls.attach_asset(project_id=self.project(project_id), asset_id=asset_id)
        return self.send(call, idempotency_key)

    def get_canvas(self, project_id: str | None = None) -> models.Canvas:
        """The canvas as a Mermaid flowchart."""
        return self.send(calls.get_canvas(self.project(project_id)))

    def extend_canvas(
        self,
        diagram: str,
        *,
        node_params: Mapping[str, Mapping[str, Any]] | None = None,
        project_id: str | None = None,
    ) -> models.ExtendedCanvas:
        """Add the nodes and links of a Mermaid flowchart. Never sent again in doubt."""
        project = self.project(project_id)
        return self.send(calls.extend_canvas(project_id=project, diagram=diagram, node_params=node_params))

    def create_action_node(
        self, action_id: str, *, params: Mapping[str, Any] | None = None, project_id: str | None = None
    ) -> models.ActionNode:
        """Put an action on a canvas. Never sent again in doubt."""
        project = self.project(project_id)
        return self.send(calls.create_action_node(project_id=project, action_id=action_id, params=params))

    def run_action_node(self, node_id: str, *, project_id: str | None = None) -> models.Started:
        """Run an action's node on what is connected to it. Never sent again in doubt."""
        return self.send(calls.run_action_node(project_id=self.project(project_id), node_id=node_id))

    def get_graph(self, *, workspace_id: str | None = None, project_id: str | None = None) -> models.Graph:
        """All nodes and edges, with a revision that changes when they do."""
        return self.send(calls.get_graph(**self.scope(workspace_id, project_id)))

    def run_nodes(
        self,
        node_ids: Iterable[str],
        *,
        idempotency_key: str,
        workspace_id: str | None = None,
        project_id: str | None = None,
    ) -> models.NodeRuns:
        """Run up to 50 generation nodes as they are configured. Bills at once."""
        call = calls.run_nodes(**self.scope(workspace_id, project_id), node_ids=node_ids)
        return self.send(call.with_key(idempotency_key))

    def apply_changeset(
        self,
        *,
        add: Iterable[Mapping[str, Any]] = (),
        update: Iterable[Mapping[str, Any]] = (),
        connect: Iterable[Mapping[str, Any]] = (),
        disconnect: Iterable[Mapping[str, Any]] = (),
        remove: Iterable[Mapping[str, Any]] = (),
        workspace_id: str | None = None,
        project_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.AppliedChangeset:
        """Change a canvas in one transaction, all or nothing. FLORA cannot undo a removal."""
        scope = self.scope(workspace_id, project_id)
        call = calls.apply_changeset(
            **scope, add=add, update=update, connect=connect, disconnect=disconnect, remove=remove
        )
        return self.send(call, idempotency_key)

    def get_canvas_definition(
        self, *, workspace_id: str | None = None, project_id: str | None = None
    ) -> models.CanvasDefinition:
        """All that it takes to make the canvas anew, as JSON."""
        return self.send(calls.get_canvas_definition(**self.scope(workspace_id, project_id)))

    def replace_canvas_definition(
        self,
        definition: Mapping[str, Any],
        *,
        workspace_id: str | None = None,
        project_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.CanvasDefinition:
        """Replace the whole canvas, all or nothing."""
        call = calls.replace_canvas_definition(**self.scope(workspace_id, project_id), definition=definition)
        return self.send(call, idempotency_key)
