"""A row of each of FLORA's lists."""

from flora_provider.api import calls

LISTS = {
    "generations": (calls.list_generations(), {"status": "running", "project_id": "p", "workspace_id": "w"}),
    "technique_runs": (
        calls.list_technique_runs(),
        {"status": "running", "project_id": "p", "workspace_id": "w", "technique": {}},
    ),
    "techniques": (calls.list_techniques(), {"name": "n", "run_cost": 0, "inputs": [], "outputs": []}),
    "projects": (
        calls.list_projects(workspace_id="ws_1"),
        {"workspace_id": "ws_1", "name": "n", "created_at": 1750000000000},
    ),
    "nodes": (calls.list_nodes("prj_1"), {"type": "image", "asset_id": "asset_1"}),
    "assets": (calls.list_assets(), {"status": "ready", "project_id": "prj_1"}),
    "models": (calls.list_models(), {"name": "n", "type": "image"}),
}
NAMES = {
    "generations": ("run_id", "generation_id"),
    "technique_runs": ("run_id", "technique_run_id"),
    "techniques": ("technique_id",),
    "projects": ("project_id",),
    "nodes": ("node_id",),
    "assets": ("asset_id",),
    "models": ("model_id",),
}


def row(name, identity):
    return LISTS[name][1] | dict.fromkeys(NAMES[name], identity)
