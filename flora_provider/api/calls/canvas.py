"""A project's canvas: drawing, changing and running it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from flora_provider.api import models, validation
from flora_provider.api.calls.base import Call, as_list, drop_none, get, optional, post, required, row_problems
from flora_provider.api.text import short_repr

MAX_NODE_RUNS = 50
"""Nodes that one call runs at most (FLORA's SDK)."""


def _position(name: str, value: object) -> str | None:
    members = [value.get("x"), value.get("y")] if isinstance(value, Mapping) and len(value) == 2 else []  # noqa: PLR2004
    numbers = [item for item in members if isinstance(item, int | float) and not isinstance(item, bool)]
    if len(numbers) == len(members) > 0 and all(math.isfinite(min(max(item, -1e300), 1e300)) for item in numbers):
        return None
    return f"{name} is {short_repr(value)}: give {{'x': …, 'y': …}} in pixels"


_CHANGE: Mapping[str, validation.Check] = {
    "label": validation.non_empty_text,
    "model": validation.slug,
    "params": validation.mapping,
    "position": _position,
    "prompt": validation.non_empty_text,
}
_LINK: Mapping[str, validation.Check] = dict.fromkeys(("from", "to", "in"), validation.non_empty_text)
_NODE_TYPES = ("image", "video", "text", "audio", "group", "static_image", "layer_editor")
# The members of each operation of a changeset, and those that it must have.
_OPERATIONS: Mapping[str, tuple[Mapping[str, validation.Check], tuple[str, ...]]] = {
    "add": (
        {
            "ref": validation.non_empty_text,
            "type": validation.one_of(*_NODE_TYPES),
            "content_url": validation.source_url,
            "group": validation.non_empty_text,
            **_CHANGE,
        },
        ("ref", "type"),
    ),
    "update": ({"id": validation.non_empty_text, **_CHANGE}, ("id",)),
    "connect": (_LINK, ("from", "to")),
    "disconnect": (_LINK, ("from", "to")),
    "remove": ({"id": validation.non_empty_text}, ("id",)),
}
_NODE_PARAMS: Mapping[str, validation.Check] = {
    "prompt": validation.optional(validation.non_empty_text),
    "model": validation.optional(validation.slug),
    "content_url": validation.optional(validation.source_url),
    "aspect_ratio": validation.optional(validation.non_empty_text),
    "resolution": validation.optional(validation.non_empty_text),
    "model_parameters": validation.optional(validation.mapping),
}


def get_canvas(project_id: str) -> Call[models.Canvas]:
    """`GET /projects/{project_id}/canvas`: the canvas as a Mermaid flowchart."""
    validation.raise_problems(required(project_id=project_id))
    return get(models.Canvas.read, "projects", project_id, "canvas")


def extend_canvas(
    *, project_id: str, diagram: str, node_params: Mapping[str, Mapping[str, Any]] | None = None
) -> Call[models.ExtendedCanvas]:
    r"""`PATCH /projects/{project_id}/canvas`: add the nodes and links of a Mermaid flowchart. Takes no key.

    It only adds: a node that is there already is created once more, with a warning. So it is not resent after a
    failure that leaves open whether FLORA acted on it.

    Args:
        project_id: whose canvas.
        diagram: such as `flowchart LR\n a[A fern] --> b[Greener]`.
        node_params: by the node's name in the diagram: `prompt` or `content_url`, `model`, `aspect_ratio`,
            `resolution`, `model_parameters`, each of which may be None.
    """
    found = required(project_id=project_id, diagram=diagram) + optional(node_params=node_params)
    for name, params in node_params.items() if isinstance(node_params, Mapping) else ():
        found += row_problems(f"node_params.{name}", params, _NODE_PARAMS)
        if isinstance(params, Mapping) and params.get("prompt") and params.get("content_url"):
            found.append(f"node_params.{name} has both prompt and content_url: give one of them")
    validation.raise_problems(found)
    payload = drop_none(diagram=diagram, node_params=node_params)
    call = post(models.ExtendedCanvas.read, "projects", project_id, "canvas", payload=payload)
    return replace(call, method="PATCH", takes_key=False)


def create_action_node(
    *, project_id: str, action_id: str, params: Mapping[str, Any] | None = None
) -> Call[models.ActionNode]:
    """`POST /projects/{project_id}/actions`: put an action on a canvas. Takes no key.

    Args:
        project_id: whose canvas.
        action_id: such as `ken-burns-video`; see `list_actions`.
        params: per action.
    """
    validation.raise_problems(required(project_id=project_id, action_id=action_id) + optional(params=params))
    payload = drop_none(action_id=action_id, params=params)
    call = post(models.ActionNode.read, "projects", project_id, "actions", payload=payload)
    return replace(call, takes_key=False)


def run_action_node(*, project_id: str, node_id: str) -> Call[models.Started]:
    """`POST /projects/{project_id}/actions/{node_id}/run`: run an action's node on what is connected to it.

    Takes no key. Look at the run with `get_run`.
    """
    validation.raise_problems(required(project_id=project_id, node_id=node_id))
    call = post(models.Started.read, "projects", project_id, "actions", node_id, "run", payload={})
    return replace(call, takes_key=False)


def get_graph(*, workspace_id: str, project_id: str) -> Call[models.Graph]:
    """`GET …/projects/{project_id}/graph`: all nodes and edges, with a revision that changes when they do."""
    return get(models.Graph.read, *_project(workspace_id, project_id), "graph")


def run_nodes(*, workspace_id: str, project_id: str, node_ids: Iterable[str]) -> Call[models.NodeRuns]:
    """`POST …/projects/{project_id}/nodes/run`: run generation nodes. Bills at once.

    Credits are not checked before: what they do not suffice for fails as a run (FLORA's SDK). Look at the runs with
    `get_run`.

    Args:
        workspace_id: the workspace that is billed.
        project_id: whose canvas.
        node_ids: 1 to 50 nodes; the answer has them in this order.
    """
    names = as_list(node_ids)
    found = _scope_problems(workspace_id, project_id)
    if not 1 <= len(names) <= MAX_NODE_RUNS:
        found.append(f"node_ids holds {len(names)} nodes: FLORA runs 1 to {MAX_NODE_RUNS} at once")
    found += validation.problems((f"node_ids[{i}]", name, validation.opaque_id) for i, name in enumerate(names))
    validation.raise_problems(found)
    path = _project(workspace_id, project_id)
    return post(models.NodeRuns.read, *path, "nodes", "run", payload={"node_ids": names})


def apply_changeset(
    *,
    workspace_id: str,
    project_id: str,
    add: Iterable[Mapping[str, Any]] = (),
    update: Iterable[Mapping[str, Any]] = (),
    connect: Iterable[Mapping[str, Any]] = (),
    disconnect: Iterable[Mapping[str, Any]] = (),
    remove: Iterable[Mapping[str, Any]] = (),
) -> Call[models.AppliedChangeset]:
    """`POST …/projects/{project_id}/canvas/changeset`: change a canvas in one transaction, all or nothing.

    FLORA applies the operations in the order of these parameters. A node is named by its `node_id`, its short id such
    as `n3`, or the `ref` it was added under. What is removed cannot be brought back.

    Args:
        workspace_id: the project's.
        project_id: whose canvas.
        add: each `{ref, type, prompt?, model?, params?, content_url?, label?, position?, group?}`, type being image,
            video, text, audio, group, static_image or layer_editor.
        update: each `{id, prompt?, model?, params?, label?, position?}`.
        connect: each `{from, to, in?}`; `in` names the input where there are several.
        disconnect: the same.
        remove: each `{id}`.
    """
    given = {"add": add, "update": update, "connect": connect, "disconnect": disconnect, "remove": remove}
    changes = {name: rows for name, value in given.items() if (rows := as_list(value))}
    found = _scope_problems(workspace_id, project_id)
    found += [] if changes else ["the changeset is empty: give at least one operation"]
    for name, rows in changes.items():
        members, needed = _OPERATIONS[name]
        for index, row in enumerate(rows):
            found += row_problems(f"{name}[{index}]", row, members, needed=needed)
    validation.raise_problems(found)
    path = _project(workspace_id, project_id)
    return post(models.AppliedChangeset.read, *path, "canvas", "changeset", payload=changes)


def get_canvas_definition(*, workspace_id: str, project_id: str) -> Call[models.CanvasDefinition]:
    """`GET …/projects/{project_id}/canvas/definition`: the canonical JSON of a canvas."""
    return get(models.CanvasDefinition.read, *_project(workspace_id, project_id), "canvas", "definition")


def replace_canvas_definition(
    *, workspace_id: str, project_id: str, definition: Mapping[str, Any]
) -> Call[models.CanvasDefinition]:
    """`PUT …/projects/{project_id}/canvas/definition`: replace the whole canvas, all or nothing.

    Args:
        workspace_id: the project's.
        project_id: whose canvas.
        definition: `nodes`, `edges`, `node_inputs`, `node_outputs`, as `get_canvas_definition` shows them.
    """
    found = _scope_problems(workspace_id, project_id) + required(definition=definition)
    validation.raise_problems(found)
    path = (*_project(workspace_id, project_id), "canvas", "definition")
    return replace(post(models.CanvasDefinition.read, *path, payload={"definition": definition}), method="PUT")


def _scope_problems(workspace_id: str, project_id: str) -> list[str]:
    return required(workspace_id=workspace_id, project_id=project_id)


def _project(workspace_id: str, project_id: str) -> tuple[str, ...]:
    validation.raise_problems(_scope_problems(workspace_id, project_id))
    return ("workspaces", workspace_id, "projects", project_id)
