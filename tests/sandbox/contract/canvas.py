"""A canvas: its nodes, graph, changes and definition."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tests.sandbox.contract.base import AssetId, Count, Medium, Meta, ProjectId, RunId, Shape, Url, Usd
from tests.sandbox.contract.runs import ModelRef


class Node(Shape):
    node_id: str
    type: Medium
    asset_id: AssetId | None = None
    label: str | None = None
    url: str | None = None
    width: float | None = None
    height: float | None = None


class Nodes(Shape):
    nodes: list[Node]
    meta: Meta
    project_id: ProjectId = "prj_1"
    canvas_url: Url = ""


class Attached(Shape):
    project_id: ProjectId
    asset_id: AssetId
    node_id: str
    canvas_url: Url


class CanvasSummary(Shape):
    node_count: Count
    edge_count: Count
    group_count: Count
    isolated_node_count: Count
    workflow_count: Count


class Canvas(Shape):
    project_id: ProjectId
    canvas_url: Url
    diagram: str
    summary: CanvasSummary


class CanvasExtended(Shape):
    project_id: ProjectId
    canvas_url: Url
    diagram: str
    created_node_count: Count
    created_edge_count: Count
    warnings: list[str] = Field([])


class ActionNode(Shape):
    project_id: ProjectId
    node_id: str
    action_id: str
    canvas_url: Url


class Position(Shape):
    x: float
    y: float


class GraphEdge(Shape):
    from_: Annotated[str, Field(alias="from")]
    to: str
    in_: Annotated[str | None, Field(alias="in")]


class GraphAction(Shape):
    action_id: str | None
    params: dict[str, Any] | None


class GraphNode(Shape):
    id: str
    node_id: str
    type: str
    label: str
    prompt: str | None
    model: str | None
    model_id: str | None
    params: dict[str, Any] | None
    position: Position
    status: Literal["idle", "generating", "done", "error"] | None
    output_url: str | None
    output_text: str | None
    action: GraphAction | None
    error_code: str = ""
    error_message: str = ""


class Graph(Shape):
    project_id: ProjectId
    canvas_url: Url
    revision: Annotated[str, Field(min_length=1)]
    edges: list[GraphEdge]
    nodes: list[GraphNode]


class NodeRun(Shape):
    node_id: str
    status: Literal["started", "skipped"]
    run_id: RunId = "run_1"
    type: Literal["generation"] = "generation"
    poll_url: Url = ""
    model: ModelRef | None = None
    charged_cost: Usd | None = None
    estimated_seconds: float | None = None
    reason: Literal[
        "node_not_found", "node_not_executable", "node_locked", "no_model_configured", "generation_already_running",
        "run_failed_to_start", "video_generation_not_available",
    ] = "node_not_found"  # fmt: skip
    message: str = ""

    @model_validator(mode="after")
    def run_or_reason(self):
        assert (self.status == "started") == ("run_id" in self.model_fields_set)
        assert (self.status == "skipped") == ("reason" in self.model_fields_set)
        return self


class NodeRuns(Shape):
    project_id: ProjectId
    runs: list[NodeRun]


class Applied(Shape):
    added: Count
    updated: Count
    connected: Count
    disconnected: Count
    removed: Count


class CreatedNode(Shape):
    id: str
    node_id: str


class Changed(Shape):
    project_id: ProjectId
    canvas_url: Url
    revision: Annotated[str, Field(min_length=1)]
    applied: Applied
    created: dict[str, CreatedNode]
    warnings: list[str]


class DefinitionEdge(Shape):
    id: str
    source: str
    source_handle: str | None
    target: str
    target_handle: str | None
    data: dict[str, Any] = Field({})
    type: str = ""


BLOCKS = Literal[
    "videoBlock", "textBlock", "comment", "group", "ghost", "virtualSourceNode", "emptyImageBlock",
    "outpaintImageBlock", "inpaintImageBlock", "staticImageBlock", "staticVideoBlock", "resultImageBlock",
    "resultVideoBlock", "resultTextBlock", "audioBlock", "resultAudioBlock", "staticAudioBlock", "techniqueBlock",
    "layerEditorNode", "videoEditorNode", "collectionNode", "routerNode", "switchNode", "elementNode", "textLabel",
    "codeBlock", "documentNode", "exportNode", "webcamNode", "model3dNode",
]  # fmt: skip


class DefinitionNode(Shape):
    id: str
    data: dict[str, Any]
    position: Position
    type: BLOCKS
    expand_parent: bool = False
    extent: Literal["parent"] | list[Any] = "parent"
    height: float = 0
    hidden: bool = False
    origin: list[Any] = Field([])
    parent_id: str = ""
    style: dict[str, Any] = Field({})
    width: float = 0
    z_index: float = 0


class Definition(Shape):
    nodes: list[DefinitionNode]
    edges: list[DefinitionEdge]
    node_inputs: dict[str, dict[str, Any]]
    node_outputs: dict[str, dict[str, Any]]
    layer_editor_documents: dict[str, dict[str, Any]] = Field({})


class CanvasDefinition(Shape):
    project_id: ProjectId
    canvas_url: Url
    definition: Definition
    summary: CanvasSummary
