"""Running nodes of a canvas, and what they show (contract, 2.18, operations 23, 24 and 34)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from flora_provider.sandbox.http.responses import ApiResponse, invalid, not_found
from flora_provider.sandbox.http.validation import Body, Text
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.routes.starting import start
from flora_provider.sandbox.world.actions import ACTIONS, known_action
from flora_provider.sandbox.world.canvas import BLOCKS, GENERATIVE, Canvas, Node
from flora_provider.sandbox.world.catalog import MODELS
from flora_provider.sandbox.world.runs import Run, RunInput, RunRequest
from flora_provider.sandbox.world.state import Project


class _NewActionNode(Body):
    action_id: Annotated[str, AfterValidator(known_action)]
    params: dict[str, Any] = Field({})


class _RunNodes(Body):
    node_ids: Annotated[list[Text], Field(min_length=1, max_length=50)]


def latest_run(call: Call, node: Node) -> Run | None:
    """Return the run that was last started from a node."""
    return call.sandbox.state.runs.get(node.run_id or "")


def outputs(call: Call, node: Node) -> list[dict[str, str]]:
    """Return the outputs of a node's latest run, as soon as it is completed."""
    run = latest_run(call, node)
    state = run.state(call.sandbox.clock.now(), call.root) if run is not None else {}
    found: list[dict[str, str]] = state.get("outputs", [])
    return found


def output_url(call: Call, node: Node) -> str | None:
    """Return the address of what a node shows: the output of its run, or its own content."""
    made = [output["url"] for output in outputs(call, node) if output["type"] != "text"]
    return made[0] if made else node.text("url")


def output_text(call: Call, node: Node) -> str | None:
    """Return the text that a node's run has written."""
    made = [output["url"] for output in outputs(call, node) if output["type"] == "text"]
    return made[0] if made else None


def _create_action_node(call: Call) -> ApiResponse:
    project, body = call.project(), call.json(_NewActionNode)
    if problems := ACTIONS[body.action_id].check_params(body.params):
        raise invalid(*problems)
    project.canvas.require_room(1)
    node_id = call.sandbox.state.new_id("node")
    data = {"label": ACTIONS[body.action_id].name, "action_id": body.action_id, "params": body.params}
    project.canvas.add(node_id, BLOCKS["action"], data)
    members = {"project_id": project.project_id, "node_id": node_id, "action_id": body.action_id}
    return ApiResponse(members | {"canvas_url": call.canvas_url(project)}, 201)


def _run_action_node(call: Call) -> ApiResponse:
    """Run the action of a node with what the nodes before it show."""
    project = call.project()
    node = project.canvas.find(call.path["node_id"])
    action = ACTIONS.get(node.text("action_id") or "") if node is not None else None
    if node is None or action is None:
        raise not_found(f"Action node {call.path['node_id']}")
    inputs = _inputs(call, project.canvas, node)
    request = RunRequest(action.name, project.workspace_id, project.project_id, node.members("params") or {}, inputs)
    run = start(call, action, request)
    node.run_id = run.run_id
    return ApiResponse(run.started(call.root), 201)


def _run_nodes(call: Call) -> ApiResponse:
    """Run generation nodes; one that cannot run is skipped with a reason, and hinders no other."""
    project, node_ids = call.project(), call.json(_RunNodes).node_ids
    return ApiResponse(
        {"project_id": project.project_id, "runs": [_run_node(call, project, node_id) for node_id in node_ids]}
    )


def _run_node(call: Call, project: Project, node_id: str) -> dict[str, Any]:
    def skipped(reason: str, message: str) -> dict[str, Any]:
        return {"node_id": node_id, "status": "skipped", "reason": reason, "message": message}

    node = project.canvas.find(node_id)
    if node is None:
        return skipped("node_not_found", "The canvas has no such node.")
    medium, name = GENERATIVE.get(node.block), node.text("model")
    if medium is None:
        return skipped("node_not_executable", f"A node of type {node.type} generates nothing.")
    model = next((model for model in MODELS if model.medium == medium and model.id == name), None)
    if model is None:
        return skipped("no_model_configured", f"The node has no {medium} model.")
    before = latest_run(call, node)
    if before is not None and before.status(call.sandbox.clock.now()) in ("pending", "running"):
        return skipped("generation_already_running", f"Run {before.run_id} has not ended.")
    inputs = _inputs(call, project.canvas, node)
    prompt = " ".join(filter(None, [node.text("prompt"), *(item.value for item in inputs if item.medium == "text")]))
    if not prompt:
        return skipped("run_failed_to_start", "The node has no prompt.")
    request = RunRequest(prompt, project.workspace_id, project.project_id, node.members("params") or {}, inputs)
    run = start(call, model, request)
    node.run_id = run.run_id
    started = run.started(call.root)
    members = ("run_id", "type", "poll_url", "model", "charged_cost", "estimated_seconds")
    return {"node_id": node_id, "status": "started", **{name: started[name] for name in members}}


def _inputs(call: Call, canvas: Canvas, node: Node) -> tuple[RunInput, ...]:
    found = []
    for number, (handle, source) in enumerate(canvas.inputs_of(node.node_id), 1):
        text = output_text(call, source) or (source.text("prompt") if source.medium == "text" else None)
        value = text if source.medium == "text" else output_url(call, source)
        if source.medium is not None and value:
            found.append(RunInput(handle or f"input_{number}", source.medium, value))
    return tuple(found)


ROUTES = [
    Route("POST", "/projects/{project_id}/actions", _create_action_node),
    Route("POST", "/projects/{project_id}/actions/{node_id}/run", _run_action_node),
    Route("POST", "/workspaces/{workspace_id}/projects/{project_id}/nodes/run", _run_nodes, key="header"),
]
