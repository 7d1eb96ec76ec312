"""Starting and watching runs."""

from flora_provider.api import calls
from tests.unit.api.reference.common import META, SCOPE

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

# What calls take under the names that FLORA gives it in the body.
GENERATE = {
    "type": "image",
    "prompt": "a fern",
    "model": "t2i-flux-2-pro",
    "params": {"seed": 1},
    "callback_url": "https://example.com/cb",
    **SCOPE,
}
RUN_TECHNIQUE = {"technique_id": "tech_1", "workspace_id": "ws_1", "inputs": {"input_image": "https://a"}}
RUN_ACTION = {
    "action_id": "ken-burns-video",
    "inputs": [{"type": "image", "url": "https://media.flora.ai/a.png"}],
    "params": {"fps": "24"},
    **SCOPE,
}
START_TECHNIQUE = {
    "inputs": [{"id": "prompt", "type": "text", "value": "a fern"}],
    "callback_url": "https://example.com/cb",
}

EXAMPLES = [
    (lambda: calls.generate(**GENERATE), "POST /generate", GENERATE, STARTED),
    (
        lambda: calls.request("POST", "runs", "generation", payload=GENERATE, takes_key=True),
        "POST /runs/generation",
        GENERATE,
        STARTED,
    ),
    (lambda: calls.get_run("run_1"), "GET /runs/run_1", None, RUN),
    (lambda: calls.get_run("run_1"), "GET /runs/run_1", None, FAILED),
    (
        lambda: calls.list_generations(**SCOPE, status="completed", limit=20, cursor="eyJvZmZzZXQiOjIwfQ"),
        "GET /generations?workspace_id=ws_1&project_id=prj_1&status=completed&limit=20&cursor=eyJvZmZzZXQiOjIwfQ",
        None,
        {"generations": [GENERATION], "meta": META},
    ),
    (
        lambda: calls.run_technique(**RUN_TECHNIQUE),
        "POST /runs/technique",
        RUN_TECHNIQUE,
        STARTED | {"type": "technique", "technique": {"technique_id": "tech_1", "name": "CCTV cam"}, "model": None},
    ),
    (
        lambda: calls.run_action(**RUN_ACTION),
        "POST /runs/action",
        RUN_ACTION,
        STARTED | {"type": "action", "action": {"action_id": "ken-burns-video"}, "estimated_seconds": None},
    ),
    (
        lambda: calls.start_technique("cctv-cam", **START_TECHNIQUE),
        "POST /techniques/cctv-cam/runs",
        {**START_TECHNIQUE, "mode": "async"},
        {"run_id": "run_1", "status": "pending", "progress": 0, "created_at": 1750000000000},
    ),
    (lambda: calls.get_technique_run("tech_1", "run_1"), "GET /techniques/tech_1/runs/run_1", None, RUN),
    (
        lambda: calls.list_technique_runs(technique_id="tech_1"),
        "GET /technique-runs?technique_id=tech_1&limit=100",
        None,
        {"technique_runs": [TECHNIQUE_RUN], "meta": {"next_cursor": "abc"}},
    ),
]
