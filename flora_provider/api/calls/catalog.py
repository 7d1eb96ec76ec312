"""Techniques, actions, models, workspaces, projects, feedback."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

from flora_provider.api import models, validation
from flora_provider.api.calls.base import (
    PAGE_SIZE,
    Call,
    as_list,
    drop_none,
    everything,
    get,
    id_problems,
    page,
    page_problems,
    post,
)
from flora_provider.api.models import Page

FeedbackKind: TypeAlias = Literal["feature_request", "bug", "technique_request", "missing_capability"]


def list_techniques(
    *, workspace_id: str | None = None, query: str | None = None, limit: int = PAGE_SIZE, cursor: str | None = None
) -> Call[Page[models.Technique]]:
    """`GET /techniques`: one page of the techniques that the key sees, with their full slots.

    Args:
        workspace_id: only its techniques; None for all.
        query: words to look for; None for all.
        limit: rows of the page, 1 to 100.
        cursor: `next_cursor` of the page before; None for the first.
    """
    validation.raise_problems(
        id_problems(workspace_id=workspace_id) + page_problems(limit=limit, cursor=cursor, query=query)
    )
    read = page("techniques", models.Technique)
    return get(read, "techniques", workspace_id=workspace_id, query=query, limit=limit, cursor=cursor)


def get_technique(technique: str) -> Call[models.Technique]:
    """`GET /techniques/{technique}`: one definition.

    Args:
        technique: a `tech_…` id or a slug such as `cctv-cam`.
    """
    validation.raise_problems(validation.problems([("technique", technique, validation.slug_or_id)]))
    return get(models.Technique.read, "techniques", technique)


def list_actions() -> Call[tuple[models.Action, ...]]:
    """`GET /actions`: all prebuilt actions; not paged."""
    return get(everything("actions", models.Action), "actions")


def get_action(action_id: str) -> Call[models.Action]:
    """`GET /actions/{action_id}`: one action, with its inputs and params.

    Args:
        action_id: such as `ken-burns-video`; see `list_actions`.
    """
    validation.raise_problems(validation.problems([("action_id", action_id, validation.slug)]))
    return get(models.Action.read, "actions", action_id)


def list_models(*, type: str | None = None) -> Call[Page[models.Model]]:  # noqa: A002 - FLORA's own name for it
    """`GET /models`: the models, all or of one type. One page today; a cursor is followed should FLORA add one.

    Args:
        type: image, video, audio or text; None for all.
    """
    validation.raise_problems(validation.problems([("type", type, validation.optional(validation.media_type))]))
    return get(page("models", models.Model), "models", type=type)


def list_workspaces() -> Call[tuple[models.Workspace, ...]]:
    """`GET /workspaces`: the workspaces of the key, normally one; not paged."""
    return get(everything("workspaces", models.Workspace), "workspaces")


def list_projects(
    *, workspace_id: str, query: str | None = None, limit: int = PAGE_SIZE, cursor: str | None = None
) -> Call[Page[models.Project]]:
    """`GET /projects`: one page of a workspace's projects, the most recently used first.

    Args:
        workspace_id: whose projects.
        query: words to look for; None for all.
        limit: rows of the page, 1 to 100.
        cursor: `next_cursor` of the page before; None for the first.
    """
    found = validation.problems([("workspace_id", workspace_id, validation.identifier)])
    validation.raise_problems(found + page_problems(limit=limit, cursor=cursor, query=query))
    read = page("projects", models.Project)
    return get(read, "projects", workspace_id=workspace_id, query=query, limit=limit, cursor=cursor)


def create_project(*, workspace_id: str, name: str) -> Call[models.Project]:
    """`POST /projects`: a new project. Names are not unique: creating twice makes two, unless under one key.

    Some workspaces refuse it with a 400 that says `Server Error` (FLORA's playbooks): take one of theirs.

    Args:
        workspace_id: where.
        name: not empty.
    """
    validation.raise_problems(
        validation.problems(
            [("workspace_id", workspace_id, validation.identifier), ("name", name, validation.non_empty_text)]
        )
    )
    return post(models.Project.read, "projects", payload={"workspace_id": workspace_id, "name": name})


def get_project(project_id: str) -> Call[models.Project]:
    """`GET /projects/{project_id}`: one project; a missing and a forbidden one are both 404.

    Args:
        project_id: the project.
    """
    validation.raise_problems(validation.problems([("project_id", project_id, validation.identifier)]))
    return get(models.Project.read, "projects", project_id)


def list_nodes(project_id: str, *, limit: int = PAGE_SIZE, cursor: str | None = None) -> Call[Page[models.Node]]:
    """`GET /projects/{project_id}/nodes`: one page of the visible media nodes of a canvas.

    Args:
        project_id: whose canvas.
        limit: rows of the page, 1 to 100.
        cursor: `next_cursor` of the page before; None for the first.
    """
    validation.raise_problems(
        validation.problems([("project_id", project_id, validation.identifier)])
        + page_problems(limit=limit, cursor=cursor)
    )
    return get(page("nodes", models.Node), "projects", project_id, "nodes", limit=limit, cursor=cursor)


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
        workspace_id: where, if it matters.
        project_id: where, if it matters.
        run_id: the run it is about, if any.
    """
    attempted = as_list(attempted_tools) or None
    ids = drop_none(workspace_id=workspace_id, project_id=project_id, run_id=run_id)
    found = validation.problems(
        [
            ("kind", kind, validation.one_of(*get_args(FeedbackKind))),
            ("summary", summary, validation.non_empty_text),
            ("detail", detail, validation.non_empty_text),
            *(
                (f"attempted_tools[{index}]", tool, validation.non_empty_text)
                for index, tool in enumerate(attempted or ())
            ),
        ]
    )
    validation.raise_problems(found + id_problems(**ids))
    payload = drop_none(kind=kind, summary=summary, detail=detail, attempted_tools=attempted, **ids)
    return post(models.Feedback.read, "feedback", payload=payload)
