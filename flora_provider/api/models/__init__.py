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
    "Action", "ActionParam", "ActionRef", "ActionSlot", "Asset", "AttachedAsset", "Feedback", "FileOutput",
    "FinishedRun", "FloraModel", "Generation", "Model", "ModelParam", "ModelRef", "Node", "Page", "Project", "Run",
    "RunStatus", "Started", "Technique", "TechniqueRef", "TechniqueRun", "TechniqueSlot", "TextOutput", "Upload",
    "WebhookEvent", "WebhookRun", "Workspace",
]  # fmt: skip
