"""What FLORA has: techniques, actions, models, workspaces, projects; and what has no function of its own."""

from flora_provider.api import calls
from tests.unit.api.reference.common import META, SCOPE

SLOT = {
    "id": "input_image",
    "name": "Image",
    "type": "imageUrl",
    "description": "what to change",
    "optional": True,
    "accepts_element": True,
    "allow_multiple": True,
    "specified_aspect_ratio": "16:9",
    "specified_duration": 5,
}
TECHNIQUE = {
    "technique_id": "tech_1",
    "name": "CCTV cam",
    "slug": "cctv-cam",
    "run_cost": 0.05,
    "description": "as seen from above",
    "inputs": [SLOT],
    "outputs": [{"id": "full", "name": "Full", "type": "videoUrl"}],
}
ACTION = {
    "action_id": "ken-burns-video",
    "name": "Ken Burns",
    "description": "pan and zoom",
    "language": "python",
    "charged_cost": 0,
    "inputs": [
        {"name": "image", "type": "image", "multiple": {"min": 1, "max": 4}, "dynamic": False},
        {"name": "sound", "type": "audio", "optional": True, "multiple": True},
    ],
    "outputs": [{"name": "video", "type": "video"}],
    "params": [
        {
            "key": "fps",
            "type": "enum",
            "label": "FPS",
            "info_tooltip": "frames",
            "default_value": "30",
            "available_values": [{"label": "24", "value": "24", "description": "film"}],
            "min_number_value": 1,
            "max_number_value": 60,
            "number_step": 0.5,
        }
    ],
}
MODEL = {
    "model_id": "t2i-flux-2-pro",
    "name": "FLUX.2 Pro",
    "provider": "BFL",
    "type": "image",
    "capabilities": ["t2i"],
    "estimated_credits": 40,
    "estimated_seconds": 12,
    "beta": True,
    "params": [
        {
            "name": "aspect_ratio",
            "type": "string",
            "required": False,
            "default": "1:1",
            "min": 0,
            "max": 1,
            "label": "Ratio",
            "description": "of the sides",
            "options": [{"label": "square", "value": "1:1"}],
            "properties": {"w": {"min": 1, "max": 2, "default": 1}},
        }
    ],
}
PROJECT = {
    "project_id": "prj_1",
    "workspace_id": "ws_1",
    "name": "Ferns",
    "origin": "api",
    "created_at": 1750000000000,
    "last_modified": 1750000500000,
}
NODE = {
    "node_id": "node_1",
    "type": "image",
    "asset_id": "asset_1",
    "label": "b",
    "url": "https://media.flora.ai/b.png",
    "width": 640,
    "height": 480,
}
FEEDBACK = {"kind": "bug", "summary": "s", "detail": "d", "attempted_tools": ["generate"], "run_id": "run_1", **SCOPE}

EXAMPLES = [
    (
        lambda: calls.list_techniques(query="a b"),
        "GET /techniques?query=a+b&limit=100",
        None,
        {"techniques": [TECHNIQUE], "meta": {"limit": 5}},
    ),
    (lambda: calls.get_technique("tech_1"), "GET /techniques/tech_1", None, TECHNIQUE),
    (calls.list_actions, "GET /actions", None, {"actions": [ACTION]}),
    (lambda: calls.get_action("ken-burns-video"), "GET /actions/ken-burns-video", None, ACTION),
    (lambda: calls.list_models(type="image"), "GET /models?type=image", None, {"models": [MODEL]}),
    (
        calls.list_workspaces,
        "GET /workspaces",
        None,
        {"workspaces": [{"workspace_id": "ws_1", "name": "Ours", "role": "owner", "created_at": None}]},
    ),
    (
        lambda: calls.list_projects(workspace_id="ws_1"),
        "GET /projects?workspace_id=ws_1&limit=100",
        None,
        {"projects": [PROJECT, PROJECT | {"origin": None, "last_modified": None}], "meta": META},
    ),
    (
        lambda: calls.create_project(workspace_id="ws_1", name="Ferns"),
        "POST /projects",
        {"workspace_id": "ws_1", "name": "Ferns"},
        PROJECT,
    ),
    (
        lambda: calls.create_workspace_project(workspace_id="ws_1", name="Ferns"),
        "POST /workspaces/ws_1/projects",
        {"name": "Ferns"},
        PROJECT,
    ),
    (
        lambda: calls.create_folder_project(workspace_id="ws_1", folder_id="fld_1", name="Ferns"),
        "POST /workspaces/ws_1/folders/fld_1/projects",
        {"name": "Ferns"},
        PROJECT,
    ),
    (lambda: calls.get_project("prj_1"), "GET /projects/prj_1", None, PROJECT),
    (
        lambda: calls.list_nodes("prj_1"),
        "GET /projects/prj_1/nodes?limit=100",
        None,
        {"nodes": [NODE, {"node_id": "node_2", "type": "text"}], "meta": META, "project_id": "prj_1"},
    ),
    (
        lambda: calls.send_feedback(**FEEDBACK),
        "POST /feedback",
        FEEDBACK,
        {"feedback_id": "fb_1", "received_at": 1750000000000},
    ),
    (
        lambda: calls.request("patch", "projects", "prj_1", "comments", query={"a": "1"}, payload={"text": "t"}),
        "PATCH /projects/prj_1/comments?a=1",
        {"text": "t"},
        {"project_id": "prj_1", "comment_count": 2, "warnings": []},
    ),
    (lambda: calls.request("DELETE", "workspaces", "ws_1"), "DELETE /workspaces/ws_1", None, {"deleted": True}),
]
