"""Techniques, actions, models, workspaces, projects, feedback."""

from __future__ import annotations

from collections.abc import Iterable

from flora_provider.api import models, validation
from flora_provider.api.calls.base import (
    PAGE_SIZE,
    Call,
    FeedbackKind,
    as_list,
    drop_none,
    everything,
    get,
    optional,
    page,
    paged,
    post,
    required,
)
from flora_provider.api.models import Page


def list_techniques(
    *, workspace_id: str | None = None, query: str | None = None, limit: int = PAGE_SIZE, cursor: str | None = None
) -> Call[Page[models.Technique]]:
    """`GET /techniques`: one page of the techniques that the key sees, with their full slots."""
    asked = {"workspace_id": workspace_id, "query": query}
    return paged("techniques", models.Technique, "techniques", limit=limit, cursor=cursor, query=asked)


def get_technique(technique: str) -> Call[models.Technique]:
    """`GET /techniques/{technique}`: one definition.

    Args:
        technique: a `tech_…` id or a slug such as `cctv-cam`.
    """
    validation.raise_problems(required(technique=technique))
    return get(models.Technique.read, "techniques", technique)


def list_actions() -> Call[tuple[models.Action, ...]]:
    """`GET /actions`: all prebuilt actions; not paged."""
    return get(everything("actions", models.Action), "actions")


def get_action(action_id: str) -> Call[models.Action]:
    """`GET /actions/{action_id}`: one action, with its inputs and params.

    Args:
        action_id: such as `ken-burns-video`; see `list_actions`.
    """
    validation.raise_problems(required(action_id=action_id))
    return get(models.Action.read, "actions", action_id)


def list_models(*, type: str | None = None) -> Call[Page[models.Model]]:  # noqa: A002 - FLORA's own name for it
    """`GET /models`: the models, all or of one type. One page today; a cursor is followed should FLORA add one.

    Args:
        type: image, video, audio or text; None for all.
    """
    validation.raise_problems(optional(type=type))
    return get(page("models", models.Model), "models", type=type)


def list_workspaces() -> Call[tuple[models.Workspace, ...]]:
    """`GET /workspaces`: the workspaces of the key, normally one; not paged."""
    return get(everything("workspaces", models.Workspace), "workspaces")


def list_projects(
    *, workspace_id: str, query: str | None = None, limit: int = PAGE_SIZE, cursor: str | None = None
) -> Call[Page[models.Project]]:
    """`GET /projects`: one page of a workspace's projects, the most recently used first."""
    missing = required(workspace_id=None) if workspace_id is None else ()
    asked = {"workspace_id": workspace_id, "query": query}
    return paged("projects", models.Project, "projects", limit=limit, cursor=cursor, found=missing, query=asked)


def create_project(*, workspace_id: str, name: str) -> Call[models.Project]:
    """`POST /projects`: a new project. Names are not unique: creating twice makes two, unless under one key.

    Some workspaces refuse it with a 400 that says `Server Error` (FLORA's playbooks): take one of theirs.
    """
    validation.raise_problems(required(workspace_id=workspace_id, name=name))
    return post(models.Project.read, "projects", payload={"workspace_id": workspace_id, "name": name})


def create_workspace_project(*, workspace_id: str, name: str) -> Call[models.Project]:
    """`POST /workspaces/{workspace_id}/projects`: as `create_project`, with the workspace in the path."""
    validation.raise_problems(required(workspace_id=workspace_id, name=name))
    return post(models.Project.read, "workspaces", workspace_id, "projects", payload={"name": name})


def create_folder_project(*, workspace_id: str, folder_id: str, name: str) -> Call[models.Project]:
    """`POST /workspaces/{workspace_id}/folders/{folder_id}/projects`: a new project in a folder of projects.

    A folder that the key cannot reach is a 404.
    """
    validation.raise_problems(required(workspace_id=workspace_id, folder_id=folder_id, name=name))
    path = ("workspaces", workspace_id, "folders", folder_id, "projects")
    return post(models.Project.read, *path, payload={"name": name})


def get_project(project_id: str) -> Call[models.Project]:
    """`GET /projects/{project_id}`: one project; a missing and a forbidden one are both 404."""
    validation.raise_problems(required(project_id=project_id))
    return get(models.Project.read, "projects", project_id)


def list_nodes(project_id: str, *, limit: int = PAGE_SIZE, cursor: str | None = None) -> Call[Page[models.Node]]:
    """`GET /projects/{project_id}/nodes`: one page of the visible media nodes of a canvas."""
    found = required(project_id=project_id)
    return paged("nodes", models.Node, "projects", project_id, "nodes", limit=limit, cursor=cursor, found=found)


def send_feedback(
    *,
    kind: FeedbackKind | str,
    summary: str,
    detail: str,
    attempted_tools: Iterable[str] = (),
    workspace_id: str | None = None,
    project_id: str | None = None,
    run_id: str | None = None,
) -> Call[models.Feedback]:
    """`POST /feedback`: tell FLORA's makers about a bug or a wish.

    Args:
        kind: feature_request, bug, technique_request or missing_capability.
        summary: not empty.
        detail: not empty.
        attempted_tools: what was tried.
        workspace_id: that it is about, if any.
        project_id: that it is about, if any.
        run_id: that it is about, if any.
    """
    attempted = as_list(attempted_tools) or None
    ids = drop_none(workspace_id=workspace_id, project_id=project_id, run_id=run_id)
    found = required(kind=kind, summary=summary, detail=detail)
    attempts = ((f"attempted_tools[{index}]", tool) for index, tool in enumerate(attempted or ()))
    found += validation.problems((name, tool, validation.non_empty_text) for name, tool in attempts)
    validation.raise_problems(found + required(**ids))
    payload = drop_none(kind=kind, summary=summary, detail=detail, attempted_tools=attempted, **ids)
    return post(models.Feedback.read, "feedback", payload=payload)
