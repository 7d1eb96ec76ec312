"""Every endpoint as FLORA's reference shows it: what is sent, and what is answered."""

import io

from flora_provider.api import calls

META = {"next_cursor": None, "total_estimate": 1}
RUN = {
    "run_id": "run_1",
    "status": "completed",
    "progress": 100,
    "created_at": 1750000000000,
    "started_at": 1750000001000,
    "completed_at": 1750000012500,
    "charged_cost": 0.04,
    "outputs": [
        {"output_id": "output_1", "type": "imageUrl", "url": "https://media.flora.ai/node-outputs/a.png?tr=orig-true"},
        {"output_id": "output_2", "type": "text", "url": "A fern, in words."},
    ],
    "poll_url": "https://app.flora.ai/api/v1/runs/run_1",
}
FAILED = {
    "run_id": "run_1",
    "status": "failed",
    "progress": 100,
    "created_at": 1750000000000,
    "completed_at": 1750000012500,
    "error_code": "provider_error",
    "error_message": "The provider did not answer.",
}
STARTED = {
    "run_id": "run_abc123",
    "type": "generation",
    "estimated_seconds": 12,
    "charged_cost": 0.04,
    "poll_url": "https://app.flora.ai/api/v1/runs/run_abc123",
    "model": {"model_id": "t2i-flux-2-pro"},
    "project_id": "prj_abc123",
}
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
UPLOAD = {
    "url": "https://storage.googleapis.com/bucket",
    "method": "POST",
    "content_type": "multipart/form-data",
    "file_field": "file",
    "form_fields": {"key": "a/b.png", "policy": "cG9saWN5", "x-goog-signature": "5167"},
}
RESERVED = {
    "asset_id": "asset_1",
    "workspace_id": "ws_1",
    "status": "pending_upload",
    "uploaded_via": "signed_url",
    "url": "https://media.flora.ai/node-inputs/b.png",
    "visibility": "workspace",
    "expires_at": "2026-08-24T12:00:00.000Z",
    "upload": UPLOAD,
}
READY = {
    "asset_id": "asset_1",
    "workspace_id": None,
    "status": "ready",
    "url": None,
    "visibility": "workspace",
    "failure_message": None,
}
LISTED_ASSET = {
    "asset_id": "asset_1",
    "name": "b.png",
    "description": None,
    "workspace_id": "ws_1",
    "url": "https://media.flora.ai/node-inputs/b.png",
    "content_type": "image/png",
    "upload_content_type": "image/png",
    "uploaded_via": "agent",
    "status": "ready",
    "width": 640,
    "height": 480,
    "size_bytes": 123456,
    "created_at": 1750000000000,
    "node_id": "node_1",
    "project_id": "prj_1",
}
SINGLE_ASSET = LISTED_ASSET | {"created_at": "2025-06-15T15:06:40.000Z", "failure_message": None}
GENERATION = RUN | {
    "generation_id": "run_1",
    "project_id": "prj_1",
    "workspace_id": "ws_1",
    "model": {"model_id": "t2i-flux-2-pro"},
}
TECHNIQUE_RUN = RUN | {
    "technique_run_id": "run_1",
    "project_id": "prj_1",
    "workspace_id": "ws_1",
    "technique": {"technique_id": "tech_1", "name": "CCTV cam"},
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
PLACE = {"workspace_id": "ws_1", "project_id": "prj_1"}


def from_file():
    return calls.create_asset_from_file(
        file=io.BytesIO(b"png"), workspace_id="ws_1", content_type="image/png", file_name="b.png", folder="ferns"
    )


# How a call is made, its request line, the JSON that is sent (None for none, or for a form), the JSON that comes back.
EXAMPLES = [
    (
        lambda: calls.generate(
            type="image",
            prompt="a fern",
            model="t2i-flux-2-pro",
            params={"seed": 1},
            callback_url="https://example.com/cb",
            **PLACE,
        ),
        "POST /generate",
        {
            "type": "image",
            "prompt": "a fern",
            "model": "t2i-flux-2-pro",
            "params": {"seed": 1},
            "callback_url": "https://example.com/cb",
            **PLACE,
        },
        STARTED,
    ),
    (
        lambda: calls.run_generation(type="text", prompt="a fern", **PLACE),
        "POST /runs/generation",
        {"type": "text", "prompt": "a fern", **PLACE},
        STARTED,
    ),
    (lambda: calls.get_run("run_1"), "GET /runs/run_1", None, RUN),
    (lambda: calls.get_run("run_1"), "GET /runs/run_1", None, FAILED),
    (
        lambda: calls.list_generations(**PLACE, status="completed", limit=20, cursor="eyJvZmZzZXQiOjIwfQ"),
        "GET /generations?workspace_id=ws_1&project_id=prj_1&status=completed&limit=20&cursor=eyJvZmZzZXQiOjIwfQ",
        None,
        {"generations": [GENERATION], "meta": META},
    ),
    (
        lambda: calls.run_technique(technique_id="tech_1", workspace_id="ws_1", inputs={"input_image": "https://a"}),
        "POST /runs/technique",
        {"technique_id": "tech_1", "workspace_id": "ws_1", "inputs": {"input_image": "https://a"}},
        STARTED | {"type": "technique", "technique": {"technique_id": "tech_1", "name": "CCTV cam"}, "model": None},
    ),
    (
        lambda: calls.run_action(
            action_id="ken-burns-video", inputs=[{"type": "image", "url": "https://a"}], params={"fps": "24"}, **PLACE
        ),
        "POST /runs/action",
        {
            "action_id": "ken-burns-video",
            "inputs": [{"type": "image", "url": "https://a"}],
            "params": {"fps": "24"},
            **PLACE,
        },
        STARTED | {"type": "action", "action": {"action_id": "ken-burns-video"}, "estimated_seconds": None},
    ),
    (
        lambda: calls.start_technique(
            "cctv-cam",
            inputs=[{"id": "prompt", "type": "text", "value": "a fern"}],
            callback_url="https://example.com/cb",
        ),
        "POST /techniques/cctv-cam/runs",
        {
            "inputs": [{"id": "prompt", "type": "text", "value": "a fern"}],
            "mode": "async",
            "callback_url": "https://example.com/cb",
        },
        {"run_id": "run_1", "status": "pending", "progress": 0, "created_at": 1750000000000},
    ),
    (lambda: calls.get_technique_run("tech_1", "run_1"), "GET /techniques/tech_1/runs/run_1", None, RUN),
    (
        lambda: calls.list_technique_runs(technique_id="tech_1"),
        "GET /technique-runs?technique_id=tech_1&limit=100",
        None,
        {"technique_runs": [TECHNIQUE_RUN], "meta": {"next_cursor": "abc"}},
    ),
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
    (lambda: calls.get_project("prj_1"), "GET /projects/prj_1", None, PROJECT),
    (
        lambda: calls.list_nodes("prj_1"),
        "GET /projects/prj_1/nodes?limit=100",
        None,
        {"nodes": [NODE, {"node_id": "node_2", "type": "text"}], "meta": META, "project_id": "prj_1"},
    ),
    (
        lambda: calls.attach_asset(project_id="prj_1", asset_id="asset_1"),
        "POST /projects/prj_1/assets/asset_1/attach",
        {},
        {"project_id": "prj_1", "asset_id": "asset_1", "node_id": "n3", "canvas_url": "https://app.flora.ai/p/1"},
    ),
    (
        lambda: calls.create_asset(source=calls.SIGNED_UPLOAD, file_name="b.png", content_type="image/png", **PLACE),
        "POST /assets",
        {"source": "signed-url", "file_name": "b.png", "content_type": "image/png", **PLACE},
        RESERVED,
    ),
    (
        lambda: calls.create_asset(source="https://example.com/b.png", workspace_id="ws_1"),
        "POST /assets",
        {"source": "https://example.com/b.png", "workspace_id": "ws_1"},
        RESERVED | {"uploaded_via": "url", "upload": None},
    ),
    (from_file, "POST /assets", None, READY | {"uploaded_via": "direct", "workspace_id": "ws_1"}),
    (lambda: calls.complete_asset("asset_1"), "POST /assets/asset_1/complete", {}, READY),
    (
        lambda: calls.retry_asset("asset_1"),
        "POST /assets/asset_1/retry",
        {},
        RESERVED | {"upload": None, "upload_url": "https://storage.example.com/put?signature=1"},
    ),
    (lambda: calls.get_asset("asset_1"), "GET /assets/asset_1", None, SINGLE_ASSET),
    (
        lambda: calls.list_assets(query="fern"),
        "GET /assets?query=fern&limit=100",
        None,
        {"assets": [LISTED_ASSET, LISTED_ASSET | {"asset_id": None, "url": None, "created_at": None}], "meta": META},
    ),
    (
        lambda: calls.send_feedback(
            kind="bug", summary="s", detail="d", attempted_tools=["generate"], run_id="run_1", **PLACE
        ),
        "POST /feedback",
        {
            "kind": "bug",
            "summary": "s",
            "detail": "d",
            "attempted_tools": ["generate"],
            "run_id": "run_1",
            **PLACE,
        },
        {"feedback_id": "fb_1", "received_at": 1750000000000},
    ),
    (
        lambda: calls.raw("patch", "projects", "prj_1", "canvas", query={"a": "1"}, payload={"diagram": "graph TD"}),
        "PATCH /projects/prj_1/canvas?a=1",
        {"diagram": "graph TD"},
        {"project_id": "prj_1", "created_node_count": 2, "warnings": []},
    ),
    (lambda: calls.raw("DELETE", "workspaces", "ws_1"), "DELETE /workspaces/ws_1", None, {"deleted": True}),
]
