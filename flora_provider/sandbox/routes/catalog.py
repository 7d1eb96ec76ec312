"""What the key can see and use: workspaces, models, techniques, actions (contract, 2.8 to 2.13); and feedback."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flora_provider.sandbox.http.paging import PageQuery, page
from flora_provider.sandbox.http.responses import ApiResponse, not_found
from flora_provider.sandbox.http.validation import Body, ProjectId, Query, RunId, Text, WorkspaceId
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.routes.runs import find_technique
from flora_provider.sandbox.world.actions import ACTIONS, known_action
from flora_provider.sandbox.world.catalog import MODELS, TECHNIQUES
from flora_provider.sandbox.world.runs import Medium

# Made once, for every call shows the same.
_MODELS = [model.to_json() for model in MODELS]
_ACTIONS = [action.to_json() for action in ACTIONS.values()]


class _TechniquesQuery(PageQuery):
    workspace_id: WorkspaceId = ""
    query: Text = ""


class _ModelsQuery(Query):
    type: Medium | None = None


class _Feedback(Body):
    kind: Literal["feature_request", "bug", "technique_request", "missing_capability"]
    summary: Text
    detail: Text
    attempted_tools: list[str] = Field([])
    workspace_id: WorkspaceId = ""
    project_id: ProjectId = ""
    run_id: RunId = ""


def _list_workspaces(call: Call) -> ApiResponse:
    """Return the workspaces of the key; one, unless a test added some."""
    rows = [
        {"workspace_id": w.workspace_id, "name": w.name, "role": "owner", "created_at": round(w.created_at * 1000)}
        for w in call.sandbox.state.workspaces["own"]
    ]
    return ApiResponse({"workspaces": rows})


def _list_models(call: Call) -> ApiResponse:
    medium = call.query(_ModelsQuery).type
    return ApiResponse({"models": [row for row in _MODELS if medium in (None, row["type"])]})


def _list_techniques(call: Call) -> ApiResponse:
    query = call.query(_TechniquesQuery)
    if query.workspace_id:
        call.sandbox.state.require_workspace(query.workspace_id)
    words = query.query.lower()
    found = [technique for technique in TECHNIQUES if words in technique.name.lower() and not technique.archived]
    return page("techniques", found, query, lambda technique: technique.to_json())


def _get_technique(call: Call) -> ApiResponse:
    return ApiResponse(find_technique(call.path["technique_id"]).to_json())


def _list_actions(_: Call) -> ApiResponse:
    """Return all actions; this list has no pages."""
    return ApiResponse({"actions": _ACTIONS})


def _get_action(call: Call) -> ApiResponse:
    try:
        action_id = known_action(call.path["action_id"])
    except ValueError:
        raise not_found(f"Action {call.path['action_id']}") from None
    return ApiResponse(ACTIONS[action_id].to_json())


def _give_feedback(call: Call) -> ApiResponse:
    """Take note of feedback, without keeping it."""
    call.json(_Feedback)
    return ApiResponse(
        {"feedback_id": call.sandbox.state.new_id("fb"), "received_at": round(call.sandbox.clock.now() * 1000)}, 201
    )


ROUTES = [
    Route("GET", "/workspaces", _list_workspaces),
    Route("GET", "/models", _list_models),
    Route("GET", "/techniques", _list_techniques),
    Route("GET", "/techniques/{technique_id}", _get_technique),
    Route("GET", "/actions", _list_actions),
    Route("GET", "/actions/{action_id}", _get_action),
    Route("POST", "/feedback", _give_feedback, key="header"),
]
