"""A project's canvas, and the library of a workspace."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from flora_provider.api.models.base import FloraModel, Message, Usd
from flora_provider.api.models.runs import ModelRef


class CanvasSummary(FloraModel):
    """How much is on a canvas; a workflow is a connected part of it."""

    node_count: int
    edge_count: int
    group_count: int = 0
    isolated_node_count: int = 0
    workflow_count: int = 0


class CanvasAnswer(FloraModel):
    """What all answers about a canvas say: which, and where people look at it."""

    project_id: str
    canvas_url: str = Field(repr=False)


class Canvas(CanvasAnswer):
    """A canvas; `diagram` is a Mermaid flowchart."""

    diagram: str
    summary: CanvasSummary


class ExtendedCanvas(CanvasAnswer):
    """A canvas after nodes were added; `warnings` say what FLORA did otherwise than the diagram asked."""

    diagram: str
    created_node_count: int
    created_edge_count: int
    warnings: tuple[Message, ...] = ()


class ActionNode(CanvasAnswer):
    """An action that was put on a canvas."""

    node_id: str
    action_id: str


class GraphNode(FloraModel):
    """A node with all that FLORA knows of it.

    Attributes:
        id: short, such as `n3`.
        type: image, video, audio, text, or another.
        status: idle, generating, done, error, a newer one, or None.
        output_url: what its latest run made, if that is a file.
        output_text: the same, if that is a text.
        action: `action_id` and `params` of an action's node.
    """

    id: str
    node_id: str
    type: str
    label: str = ""
    prompt: str | None = None
    model: str | None = None
    model_id: str | None = None
    params: dict[str, Any] | None = None
    position: dict[str, Any] = Field(default_factory=dict)
    status: str | None = None
    output_url: str | None = Field(default=None, repr=False)
    output_text: str | None = Field(default=None, repr=False)
    action: dict[str, Any] | None = None
    error_code: Message | None = None
    error_message: Message | None = None


class Graph(CanvasAnswer):
    """All nodes and edges of a canvas.

    Attributes:
        revision: opaque; another one after each change.
        edges: each `{from, to, in}`, naming nodes by their short ids.
    """

    revision: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[dict[str, Any], ...]


class NodeRun(FloraModel):
    """What became of one node that was to run.

    Attributes:
        status: started or skipped.
        run_id: of a started one; `get_run` shows it.
        charged_cost: an estimate in USD.
        reason: why it was skipped, such as `no_model_configured`.
    """

    node_id: str
    status: str
    run_id: str | None = None
    type: str | None = None
    model: ModelRef | None = None
    charged_cost: Usd | None = None
    estimated_seconds: float | None = None
    reason: str | None = None
    message: Message | None = None


class NodeRuns(FloraModel):
    """What became of all of them, in the order they were asked for."""

    project_id: str
    runs: tuple[NodeRun, ...]


class AppliedChangeset(CanvasAnswer):
    """A changeset that took effect.

    Attributes:
        revision: of the canvas after it.
        applied: how many were added, updated, connected, disconnected, removed.
        created: `id` and `node_id` of each added node, by its `ref`.
    """

    revision: str
    applied: dict[str, int]
    created: dict[str, dict[str, str]] = Field(default_factory=dict)
    warnings: tuple[Message, ...] = ()


class CanvasDefinition(CanvasAnswer):
    """The canonical JSON of a canvas: nodes, edges, node_inputs, node_outputs, and what FLORA may add."""

    definition: dict[str, Any] = Field(repr=False)
    summary: CanvasSummary


class LibraryFolder(FloraModel):
    """A folder of a workspace's library."""

    folder_id: str
    name: str
    workspace_id: str


class DeletedFolder(FloraModel):
    """A folder that is gone."""

    folder_id: str
    workspace_id: str
    deleted: bool


class LibraryItem(FloraModel):
    """What was saved into a folder; an image is an asset, too."""

    folder_id: str
    saved_node_id: str
    workspace_id: str
    asset_id: str | None = None
    url: str | None = Field(default=None, repr=False)
