"""One of each answer, with no more members than FLORA always sends; rows, which come inside others, with some."""

from flora_provider.api.models import (
    Action,
    ActionParam,
    ActionRef,
    ActionSlot,
    Asset,
    AttachedAsset,
    Feedback,
    FileOutput,
    Generation,
    Model,
    ModelParam,
    ModelRef,
    Node,
    Project,
    Run,
    Started,
    Technique,
    TechniqueRef,
    TechniqueRun,
    TechniqueSlot,
    TextOutput,
    Upload,
    WebhookEvent,
    WebhookRun,
    Workspace,
)

REQUIRED = {
    Run: {"run_id": "run_1", "status": "running"},
    Started: {"run_id": "run_1"},
    Generation: {"run_id": "r", "status": "running", "generation_id": "r", "project_id": "p", "workspace_id": "w"},
    Project: {"project_id": "prj_1", "workspace_id": "ws_1", "name": "n", "created_at": 1750000000000},
    Workspace: {"workspace_id": "ws_1", "name": "n", "role": "owner"},
    Technique: {"technique_id": "tech_1", "name": "n", "run_cost": 0.05, "inputs": [], "outputs": []},
    Model: {"model_id": "m", "name": "n", "type": "image"},
    ModelParam: {"name": "seed", "type": "int"},
    Action: {"action_id": "ken-burns-video", "name": "Ken Burns"},
    Node: {"node_id": "n3", "type": "image"},
    Asset: {"asset_id": "asset_1", "status": "ready"},
    WebhookEvent: {
        "id": "whd_1",
        "type": "run.completed",
        "created_at": 1750000000000,
        "data": {"run_id": "run_1", "run_type": "generation", "status": "completed"},
    },
}  # fmt: skip

ROWS = {
    FileOutput: {"output_id": "a", "type": "imageUrl", "url": "https://media.flora.ai/a?x=1"},
    TextOutput: {"output_id": "b", "type": "text", "url": "words"},
    TechniqueRun: {
        "run_id": "r", "status": "completed", "technique_run_id": "t", "project_id": "p", "workspace_id": "w",
        "technique": {"name": "n"}, "outputs": [{"output_id": "b", "type": "text", "url": "words"}],
    },
    ModelRef: {"model_id": "t2i-flux-2-pro"},
    TechniqueRef: {"technique_id": "tech_1", "name": "n"},
    ActionRef: {"action_id": "ken-burns-video"},
    TechniqueSlot: {"id": "a", "name": "b", "type": "text"},
    ActionSlot: {"name": "image", "type": "image", "multiple": {"min": 1, "max": 4}},
    ActionParam: {"key": "fps", "type": "enum", "default_value": "24"},
    AttachedAsset: {"project_id": "p", "asset_id": "a", "node_id": "n", "canvas_url": "https://app.flora.ai/p"},
    Feedback: {"feedback_id": "f", "received_at": 1750000000123},
    Upload: {"url": "https://s.example/", "form_fields": {"policy": "x"}},
    WebhookRun: {"run_id": "run_1", "run_type": "generation", "status": "odd"},
}  # fmt: skip
ALL = REQUIRED | ROWS
