"""Running nodes of a canvas, and what they show (contract, 2.18, operations 23, 24 and 34)."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from flora_provider.sandbox.http.responses import ApiError, ApiResponse, invalid, not_found
from flora_provider.sandbox.http.validation import Body, Text
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.routes.starting import start
from flora_provider.sandbox.world.actions import ACTIONS, known_action
from flora_provider.sandbox.world.canvas import BLOCKS, GENERATIVE, Canvas, Node
from flora_provider.sandbox.world.catalog import MODELS, Model
from flora_provider.sandbox.world.runs import MEDIA, Medium, Run, RunInput, RunRequest
from flora_provider.sandbox.world.state import Project

MAX_PROMPT = 100_000
"""Most characters of a node's prompt and the texts connected to it; FLORA publishes no number."""


class _NewActionNode(Body):
    action_id: Annotated[str, AfterValidator(known_action)]
    params: dict[str, Any] = Field({})


class _RunNodes(Body):
    node_ids: Annotated[list[Text], Field(min_length=1, max_length=50)]


def find_model(medium: Medium | None, name: str | None) -> Model | None:
    """Return the model with this id or display name that makes such a medium; without a name the default one."""
    return next((model for model in MODELS if model.medium == medium and name in (None, model.id, model.name)), None)


def param_problems(node: Node) -> list[tuple[str, str]]:
    """Return the params that a node's action or model does not allow; those it does not know are let pass."""
    params = node.members("params") or {}
    if node.string("action_id") in ACTIONS:
        return ACTIONS[node.data["action_id"]].check_params(params)
    model = find_model(GENERATIVE.get(node.block), node.string("model"))
    problems = []
    for param in model.params if model is not None else ():
        name, value = param["name"], params.get(param["name"])
        allowed = [option["value"] for option in param.get("options", [])]
        least, most = param.get("min", -math.inf), param.get("max", math.inf)
        if value is None:
            continue
        if allowed and value not in allowed:
            problems.append((f"params.{name}", f"Expected one of {', '.join(allowed)}; got {value!r}."))
        elif (least, most) != (-math.inf, math.inf) and not (_is_number(value) and least <= value <= most):
            problems.append((f"params.{name}", f"Expected a number from {least} to {most}; got {value!r}."))
    return problems


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def latest_run(call: Call, node: Node) -> Run | None:
    """Return the run that was last started from a node."""
    return call.sandbox.state.runs.get(node.run_id or "")


def output_url(call: Call, node: Node) -> str | None:
    """Return the address of what a node shows: the output of its run, or its own content."""
    made = _outputs(latest_run(call, node), call.sandbox.clock.now(), call.root)
    return next((value for medium, value in made if medium != "text"), node.string("url"))


def output_text(call: Call, node: Node) -> str | None:
    """Return the text that a node's run has written."""
    made = _outputs(latest_run(call, node), call.sandbox.clock.now(), call.root)
    return next((value for medium, value in made if medium == "text"), None)


def _outputs(run: Run | None, now: float, root: str) -> list[tuple[Medium, str]]:
    """Return what a run has made by `now`; nothing until it is completed."""
    state = run.state(now, root) if run is not None else {}
    return [(MEDIA[item["type"]], item["url"]) for item in state.get("outputs", []) if item["type"] in MEDIA]


def _create_action_node(call: Call) -> ApiResponse:
    project, body = call.project(), call.json(_NewActionNode)
    if problems := ACTIONS[body.action_id].check_params(body.params):
        raise invalid(*problems)
    project.canvas.require_room(1)
    node_id = call.sandbox.state.new_id("node")
    data = {"label": ACTIONS[body.action_id].name, "action_id": body.action_id, "params": body.params}
    project.canvas.add(node_id, BLOCKS["action"], data)
    project.last_modified = call.sandbox.clock.now()
    members = {"project_id": project.project_id, "node_id": node_id, "action_id": body.action_id}
    return ApiResponse(members | {"canvas_url": call.canvas_url(project)}, 201)


def _run_action_node(call: Call) -> ApiResponse:
    """Run the action of a node with what the nodes before it show."""
    project = call.project()
    node = project.canvas.find(call.path["node_id"])
    action = ACTIONS.get(node.string("action_id") or "") if node is not None else None
    if node is None or action is None:
        raise not_found(f"Action node {call.path['node_id']}")
    inputs = _inputs(call, project.canvas, node, {})
    request = RunRequest(action.name, project.workspace_id, project.project_id, node.members("params") or {}, inputs)
    run = start(call, action, request)
    node.run_id = run.run_id
    return ApiResponse(run.started(call.root), 201)


