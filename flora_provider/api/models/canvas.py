"""A project's canvas: as a diagram, as a graph, as a definition, and what changing and running it answers."""

from __future__ import annotations

from typing import Any, ClassVar

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


class Canvas(FloraModel):
    """A canvas as a Mermaid flowchart, which merges node types and cuts labels; a `Graph` loses nothing."""

    project_id: str
    canvas_url: str = Field(repr=False)
    diagram: str
    summary: CanvasSummary


class ExtendedCanvas(FloraModel):
    """What was added to a canvas; `warnings` say what FLORA did otherwise than the diagram asked."""

    project_id: str
    canvas_url: str = Field(repr=False)
    diagram: str
    created_node_count: int
    created_edge_count: int
    warnings: tuple[Message, ...] = ()


class ActionNode(FloraModel):
    """An action that was put on a canvas."""

    project_id: str
    canvas_url: str = Field(repr=False)
    node_id: str
    action_id: str


class Position(FloraModel):
    """Where a node is, in pixels from the canvas's origin, also if it is in a group."""

    x: float
    y: float


class NodeAction(FloraModel):
    """What an action's node does; `action_id` is None where it runs code of the user's own."""

    action_id: str | None = None
    params: dict[str, Any] | None = None


class GraphNode(FloraModel):
    """A node, with all that FLORA knows of it.

    Attributes:
        id: short, such as `n3`; the same at every read, and what edges use.
        node_id: the node's UUID. Calls take either.
        type: image, video, audio, text, action, batch, group, or another.
        model: its name; `model_id` survives when FLORA renames it.
        status: idle, generating, done, error, or a newer one; None for a node that generates nothing.
        output_url: what it shows, if that is a file.
        output_text: the same, if that is a text.
        action: None for every other type than action.
        error_code: only of status error, as is `error_message`.
    """

    IDENTITY: ClassVar[str] = "node_id"

    id: str
    node_id: str
    type: str
    label: str = ""
    prompt: str | None = None
    model: str | None = None
    model_id: str | None = None
    params: dict[str, Any] | None = None
    position: Position | None = None
    status: str | None = None
    output_url: str | None = Field(default=None, repr=False)
    output_text: str | None = Field(default=None, repr=False)
    action: NodeAction | None = None
    error_code: Message | None = None
    error_message: Message | None = None


class Graph(FloraModel):
    """All nodes and edges of a canvas.

    Attributes:
        revision: opaque; another one after each change, and of two nobody can tell which came first.
        edges: each `{from, to, in}`, as `apply_changeset` takes them; they name nodes by their short ids.
    """

    project_id: str
    canvas_url: str = Field(repr=False)
    revision: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[dict[str, Any], ...]


class NodeRun(FloraModel):
    """What became of one node that was to run. Only `node_id` is required, for its run may be billed.

    Attributes:
        node_id: as it was sent, a short id or a UUID.
        status: started or skipped.
        run_id: of a started one; `get_run` shows it.
        model: None where FLORA chooses the model when the run starts; cost and seconds are then None, too.
        charged_cost: an estimate, with the model's default params; the run has the bill.
        poll_url: as in `Started`.
        reason: why it was skipped, such as `no_model_configured`; an open string.
        message: the same in a sentence.
    """

    node_id: str
    status: str | None = None
    run_id: str | None = None
    type: str | None = None
    model: ModelRef | None = None
    charged_cost: Usd | None = None
    estimated_seconds: float | None = None
    poll_url: str | None = Field(default=None, repr=False)
    reason: str | None = None
    message: Message | None = None


class NodeRuns(FloraModel):
    """What became of the nodes that were to run, in the order in which they were sent."""

    project_id: str
    runs: tuple[NodeRun, ...]


class ChangeCounts(FloraModel):
    """How many nodes and edges a changeset has really changed; `removed` counts what was in a removed group."""

    added: int = 0
    updated: int = 0
    connected: int = 0
    disconnected: int = 0
    removed: int = 0


class CreatedNode(FloraModel):
    """The names of a node that a changeset has added: a short one and a UUID."""

    id: str
    node_id: str


class AppliedChangeset(FloraModel):
    """A changeset that took effect.

    Attributes:
        revision: of the canvas after it, as `get_graph` shows it.
        created: the node of each `ref`.
        warnings: what changed nothing, such as a second edge between the same two nodes.
    """

    project_id: str
    canvas_url: str = Field(repr=False)
    revision: str
    applied: ChangeCounts
    created: dict[str, CreatedNode] = Field(default_factory=dict)
    warnings: tuple[Message, ...] = ()


class CanvasDefinition(FloraModel):
    """All that it takes to make a canvas anew.

    Attributes:
        definition: `nodes`, `edges`, `node_inputs`, `node_outputs`, and what FLORA adds: plain JSON, to be changed and
            sent back whole.
    """

    project_id: str
    canvas_url: str = Field(repr=False)
    definition: dict[str, Any] = Field(repr=False)
    summary: CanvasSummary
