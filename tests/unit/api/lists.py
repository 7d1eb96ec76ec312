"""FLORA's lists: the call, the model of a row, and the members that name a row."""

from flora_provider.api import calls
from flora_provider.api.models import Asset, Generation, Model, Node, Project, Technique, TechniqueRun
from tests.unit.api.examples import ALL

LISTS = {
    "generations": (calls.list_generations(), Generation, ("run_id", "generation_id")),
    "technique_runs": (calls.list_technique_runs(), TechniqueRun, ("run_id", "technique_run_id")),
    "techniques": (calls.list_techniques(), Technique, ("technique_id",)),
    "projects": (calls.list_projects(workspace_id="ws_1"), Project, ("project_id",)),
    "nodes": (calls.list_nodes("prj_1"), Node, ("node_id",)),
    "assets": (calls.list_assets(), Asset, ("asset_id",)),
    "models": (calls.list_models(), Model, ("model_id",)),
}


def row(name, identity):
    _, model, members = LISTS[name]
    return ALL[model] | dict.fromkeys(members, identity)


def identity_of(name, item):
    return getattr(item, LISTS[name][2][0])
