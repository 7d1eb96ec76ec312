"""A project's canvas as a diagram, as a graph and as a definition (contract, 2.18)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from flora_provider.sandbox.http.responses import ApiResponse, invalid
from flora_provider.sandbox.http.validation import AnyText, Body, MediaUrl, Number, Text
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.routes.changeset import Position
from flora_provider.sandbox.routes.nodes import latest_run, output_text, output_url
from flora_provider.sandbox.world import mermaid
from flora_provider.sandbox.world.canvas import BLOCKS, Edge, Node
from flora_provider.sandbox.world.catalog import MODELS
from flora_provider.sandbox.world.state import Project

_TYPES = ("image", "video", "audio", "text")
_GRAPH_STATUS = {"pending": "generating", "running": "generating", "completed": "done", "failed": "error"}


class _NodeParams(Body):
    prompt: Text | None = None
    model: Text | None = None
    content_url: MediaUrl | None = None
    aspect_ratio: Text | None = None
    resolution: Text | None = None
    model_parameters: dict[str, Any] | None = None


class _Extension(Body):
    diagram: Annotated[str, Field(min_length=1, max_length=100_000)]
    node_params: dict[str, _NodeParams] = Field({})


def _get_canvas(call: Call) -> ApiResponse:
    project = call.project()
    return ApiResponse(_with_diagram(call, project) | {"summary": project.canvas.summary()})


def _extend_canvas(call: Call) -> ApiResponse:
    """Add the nodes and links of a flowchart; a node that is there already is added once more, with a warning."""
    project, body = call.project(), call.json(_Extension)
    try:
        diagram = mermaid.read(body.diagram)
    except ValueError as error:
        raise invalid(("diagram", str(error))) from None
    problems = [
        (f"node_params.{name}", "The diagram has no such node.")
        for name in body.node_params
        if name not in diagram.nodes
    ]
    problems += [
        (f"node_params.{name}", "prompt and content_url exclude each other.")
        for name, params in body.node_params.items()
        if params.prompt and params.content_url
    ]
    if problems:
        raise invalid(*problems)
    canvas = project.canvas
    canvas.require_room(len(diagram.nodes))
    warnings = [f"Node {name} exists already; another one was created." for name in diagram.nodes if canvas.find(name)]
    created = {}
    for name, text in diagram.nodes.items():
        block, data = _declared(text, body.node_params.get(name, _NodeParams()))
        created[name] = canvas.add(call.sandbox.state.new_id("node"), block, data).node_id
    edges = sum(canvas.connect(Edge(created[a], created[b], label)) for a, b, label in diagram.links)
    counts = {"created_node_count": len(created), "created_edge_count": edges}
    return ApiResponse(_with_diagram(call, project) | counts | ({"warnings": warnings} if warnings else {}))


def _declared(text: str, params: _NodeParams) -> tuple[str, dict[str, Any]]:
    """Return block and data of a node: its type stands before its text (`image: A fern`), or is its model's."""
    kind, _, label = text.partition(": ")
    if kind not in BLOCKS or not label:
        model = next((model for model in MODELS if model.id == params.model), None)
        kind, label = model.medium if model is not None else "text", text
    if params.content_url and kind in _TYPES:
        block = BLOCKS["static_image"] if kind in ("image", "text") else f"static{kind.capitalize()}Block"
        return block, {"label": label, "url": params.content_url}
    settings = params.model_dump(include={"aspect_ratio", "resolution"}, exclude_none=True)
    members = {"label": label, "prompt": params.prompt or label, "model": params.model}
    return BLOCKS[kind], {**members, "params": {**settings, **(params.model_parameters or {})}}


def _with_diagram(call: Call, project: Project) -> dict[str, Any]:
    canvas = project.canvas
    names = {node.node_id: node.id for node in canvas.nodes.values()}
    nodes = {node.id: f"{node.type}: {_label(node)}" for node in canvas.nodes.values()}
    links = [(names[edge.source], names[edge.target], edge.handle) for edge in canvas.edges]
    return {**_canvas(call, project), "diagram": mermaid.write(mermaid.Diagram(nodes, links))}


def _label(node: Node) -> str:
    return node.text("label") or node.text("prompt") or node.id


def _canvas(call: Call, project: Project) -> dict[str, Any]:
    return {"project_id": project.project_id, "canvas_url": call.canvas_url(project)}


def _get_graph(call: Call) -> ApiResponse:
    project = call.project()
    canvas = project.canvas
    names = {node.node_id: node.id for node in canvas.nodes.values()}
    edges = [{"from": names[edge.source], "to": names[edge.target], "in": edge.handle} for edge in canvas.edges]
    nodes = [_graph_node(call, node) for node in canvas.nodes.values()]
    return ApiResponse(_canvas(call, project) | {"revision": canvas.revision(), "edges": edges, "nodes": nodes})


