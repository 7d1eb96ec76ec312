"""What the key can see and use: workspaces, projects, models, techniques, actions (contract, 2.8 to 2.14, 2.18)."""

from __future__ import annotations

from typing import Any

from flora_provider.sandbox.http.paging import page
from flora_provider.sandbox.http.responses import ApiResponse, not_found
from flora_provider.sandbox.http.validation import Member, check_path_id, one_of, page_size, public_id, text, texts
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.routes.runs import find_technique
from flora_provider.sandbox.world.actions import ACTIONS, ACTIONS_BY_ID
from flora_provider.sandbox.world.catalog import MODELS, TECHNIQUES
from flora_provider.sandbox.world.state import Project

_PAGE = {"limit": Member(page_size), "cursor": Member(text)}
_PROJECTS = {"workspace_id": Member(public_id("ws_"), required=True), "query": Member(text), **_PAGE}
_TECHNIQUES = {"workspace_id": Member(public_id("ws_")), "query": Member(text), **_PAGE}
_NEW_PROJECT = {"workspace_id": Member(public_id("ws_"), required=True), "name": Member(text, required=True)}
_FEEDBACK = {
    "kind": Member(one_of("feature_request", "bug", "technique_request", "missing_capability"), required=True),
    "summary": Member(text, required=True),
    "detail": Member(text, required=True),
    "attempted_tools": Member(texts),
    "workspace_id": Member(public_id("ws_")),
    "project_id": Member(public_id("prj_")),
    "run_id": Member(public_id("run_")),
}


def list_workspaces(call: Call) -> ApiResponse:
    """Return the workspaces of the key; one, unless a test added some."""
    rows = [
        {"workspace_id": w.workspace_id, "name": w.name, "role": "owner", "created_at": round(w.created_at * 1000)}
        for w in call.sandbox.state.workspaces["own"]
    ]
    return ApiResponse({"workspaces": rows})


def list_projects(call: Call) -> ApiResponse:
    """Return a page of a workspace's projects, by recent activity."""
    query = call.query(_PROJECTS)
    call.sandbox.state.require_workspace(query["workspace_id"])
    found = [
        project
        for project in call.sandbox.state.projects.values()
        if project.workspace_id == query["workspace_id"] and _matches(query, project.name)
    ]
    found.sort(key=lambda project: project.last_modified, reverse=True)
    return page("projects", found, query, Project.to_json)


def create_project(call: Call) -> ApiResponse:
    """Create a project."""
    body = call.json(_NEW_PROJECT)
    call.sandbox.state.require_workspace(body["workspace_id"])
    return ApiResponse(call.sandbox.state.add_project(body["workspace_id"], body["name"]).to_json(), 201)


def get_project(call: Call) -> ApiResponse:
    """Return one project."""
    return ApiResponse(_project(call).to_json())


def list_nodes(call: Call) -> ApiResponse:
    """Return a page of a project's canvas nodes: the assets attached to it, newest first."""
    project = _project(call)
    api_response = page("nodes", reversed(project.nodes), call.query(_PAGE), dict)
    api_response.body |= {"project_id": project.project_id, "canvas_url": canvas_url(call, project)}
    return api_response


def list_models(call: Call) -> ApiResponse:
    """Return the models, of one type if asked."""
    medium = call.query({"type": Member(one_of("image", "video", "audio", "text"))}).get("type")
    return ApiResponse({"models": [model.to_json() for model in MODELS if medium in (None, model.medium)]})


def list_techniques(call: Call) -> ApiResponse:
    """Return a page of the techniques."""
    query = call.query(_TECHNIQUES)
    if "workspace_id" in query:
        call.sandbox.state.require_workspace(query["workspace_id"])
    found = [technique for technique in TECHNIQUES if _matches(query, technique.name)]
    return page("techniques", found, query, lambda technique: technique.to_json())


def get_technique(call: Call) -> ApiResponse:
    """Return one technique, by id or slug."""
    return ApiResponse(find_technique(call).to_json())


def list_actions(_: Call) -> ApiResponse:
    """Return all actions; this list has no pages."""
    return ApiResponse({"actions": [action.to_json() for action in ACTIONS]})


def get_action(call: Call) -> ApiResponse:
    """Return one action."""
    action = ACTIONS_BY_ID.get(call.path["action_id"])
    if action is None:
        raise not_found(f"Action {call.path['action_id']}")
    return ApiResponse(action.to_json())


def feedback(call: Call) -> ApiResponse:
    """Take note of feedback, without keeping it."""
    call.json(_FEEDBACK)
    return ApiResponse(
        {"feedback_id": call.sandbox.state.new_id("fb"), "received_at": round(call.sandbox.clock.now() * 1000)}, 201
    )


def _project(call: Call) -> Project:
    check_path_id("project_id", call.path["project_id"], "prj_")
    return call.sandbox.state.own_project(call.path["project_id"])


def canvas_url(call: Call, project: Project) -> str:
    """Return where people look at a project."""
    return f"{call.root}/projects/{project.project_id}"


def _matches(query: dict[str, Any], name: str) -> bool:
    return str(query.get("query", "")).lower() in name.lower()


ROUTES = [
    Route("GET", "/workspaces", list_workspaces),
    Route("GET", "/projects", list_projects),
    Route("POST", "/projects", create_project, key="header"),
    Route("GET", "/projects/{project_id}", get_project),
    Route("GET", "/projects/{project_id}/nodes", list_nodes),
    Route("GET", "/models", list_models),
    Route("GET", "/techniques", list_techniques),
    Route("GET", "/techniques/{technique_id}", get_technique),
    Route("GET", "/actions", list_actions),
    Route("GET", "/actions/{action_id}", get_action),
    Route("POST", "/feedback", feedback, key="header"),
]
