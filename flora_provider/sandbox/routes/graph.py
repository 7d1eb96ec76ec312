"""A project's canvas as a graph of nodes and edges, with the state of its runs (contract, 2.18, operation 33)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flora_provider.sandbox.http.responses import ApiResponse
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.routes.nodes import latest_run, output_text, output_url
from flora_provider.sandbox.world.canvas import BLOCKS, GENERATIVE, Node
from flora_provider.sandbox.world.catalog import MODELS
from flora_provider.sandbox.world.state import Project

_STATUS = {"pending": "generating", "running": "generating", "completed": "done", "failed": "error"}


def graph(call: Call, project: Project) -> dict[str, Any]:
    """Return the nodes and edges of a canvas; the revision changes exactly when something of them does."""
    canvas, positions = project.canvas, project.canvas.positions()
    names = {node.node_id: node.id for node in canvas.nodes.values()}
    edges = [
        {"from": names[edge.source], "to": names[edge.target], "in": edge.handle} for edge in canvas.edges.values()
    ]
    members = {"edges": edges, "nodes": [_node(call, node, positions[node.node_id]) for node in canvas.nodes.values()]}
    revision = hashlib.blake2b(json.dumps(members, sort_keys=True).encode(), digest_size=10).hexdigest()
    return {"project_id": project.project_id, "canvas_url": call.canvas_url(project), "revision": revision, **members}


def label_of(node: Node) -> str:
    """Return what a node is labelled with."""
    return node.string("label") or node.string("prompt") or node.id


def _node(call: Call, node: Node, position: tuple[float, float]) -> dict[str, Any]:
    run = latest_run(call, node)
    state = run.state(call.sandbox.clock.now(), call.root) if run is not None else {}
    is_action, generates = node.block == BLOCKS["action"], node.block in GENERATIVE
    model, params = node.string("model") if generates else None, node.members("params") or None
    members = {
        "id": node.id,
        "node_id": node.node_id,
        "type": node.type,
        "label": label_of(node),
        "prompt": node.string("prompt"),
        "model": next((known.name for known in MODELS if known.id == model), model),
        "model_id": model,
        "params": None if is_action else params,
        "position": {"x": position[0], "y": position[1]},
        "status": _STATUS[state["status"]] if state else "idle" if is_action or generates else None,
        "output_url": output_url(call, node),
        "output_text": output_text(call, node),
        "action": {"action_id": node.string("action_id"), "params": params} if is_action else None,
    }
    return members | {name: state[name] for name in ("error_code", "error_message") if name in state}


def _get_graph(call: Call) -> ApiResponse:
    return ApiResponse(graph(call, call.project()))


ROUTES = [Route("GET", "/workspaces/{workspace_id}/projects/{project_id}/graph", _get_graph)]