def _graph_node(call: Call, node: Node) -> dict[str, Any]:
    run = latest_run(call, node)
    state = run.state(call.sandbox.clock.now(), call.root) if run is not None else {}
    model = node.text("model")
    action_id = node.text("action_id")
    members = {
        "id": node.id,
        "node_id": node.node_id,
        "type": node.type,
        "label": _label(node),
        "prompt": node.text("prompt"),
        "model": next((known.name for known in MODELS if known.id == model), model),
        "model_id": model,
        "params": None if action_id else node.members("params"),
        "position": {"x": node.position[0], "y": node.position[1]},
        "status": _GRAPH_STATUS[state["status"]] if state else "idle",
        "output_url": output_url(call, node),
        "output_text": output_text(call, node),
        "action": {"action_id": action_id, "params": node.members("params")} if action_id else None,
    }
    return members | {name: state[name] for name in ("error_code", "error_message") if name in state}


class _DefinedNode(Body):
    id: Text
    type: Literal[
        "videoBlock", "textBlock", "comment", "group", "ghost", "virtualSourceNode", "emptyImageBlock",
        "outpaintImageBlock", "inpaintImageBlock", "staticImageBlock", "staticVideoBlock", "resultImageBlock",
        "resultVideoBlock", "resultTextBlock", "audioBlock", "resultAudioBlock", "staticAudioBlock", "techniqueBlock",
        "layerEditorNode", "videoEditorNode", "collectionNode", "routerNode", "switchNode", "elementNode", "textLabel",
        "codeBlock", "documentNode", "exportNode", "webcamNode", "model3dNode",
    ]  # fmt: skip
    data: dict[str, Any]
    position: Position = Position(x=0, y=0)
    expand_parent: bool = False
    extent: Literal["parent"] | list[Any] = "parent"
    height: Number = 0.0
    hidden: bool = False
    origin: list[Any] = Field([])
    parent_id: Text = ""
    style: dict[str, Any] = Field({})
    width: Number = 0.0
    z_index: Number = 0.0


class _DefinedEdge(Body):
    id: Text
    source: Text
    target: Text
    source_handle: AnyText | None
    target_handle: AnyText | None
    data: dict[str, Any] = Field({})
    type: Text = ""


_Documents = dict[str, dict[str, Any]]


class _Definition(Body):
    nodes: Annotated[list[_DefinedNode], Field(max_length=5000)]
    edges: Annotated[list[_DefinedEdge], Field(max_length=20_000)]
    node_inputs: _Documents
    node_outputs: _Documents
    layer_editor_documents: _Documents = Field({})


class _Replacement(Body):
    definition: _Definition


def _get_definition(call: Call) -> ApiResponse:
    project = call.project()
    members = {"definition": project.canvas.definition(), "summary": project.canvas.summary()}
    return ApiResponse(_canvas(call, project) | members)


def _replace_definition(call: Call) -> ApiResponse:
    """Replace the whole canvas, or nothing if anything is wrong."""
    project, definition = call.project(), call.json(_Replacement).definition
    known = {node.id: index for index, node in enumerate(definition.nodes)}
    problems = [
        (f"definition.nodes[{index}].id", f"{node.id!r} is the id of another node, too.")
        for index, node in enumerate(definition.nodes)
        if known[node.id] != index
    ]
    problems += [
        (f"definition.edges[{index}].{end}", f"There is no node {getattr(edge, end)}.")
        for index, edge in enumerate(definition.edges)
        for end in ("source", "target")
        if getattr(edge, end) not in known
    ]
    if problems:
        raise invalid(*problems)
    before, canvas = project.canvas, project.canvas.emptied()
    for node in definition.nodes:
        new = canvas.add(node.id, node.type, node.data, (node.position.x, node.position.y))
        new.layout = node.model_dump(exclude={"id", "type", "data", "position"}, exclude_unset=True)
        new.run_id = before.nodes[node.id].run_id if node.id in before.nodes else None
    for edge in definition.edges:
        more = edge.model_dump(include={"data", "type"}, exclude_unset=True)
        canvas.connect(Edge(edge.source, edge.target, edge.target_handle, edge.source_handle, edge.id, more))
    canvas.documents = definition.model_dump(
        include={"node_inputs", "node_outputs", "layer_editor_documents"}, exclude_unset=True
    )
    project.canvas = canvas
    return _get_definition(call)


_PROJECT = "/workspaces/{workspace_id}/projects/{project_id}"
ROUTES = [
    Route("GET", "/projects/{project_id}/canvas", _get_canvas),
    Route("PATCH", "/projects/{project_id}/canvas", _extend_canvas),
    Route("GET", _PROJECT + "/graph", _get_graph),
    Route("GET", _PROJECT + "/canvas/definition", _get_definition),
    Route("PUT", _PROJECT + "/canvas/definition", _replace_definition, key="header"),
]
