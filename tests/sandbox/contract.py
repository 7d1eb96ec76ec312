"""The shapes of FLORA's answers, written from the contract and the types of FLORA's SDK 0.11.0, for every operation.

Closed and strict: a member that the contract does not name, or names otherwise, is an error. A default stands for a
member that may be absent, `| None` for one that may be null.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def public_id(prefix):
    return Annotated[str, Field(pattern=rf"^{prefix}_\S+$")]


WorkspaceId, ProjectId, RunId = public_id("ws"), public_id("prj"), public_id("run")
AssetId, TechniqueId = public_id("asset"), public_id("tech")
Url = Annotated[str, Field(pattern=r"^https?://")]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Milliseconds = Annotated[float, Field(gt=1e12, lt=1e14)]
Iso = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")]
Medium = Literal["image", "video", "audio", "text"]
OutputType = Literal["imageUrl", "videoUrl", "audioUrl", "text", "documentUrl"]
Status = Literal["pending", "running", "completed", "failed"]


class ErrorField(Shape):
    field: str
    message: str


class ErrorBody(Shape):
    code: Literal[
        "unauthorized", "invalid_api_key", "forbidden", "invalid_json", "input_validation_error", "not_found",
        "insufficient_credits", "idempotency_duplicate", "idempotency_conflict", "conflict", "rate_limited",
        "unknown_error", "internal_error", "service_unavailable", "payload_too_large", "paid_plan_required",
    ]  # fmt: skip
    message: Annotated[str, Field(min_length=1)]
    fields: list[ErrorField] = []


class Error(Shape):
    error: ErrorBody


class Output(Shape):
    output_id: str
    type: OutputType
    url: str

    @model_validator(mode="after")
    def media_are_addresses(self):
        assert self.type == "text" or self.url.startswith(("http://", "https://"))
        return self


class ModelRef(Shape):
    model_id: str


class TechniqueRef(Shape):
    technique_id: TechniqueId
    name: str


class ActionRef(Shape):
    action_id: str


class RunStarted(Shape):
    run_id: RunId
    type: Literal["generation", "technique", "action"]
    charged_cost: Usd
    estimated_seconds: Count | None
    poll_url: Url | None = None
    project_id: ProjectId | None = None
    model: ModelRef | None = None
    technique: TechniqueRef | None = None
    action: ActionRef | None = None


class RunState(Shape):
    run_id: RunId
    status: Status
    progress: Annotated[float, Field(ge=0, le=100)]
    created_at: Milliseconds
    started_at: Milliseconds = 0
    completed_at: Milliseconds = 0
    charged_cost: Usd = 0
    error_code: str = ""
    error_message: str = ""
    outputs: list[Output] = []
    poll_url: Url = ""

    @model_validator(mode="after")
    def members_fit_the_status(self):
        present = self.model_fields_set
        assert (self.status == "failed") == ("error_code" in present)
        assert (self.status == "completed") == ("outputs" in present)
        assert (self.status in ("completed", "failed")) == ("completed_at" in present)
        assert self.status == "pending" or self.created_at <= self.started_at
        assert "completed_at" not in present or self.started_at <= self.completed_at
        assert self.status not in ("completed", "failed") or self.progress == 100
        return self


class NullableModelRef(Shape):
    model_id: str | None


class GenerationItem(RunState):
    generation_id: RunId
    project_id: ProjectId
    workspace_id: WorkspaceId
    model: NullableModelRef | None = None


class TechniqueRunItem(RunState):
    technique_run_id: RunId
    project_id: ProjectId
    workspace_id: WorkspaceId
    technique: TechniqueRef


class Meta(Shape):
    next_cursor: str | None
    total_estimate: Count | None = None


class Generations(Shape):
    generations: list[GenerationItem]
    meta: Meta


class TechniqueRuns(Shape):
    technique_runs: list[TechniqueRunItem]
    meta: Meta


class TechniqueSlot(Shape):
    id: str
    name: str
    type: OutputType
    description: str = ""
    optional: bool = False
    accepts_element: bool = False
    allow_multiple: bool = False
    specified_aspect_ratio: str = ""
    specified_duration: float = 0


class Technique(Shape):
    technique_id: TechniqueId
    name: str
    run_cost: Usd
    inputs: list[TechniqueSlot]
    outputs: list[TechniqueSlot]
    description: str = ""
    slug: str = ""  # in FLORA's guide, in no schema


class Techniques(Shape):
    techniques: list[Technique]
    meta: Meta


class Multiple(Shape):
    min: float = 0
    max: float = 0


class ActionSlot(Shape):
    name: str
    type: Medium
    optional: bool = False
    multiple: Literal[True] | Multiple = True
    dynamic: bool = False


class ActionValue(Shape):
    label: str
    value: Any
    description: str = ""


class ActionParam(Shape):
    key: str
    type: str
    label: str = ""
    info_tooltip: str = ""
    default_value: Any = None
    available_values: list[ActionValue] = []
    min_number_value: float = 0
    max_number_value: float = 0
    number_step: float = 0


class Action(Shape):
    action_id: str
    name: str
    description: str
    language: Literal["javascript", "python"]
    charged_cost: Usd
    inputs: list[ActionSlot]
    outputs: list[ActionSlot]
    params: list[ActionParam]


class Actions(Shape):
    actions: list[Action]


class ModelOption(Shape):
    label: str
    value: str
    description: str = ""


class ModelProperty(Shape):
    min: float
    max: float
    default: float


class ModelParam(Shape):
    name: str
    type: Literal["string", "string[]", "bool", "int", "int?", "seed", "float", "dict"]
    required: bool
    default: Any = None
    min: float = 0
    max: float = 0
    label: str = ""
    description: str = ""
    options: list[ModelOption] = []
    properties: dict[str, ModelProperty] = {}


class Model(Shape):
    model_id: str
    name: str
    provider: str
    type: Medium
    capabilities: list[str]
    estimated_credits: Count
    estimated_seconds: Count
    params: list[ModelParam]
    beta: bool = False


class Models(Shape):
    models: list[Model]


class Workspace(Shape):
    workspace_id: WorkspaceId
    name: str
    role: str
    created_at: Milliseconds | None


class Workspaces(Shape):
    workspaces: list[Workspace]


class Project(Shape):
    project_id: ProjectId
    workspace_id: WorkspaceId
    name: str
    origin: str | None
    created_at: Milliseconds
    last_modified: Milliseconds | None


class Projects(Shape):
    projects: list[Project]
    meta: Meta


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
    warnings: list[str] = []


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
    data: dict[str, Any] = {}
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
    origin: list[Any] = []
    parent_id: str = ""
    style: dict[str, Any] = {}
    width: float = 0
    z_index: float = 0


class Definition(Shape):
    nodes: list[DefinitionNode]
    edges: list[DefinitionEdge]
    node_inputs: dict[str, dict[str, Any]]
    node_outputs: dict[str, dict[str, Any]]
    layer_editor_documents: dict[str, dict[str, Any]] = {}


class CanvasDefinition(Shape):
    project_id: ProjectId
    canvas_url: Url
    definition: Definition
    summary: CanvasSummary


class LibraryFolder(Shape):
    folder_id: str
    name: str
    workspace_id: WorkspaceId


class DeletedFolder(Shape):
    folder_id: str
    workspace_id: WorkspaceId
    deleted: Literal[True]


class LibraryItem(Shape):
    folder_id: str
    saved_node_id: str
    workspace_id: WorkspaceId
    asset_id: AssetId = "asset_1"
    url: str | None = None


class Feedback(Shape):
    feedback_id: public_id("fb")
    received_at: Milliseconds


class Upload(Shape):
    url: Url
    method: Literal["POST"]
    content_type: Literal["multipart/form-data"]
    file_field: Literal["file"]
    form_fields: dict[str, str]


AssetStatus = Literal["pending_upload", "ready", "failed"]


class CreatedAsset(Shape):
    asset_id: AssetId
    workspace_id: WorkspaceId
    status: AssetStatus
    uploaded_via: Literal["url", "signed_url", "direct"]
    url: Url
    visibility: Literal["workspace"]
    expires_at: Iso = ""
    upload: Upload = None
    upload_url: Url = ""


class AssetUpload(Shape):
    asset_id: AssetId
    workspace_id: WorkspaceId | None
    status: AssetStatus
    url: Url | None
    visibility: Literal["workspace"]
    failure_message: str | None = None
    expires_at: Iso = ""
    upload: Upload = None
    upload_url: Url = ""


class AssetRow(Shape):
    asset_id: AssetId | None
    name: str | None
    description: str | None
    workspace_id: WorkspaceId | None
    url: Url | None
    content_type: str
    upload_content_type: str | None
    uploaded_via: str
    status: AssetStatus
    width: float | None
    height: float | None
    size_bytes: Count | None


class ListedAsset(AssetRow):
    created_at: Milliseconds | None
    node_id: str | None = None
    project_id: ProjectId | None = None


class Assets(Shape):
    assets: list[ListedAsset]
    meta: Meta


class SingleAsset(AssetRow):
    asset_id: AssetId
    created_at: Iso | None
    failure_message: str | None


OPERATIONS = {
    "POST /generate": RunStarted,
    "GET /runs/{run_id}": RunState,
    "GET /generations": Generations,
    "POST /runs/generation": RunStarted,
    "POST /runs/technique": RunStarted,
    "POST /runs/action": RunStarted,
    "POST /techniques/{technique_id}/runs": RunState,
    "GET /techniques/{technique_id}/runs/{run_id}": RunState,
    "GET /technique-runs": TechniqueRuns,
    "GET /techniques": Techniques,
    "GET /techniques/{technique_id}": Technique,
    "GET /actions": Actions,
    "GET /actions/{action_id}": Action,
    "GET /models": Models,
    "GET /workspaces": Workspaces,
    "GET /projects": Projects,
    "POST /projects": Project,
    "GET /projects/{project_id}": Project,
    "GET /projects/{project_id}/nodes": Nodes,
    "POST /projects/{project_id}/assets/{asset_id}/attach": Attached,
    "GET /projects/{project_id}/canvas": Canvas,
    "PATCH /projects/{project_id}/canvas": CanvasExtended,
    "POST /projects/{project_id}/actions": ActionNode,
    "POST /projects/{project_id}/actions/{node_id}/run": RunStarted,
    "POST /assets": CreatedAsset,
    "GET /assets": Assets,
    "GET /assets/{asset_id}": SingleAsset,
    "POST /assets/{asset_id}/complete": AssetUpload,
    "POST /assets/{asset_id}/retry": AssetUpload,
    "POST /feedback": Feedback,
    "POST /workspaces/{workspace_id}/projects": Project,
    "POST /workspaces/{workspace_id}/folders/{folder_id}/projects": Project,
    "GET /workspaces/{workspace_id}/projects/{project_id}/graph": Graph,
    "POST /workspaces/{workspace_id}/projects/{project_id}/nodes/run": NodeRuns,
    "POST /workspaces/{workspace_id}/projects/{project_id}/canvas/changeset": Changed,
    "GET /workspaces/{workspace_id}/projects/{project_id}/canvas/definition": CanvasDefinition,
    "PUT /workspaces/{workspace_id}/projects/{project_id}/canvas/definition": CanvasDefinition,
    "POST /workspaces/{workspace_id}/library/folders": LibraryFolder,
    "DELETE /workspaces/{workspace_id}/library/folders/{folder_id}": DeletedFolder,
    "POST /workspaces/{workspace_id}/library/folders/{folder_id}/items": LibraryItem,
}
"""The 40 operations of the contract's table 2.1, in its order, and what each answers if it succeeds."""

ADAPTERS = {name: TypeAdapter(shape) for name, shape in OPERATIONS.items()}


def check_answer(operation, response):
    """Hold an answer to the contract, whether it is a success or an error."""
    assert response.headers["request-id"].startswith("req_")
    assert response.headers["content-type"] == "application/json"
    if response.is_success:
        assert response.status_code in (200, 201)
        return ADAPTERS[operation].validate_json(response.content)
    assert response.status_code in (400, 401, 402, 403, 404, 409, 413, 422, 429), response.text
    return Error.model_validate_json(response.content)
