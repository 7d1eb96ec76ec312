"""What FLORA answers, as types."""

from flora_provider.api.models.base import FloraModel, Page
from flora_provider.api.models.canvas import (
    ActionNode,
    AppliedChangeset,
    Canvas,
    CanvasDefinition,
    CanvasSummary,
    ChangeCounts,
    CreatedNode,
    ExtendedCanvas,
    Graph,
    GraphNode,
    NodeAction,
    NodeRun,
    NodeRuns,
    Position,
)
from flora_provider.api.models.catalog import (
    Action,
    ActionParam,
    ActionSlot,
    Asset,
    AttachedAsset,
    Feedback,
    Model,
    ModelParam,
    Node,
    Project,
    Technique,
    TechniqueSlot,
    Upload,
    Workspace,
)
from flora_provider.api.models.library import DeletedFolder, LibraryFolder, LibraryItem
from flora_provider.api.models.runs import (
    ActionRef,
    FileOutput,
    FinishedRun,
    Generation,
    ModelRef,
    Run,
    RunStatus,
    Started,
    TechniqueRef,
    TechniqueRun,
    TextOutput,
    WebhookEvent,
    WebhookRun,
)

__all__ = [
    "Action", "ActionNode", "ActionParam", "ActionRef", "ActionSlot", "AppliedChangeset", "Asset", "AttachedAsset",
    "Canvas", "CanvasDefinition", "CanvasSummary", "ChangeCounts", "CreatedNode", "DeletedFolder", "ExtendedCanvas",
    "Feedback", "FileOutput", "FinishedRun", "FloraModel", "Generation", "Graph", "GraphNode", "LibraryFolder",
    "LibraryItem", "Model", "ModelParam", "ModelRef", "Node", "NodeAction", "NodeRun", "NodeRuns", "Page",
    "Position", "Project", "Run", "RunStatus", "Started", "Technique", "TechniqueRef", "TechniqueRun",
    "TechniqueSlot", "TextOutput", "Upload", "WebhookEvent", "WebhookRun", "Workspace",
]  # fmt: skip
