"""What FLORA answers, as types."""

from flora_provider.api.models.base import FloraModel, Page
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
from flora_provider.api.models.events import WebhookEvent, WebhookRun
from flora_provider.api.models.runs import (
    FileOutput,
    FinishedRun,
    Generation,
    Run,
    RunStatus,
    Started,
    TechniqueRun,
    TextOutput,
)

__all__ = [
    "Action",
    "ActionParam",
    "ActionSlot",
    "Asset",
    "AttachedAsset",
    "Feedback",
    "FileOutput",
    "FinishedRun",
    "FloraModel",
    "Generation",
    "Model",
    "ModelParam",
    "Node",
    "Page",
    "Project",
    "Run",
    "RunStatus",
    "Started",
    "Technique",
    "TechniqueRun",
    "TechniqueSlot",
    "TextOutput",
    "Upload",
    "WebhookEvent",
    "WebhookRun",
    "Workspace",
]
