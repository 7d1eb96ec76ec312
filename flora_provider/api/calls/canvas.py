"""A project's canvas: read it, change it, and run what is on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from flora_provider.api import models, validation
from flora_provider.api.calls.base import (
    Call,
    as_list,
    drop_none,
    get,
    optional,
    post,
    required,
    row_problems,
    send_json,
)
from flora_provider.api.text import short_repr

MAX_NODE_RUNS = 50
"""Nodes that one call runs at most (FLORA's SDK)."""


def _position(name: str, value: object) -> str | None:
    members = dict.fromkeys(("x", "y"), validation.number)
    return "; ".join(row_problems(name, value, members, needed=members)) or None


_TEXT = validation.non_empty_text
_NODE_PARAMS: Mapping[str, validation.Check] = {
    **dict.fromkeys(("prompt", "model", "aspect_ratio", "resolution"), validation.optional(_TEXT)),
    "content_url": validation.optional(validation.source_url),
    "model_parameters": validation.optional(validation.mapping),
}

# What an operation of a changeset may hold, and what it must hold. A model is an id, or a name, which has spaces.
_CHANGE: Mapping[str, validation.Check] = {
    **dict.fromkeys(("label", "model", "prompt"), _TEXT),
    "params": validation.mapping,
    "position": _position,
}
_NODE_TYPES = ("image", "video", "text", "audio", "group", "static_image", "layer_editor")
_LINK = {"from": _TEXT, "to": _TEXT, "in": validation.optional(_TEXT)}
_OPERATIONS: Mapping[str, tuple[Mapping[str, validation.Check], tuple[str, ...]]] = {
    "add": (
        {
            "ref": _TEXT,
            "type": validation.one_of(*_NODE_TYPES),
            "content_url": validation.source_url,
            "group": _TEXT,
            **_CHANGE,
        },
        ("ref", "type"),
    ),
    "update": ({"id": _TEXT, **_CHANGE}, ("id",)),
    "connect": (_LINK, ("from", "to")),
    "disconnect": (_LINK, ("from", "to")),
    "remove": ({"id": _TEXT}, ("id",)),
}
# The member that names a new node, and a changed one: FLORA takes each name once.
_NAMES = {"add": "ref", "update": "id"}

_DEFINITION: Mapping[str, validation.Check] = {
    **dict.fromkeys(("nodes", "edges"), validation.sequence),
    **dict.fromkeys(("node_inputs", "node_outputs"), validation.mapping),
}
_HANDLES = dict.fromkeys(("source_handle", "target_handle"), validation.optional(validation.any_string))
_DEFINED: Mapping[str, Mapping[str, validation.Check]] = {
    "nodes": {"id": _TEXT, "type": _TEXT, "data": validation.mapping},
    "edges": {"id": _TEXT, "source": _TEXT, "target": _TEXT, **_HANDLES},
}


def get_canvas(project_id: str) -> Call[models.Canvas]:
    """`GET /projects/{project_id}/canvas`: the canvas as a Mermaid flowchart."""
    validation.raise_problems(required(project_id=project_id))
    return get(models.Canvas.read, "projects", project_id, "canvas")


def extend_canvas(
    *, project_id: str, diagram: str, node_params: Mapping[str, Mapping[str, Any]] | None = None
) -> Call[models.ExtendedCanvas]:
    r"""`PATCH /projects/{project_id}/canvas`: add the nodes and links of a Mermaid flowchart. Takes no key.

    It only adds: a node that is there already is created once more, with a warning. An edge may name it, though.

    Args:
        project_id: whose canvas.
        diagram: such as `graph LR\n a["A fern (Image)"] --> b["Greener (Image)"]`.
        node_params: by the node's name in the diagram: `prompt` (else the label) or `content_url` (of media to show),
            `model`, `aspect_ratio`, `resolution`, `model_parameters`, each of which may be None.
    """
    found = required(project_id=project_id, diagram=diagram) + optional(node_params=node_params)
    for name, params in node_params.items() if isinstance(node_params, Mapping) else ():
        found += row_problems(f"node_params.{name}", params, _NODE_PARAMS)
        found += _excluded(f"node_params.{name}", params, "prompt")
    validation.raise_problems(found)
    payload = drop_none(diagram=diagram, node_params=node_params)
    path = ("projects", project_id, "canvas")
    return send_json("PATCH", models.ExtendedCanvas.read, *path, payload=payload, takes_key=False)


def create_action_node(
    *, project_id: str, action_id: str, params: Mapping[str, Any] | None = None
) -> Call[models.ActionNode]:
    """`POST /projects/{project_id}/actions`: put an action on a canvas. Takes no key.

    Args:
        project_id: whose canvas.
        action_id: such as `ken-burns-video`; see `list_actions`.
        params: per action; None for its defaults.
    """
    validation.raise_problems(required(project_id=project_id, action_id=action_id) + optional(params=params))
    payload = drop_none(action_id=action_id, params=params)
    path = ("projects", project_id, "actions")
    return send_json("POST", models.ActionNode.read, *path, payload=payload, takes_key=False)


def run_action_node(*, project_id: str, node_id: str) -> Call[models.Started]:
    """`POST /projects/{project_id}/actions/{node_id}/run`: run an action's node on what is connected to it.

    Takes no key. Look at the run with `get_run`.
    """
    validation.raise_problems(required(project_id=project_id, node_id=node_id))
    path = ("projects", project_id, "actions", node_id, "run")
    return replace(send_json("POST", models.Started.read, *path, payload={}, takes_key=False), starts="action")


def get_graph(*, workspace_id: str, project_id: str) -> Call[models.Graph]:
    """`GET …/projects/{project_id}/graph`: all nodes and edges, with a revision that changes when they do."""
    validation.raise_problems(required(workspace_id=workspace_id, project_id=project_id))
    return get(models.Graph.read, *_project(workspace_id, project_id), "graph")


def run_nodes(*, workspace_id: str, project_id: str, node_ids: Iterable[str]) -> Call[models.NodeRuns]:
    """`POST …/projects/{project_id}/nodes/run`: run generation nodes as they are configured. Bills at once.

    One that cannot run is skipped, with a reason, and hinders no other. Credits are not checked before: a run for which
    they do not suffice fails (FLORA's SDK). Look at the runs with `get_run`.

    Args:
        workspace_id: the workspace that is billed.
        project_id: whose canvas.
        node_ids: 1 to 50 nodes by short id or UUID, in any order: FLORA runs first what others need.
    """
    names = as_list(node_ids)
    found = required(workspace_id=workspace_id, project_id=project_id)
    if not 1 <= len(names) <= MAX_NODE_RUNS:
        found.append(f"node_ids holds {len(names)} nodes: FLORA runs 1 to {MAX_NODE_RUNS} at once")
    found += validation.problems((f"node_ids[{i}]", name, validation.opaque_id) for i, name in enumerate(names))
    validation.raise_problems(found)
    path = (*_project(workspace_id, project_id), "nodes", "run")
    return post(models.NodeRuns.read, *path, payload={"node_ids": names})


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

    FLORA applies the operations in the order of these parameters. A node is named by the short id or the UUID that
    `get_graph` shows, or by the `ref` under which this changeset adds it.

    Args:
        workspace_id: the project's.
        project_id: whose canvas.
        add: each `{ref, type, prompt?, model?, params?, content_url?, label?, position?, group?}`; type is image,
            video, text, audio, group, static_image or layer_editor, position `{x, y}`, and `content_url` the address
            of media to show, without prompt, model and params.
        update: each `{id, prompt?, model?, params?, label?, position?}`, one per node; params are merged.
        connect: each `{from, to, in?}`; `in` names an input of the target.
        disconnect: the same; without `in` every edge between the two.
        remove: each `{id}`, with the node's edges and a group's members. FLORA cannot undo it.
    """
    operations = {"add": add, "update": update, "connect": connect, "disconnect": disconnect, "remove": remove}
    changes = {name: rows for name, value in operations.items() if (rows := as_list(value))}
    found = required(workspace_id=workspace_id, project_id=project_id)
    found += [] if changes else ["the changeset is empty: give at least one operation"]
    for name, rows in changes.items():
        members, needed = _OPERATIONS[name]
        for index, row in enumerate(rows):
            found += row_problems(f"{name}[{index}]", row, members, needed=needed)
            found += _excluded(f"{name}[{index}]", row, "prompt", "model", "params") if name == "add" else []
        found += _repeated(name, rows)
    validation.raise_problems(found)
    # An edge of the graph may land in no input in particular: its `in` is None there, and absent here.
    payload = {name: [drop_none(**row) for row in rows] for name, rows in changes.items()}
    path = (*_project(workspace_id, project_id), "canvas", "changeset")
    return post(models.AppliedChangeset.read, *path, payload=payload)


def get_canvas_definition(*, workspace_id: str, project_id: str) -> Call[models.CanvasDefinition]:
    """`GET …/projects/{project_id}/canvas/definition`: all that it takes to make the canvas anew."""
    validation.raise_problems(required(workspace_id=workspace_id, project_id=project_id))
    return get(models.CanvasDefinition.read, *_project(workspace_id, project_id), "canvas", "definition")


def replace_canvas_definition(
    *, workspace_id: str, project_id: str, definition: Mapping[str, Any]
) -> Call[models.CanvasDefinition]:
    """`PUT …/projects/{project_id}/canvas/definition`: replace the whole canvas, all or nothing.

    It is resent without a key, too; under a key FLORA refuses what it has done already.

    Args:
        workspace_id: the project's.
        project_id: whose canvas.
        definition: `nodes`, `edges`, `node_inputs`, `node_outputs`, as `get_canvas_definition` shows them. A node
            without a `position` gets one.
    """
    found = required(workspace_id=workspace_id, project_id=project_id)
    found += row_problems("definition", definition, _DEFINITION, needed=_DEFINITION, closed=False)
    for name, members in _DEFINED.items():
        rows = definition.get(name) if isinstance(definition, Mapping) else None
        for index, row in enumerate(rows if isinstance(rows, list | tuple) else ()):
            found += row_problems(f"definition.{name}[{index}]", row, members, needed=members, closed=False)
    validation.raise_problems(found)
    path = (*_project(workspace_id, project_id), "canvas", "definition")
    return send_json("PUT", models.CanvasDefinition.read, *path, payload={"definition": definition}, takes_key=True)


def _project(workspace_id: str, project_id: str) -> tuple[str, ...]:
    return ("workspaces", workspace_id, "projects", project_id)


def _excluded(name: str, row: object, *members: str) -> list[str]:
    """What a node that shows given media has besides."""
    if not isinstance(row, Mapping) or not row.get("content_url"):
        return []
    return [f"{name} has both content_url and {it}: give one of them" for it in members if row.get(it)]


def _repeated(operation: str, rows: list[Any]) -> list[str]:
    """The names of nodes that are there twice, of operations that take each once."""
    member = _NAMES.get(operation, "")
    names = [row.get(member) if isinstance(row, Mapping) else None for row in rows]
    return [
        f"{operation}[{index}].{member} is {short_repr(name)}, as of {operation}[{names.index(name)}]: give each once"
        for index, name in enumerate(names)
        if isinstance(name, str) and names.index(name) < index
    ]