class _SkippedError(Exception):
    """Why a node does not run: a reason of the contract, and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _run_nodes(call: Call) -> ApiResponse:
    """Run generation nodes, those first whose output others take; one that cannot run is skipped with a reason."""
    project, names = call.project(), call.json(_RunNodes).node_ids
    rows = [{"node_id": name} for name in names]
    batch: dict[str, Run] = {}
    for index in _inputs_first(project.canvas, names):
        try:
            started = _run_node(call, project, names[index], batch).started(call.root)
        except _SkippedError as error:
            rows[index] |= {"status": "skipped", "reason": error.reason, "message": str(error)}
        else:
            members = ("run_id", "type", "poll_url", "model", "charged_cost", "estimated_seconds")
            rows[index] |= {"status": "started", **{member: started[member] for member in members}}
    return ApiResponse({"project_id": project.project_id, "runs": rows})


def _inputs_first(canvas: Canvas, names: list[str]) -> list[int]:
    """Return the indexes of `names`, each after those whose nodes are its inputs, as far as there is no circle."""
    nodes = [canvas.find(name) for name in names]
    ordered: dict[int, None] = {}
    seen: set[int] = set()

    def visit(index: int) -> None:
        if index not in seen:
            seen.add(index)
            node = nodes[index]
            for other, source in enumerate(nodes):
                if node and source and (source.node_id, node.node_id) in canvas.edges:
                    visit(other)
            ordered[index] = None

    for index in range(len(names)):
        visit(index)
    return list(ordered)


def _run_node(call: Call, project: Project, name: str, batch: dict[str, Run]) -> Run:
    """Start the run of one node, and note it in `batch`, by `node_id`; raises _SkippedError."""
    node = project.canvas.find(name)
    if node is None:
        raise _SkippedError("node_not_found", "The canvas has no such node.")
    medium, model_name = GENERATIVE.get(node.block), node.string("model")
    if medium is None:
        raise _SkippedError("node_not_executable", f"A node of type {node.type} generates nothing.")
    model = find_model(medium, model_name) if model_name else None
    if model is None:
        raise _SkippedError("no_model_configured", f"The node has no {medium} model.")
    before = latest_run(call, node)
    if before is not None and before.status(call.sandbox.clock.now()) in ("pending", "running"):
        raise _SkippedError("generation_already_running", f"Run {before.run_id} has not ended.")
    inputs = _inputs(call, project.canvas, node, batch)
    texts = [
        text for text in (node.string("prompt"), *(item.value for item in inputs if item.medium == "text")) if text
    ]
    if not 0 < sum(map(len, texts)) <= MAX_PROMPT:
        raise _SkippedError("run_failed_to_start", f"The prompt is empty, or longer than {MAX_PROMPT} characters.")
    params = node.members("params") or {}
    request = RunRequest(" ".join(texts), project.workspace_id, project.project_id, params, inputs)
    sources = [batch[source.node_id] for _, source in project.canvas.inputs_of(node.node_id) if source.node_id in batch]
    try:
        wait = max((source.seconds for source in sources), default=0.0)
        run = start(call, model, request, wait, check_credits=False)
    except ApiError as error:  # about the params
        raise _SkippedError("run_failed_to_start", error.message) from None
    node.run_id = run.run_id
    batch[node.node_id] = run
    return run


def _inputs(call: Call, canvas: Canvas, node: Node, batch: dict[str, Run]) -> tuple[RunInput, ...]:
    """Return what is connected to a node; of a run in `batch` what it will make, for the node's run waits for it."""
    found = []
    for number, (handle, source) in enumerate(canvas.inputs_of(node.node_id), 1):
        run, at = latest_run(call, source), call.sandbox.clock.now()
        if run is not None and source.node_id in batch and math.isfinite(run.seconds):
            at = run.created_at + run.seconds
        own = source.string("prompt") if source.medium == "text" else source.string("url")
        made = _outputs(run, at, call.root)[:1] or ([(source.medium, own)] if source.medium and own else [])
        found += [RunInput(handle or f"input_{number}", medium, value) for medium, value in made]
    return tuple(found)


ROUTES = [
    Route("POST", "/projects/{project_id}/actions", _create_action_node),
    Route("POST", "/projects/{project_id}/actions/{node_id}/run", _run_action_node),
    Route("POST", "/workspaces/{workspace_id}/projects/{project_id}/nodes/run", _run_nodes, key="header"),
]
