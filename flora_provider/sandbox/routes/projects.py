"""Projects, and the media nodes on their canvas (contract, 2.14, operations 16 to 19, 31 and 32)."""

from __future__ import annotations

from typing import Any

from flora_provider.sandbox.http.paging import NewestFirst, PageQuery, page
from flora_provider.sandbox.http.responses import ApiResponse
from flora_provider.sandbox.http.validation import Body, Text, WorkspaceId
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.routes.nodes import output_text, output_url
from flora_provider.sandbox.world.canvas import Node
from flora_provider.sandbox.world.state import Project


class _ProjectsQuery(PageQuery):
    workspace_id: WorkspaceId
    query: Text = ""


class _Named(Body):
    name: Text


class _NewProject(_Named):
    workspace_id: WorkspaceId


def _list_projects(call: Call) -> ApiResponse:
    """Return a page of a workspace's projects, by recent activity."""
    query = call.query(_ProjectsQuery)
    call.sandbox.state.require_workspace(query.workspace_id)
    found = [
        project
        for project in call.sandbox.state.projects.values()
        if project.workspace_id == query.workspace_id and query.query.lower() in project.name.lower()
    ]
    found.sort(key=lambda project: project.last_modified, reverse=True)
    return page("projects", found, query, Project.to_json)


def _create_project(call: Call) -> ApiResponse:
    body = call.json(_NewProject)
    call.sandbox.state.require_workspace(body.workspace_id)
    return ApiResponse(call.sandbox.state.add_project(body.workspace_id, body.name).to_json(), 201)


def _create_in_workspace(call: Call) -> ApiResponse:
    return ApiResponse(call.sandbox.state.add_project(call.workspace_id(), call.json(_Named).name).to_json(), 201)


def _create_in_folder(call: Call) -> ApiResponse:
    """Create a project in a folder of the workspace; folders of projects are made in FLORA's app, or by a test."""
    workspace_id = call.workspace_id()
    call.sandbox.state.require_folder(workspace_id, call.path["folder_id"])
    return ApiResponse(call.sandbox.state.add_project(workspace_id, call.json(_Named).name).to_json(), 201)


def _get_project(call: Call) -> ApiResponse:
    return ApiResponse(call.project().to_json())


def _list_nodes(call: Call) -> ApiResponse:
    """Return a page of a canvas's media nodes, newest first."""
    project = call.project()
    visible = [node for node in project.canvas.nodes.values() if node.medium and not node.layout.get("hidden")]
    api_response = page("nodes", NewestFirst(visible), call.query(PageQuery), lambda node: _row(call, node))
    api_response.body |= {"project_id": project.project_id, "canvas_url": call.canvas_url(project)}
    return api_response


def _row(call: Call, node: Node) -> dict[str, Any]:
    """Return a media node; the `url` of a text is the text itself, as that of an output."""
    url = output_text(call, node) or node.string("prompt") if node.medium == "text" else output_url(call, node)
    members = {"node_id": node.node_id, "type": node.medium, "label": node.string("label")}
    return members | {"asset_id": node.string("asset_id"), "url": url}


ROUTES = [
    Route("GET", "/projects", _list_projects),
    Route("POST", "/projects", _create_project, key="header"),
    Route("GET", "/projects/{project_id}", _get_project),
    Route("GET", "/projects/{project_id}/nodes", _list_nodes),
    Route("POST", "/workspaces/{workspace_id}/projects", _create_in_workspace, key="header"),
    Route("POST", "/workspaces/{workspace_id}/folders/{folder_id}/projects", _create_in_folder, key="header"),
]
