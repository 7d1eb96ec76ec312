"""A project's canvas as its complete definition, to read and to replace (contract, 2.18, operations 36 and 37)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from flora_provider.sandbox.http.responses import ApiResponse, invalid
from flora_provider.sandbox.http.validation import AnyText, Body, Flag, Number, Text
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.routes.changeset import Position
from flora_provider.sandbox.world.canvas import MAX_EDGES, MAX_NODES, Canvas, Edge

_DOCUMENTS = ("node_inputs", "node_outputs", "layer_editor_documents")


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
    expand_parent: Flag = False
    extent: Literal["parent"] | list[Any] = "parent"
    height: Number = 0.0
    hidden: Flag = False
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
    nodes: Annotated[list[_DefinedNode], Field(max_length=MAX_NODES)]
    edges: Annotated[list[_DefinedEdge], Field(max_length=MAX_EDGES)]
    node_inputs: _Documents
    node_outputs: _Documents
    layer_editor_documents: _Documents = Field({})


class _Replacement(Body):
    definition: _Definition


def _get_definition(call: Call) -> ApiResponse:
    project = call.project()
    members = {"project_id": project.project_id, "canvas_url": call.canvas_url(project)}
    counts = project.canvas.summary()
    return ApiResponse(members | {"definition": project.canvas.definition(), "summary": counts})


def _node_problems(definition: _Definition) -> Iterator[tuple[str, str]]:
    """Yield ids that are taken, and groups that do not come before their members."""
    is_group: dict[str, bool] = {}  # of the nodes so far
    for index, node in enumerate(definition.nodes):
        where = f"definition.nodes[{index}]"
        if node.id in is_group:
            yield f"{where}.id", f"{node.id!r} is the id of another node, too."
        if node.parent_id and not is_group.get(node.parent_id):
            yield f"{where}.parent_id", f"There is no group {node.parent_id!r} before this node."
        is_group[node.id] = node.type == "group"


def _edge_problems(definition: _Definition, node_ids: set[str]) -> Iterator[tuple[str, str]]:
    """Yield ids that are taken, ends that are no nodes, and second edges between two nodes."""
    edge_ids: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for index, edge in enumerate(definition.edges):
        where = f"definition.edges[{index}]"
        ends = {"source": edge.source, "target": edge.target}
        yield from ((f"{where}.{end}", f"There is no node {ends[end]!r}.") for end in ends if ends[end] not in node_ids)
        if edge.id in edge_ids:
            yield f"{where}.id", f"{edge.id!r} is the id of another edge, too."
        if (edge.source, edge.target) in pairs:
            yield where, f"{edge.source!r} and {edge.target!r} are connected already."
        edge_ids.add(edge.id)
        pairs.add((edge.source, edge.target))


def _replace_definition(call: Call) -> ApiResponse:
    """Replace the whole canvas, or nothing if anything is wrong."""
    project, definition = call.project(), call.json(_Replacement).definition
    node_ids = {node.id for node in definition.nodes}
    problems = [*_node_problems(definition), *_edge_problems(definition, node_ids)]
    problems += [
        (f"definition.{name}.{node_id}", "There is no such node.")
        for name in _DOCUMENTS
        for node_id in getattr(definition, name)
        if node_id not in node_ids
    ]
    if problems:
        raise invalid(*problems)
    before = project.canvas
    canvas = Canvas(before, reserved=node_ids)
    for node in definition.nodes:
        new = canvas.add(node.id, node.type, node.data)
        new.layout = node.model_dump(exclude={"id", "type", "data", "position"}, exclude_unset=True)
        if "position" in node.model_fields_set:
            new.position = (node.position.x, node.position.y)
        if node.id in before.nodes:
            new.run_id = before.nodes[node.id].run_id
    for edge in definition.edges:
        more = edge.model_dump(include={"data", "type"}, exclude_unset=True)
        canvas.connect(Edge(edge.source, edge.target, edge.target_handle, edge.source_handle, edge.id, more))
    canvas.documents = definition.model_dump(include=set(_DOCUMENTS), exclude_unset=True)
    project.canvas, project.last_modified = canvas, call.sandbox.clock.now()
    return _get_definition(call)


_PATH = "/workspaces/{workspace_id}/projects/{project_id}/canvas/definition"
ROUTES = [Route("GET", _PATH, _get_definition), Route("PUT", _PATH, _replace_definition, key="header")]
