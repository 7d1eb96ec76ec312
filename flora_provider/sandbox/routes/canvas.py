"""A project's canvas as a Mermaid flowchart, to read and to add to (contract, 2.18, operations 21 and 22)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from flora_provider.sandbox.http.responses import ApiResponse, invalid
from flora_provider.sandbox.http.validation import Body, MediaUrl, Text
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.routes.graph import label_of
from flora_provider.sandbox.routes.nodes import find_model
from flora_provider.sandbox.world import mermaid
from flora_provider.sandbox.world.canvas import BLOCKS, GENERATIVE, Edge, Node
from flora_provider.sandbox.world.catalog import MODELS
from flora_provider.sandbox.world.state import Project

_LONGEST_LABEL = 80
_TYPES = ("image", "video", "audio", "text", "group")


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
    """Add the nodes and links of a flowchart.

    A node that is there already is linked to if the flowchart only names it. With a label it is added once more, with
    a warning.
    """
    project, body = call.project(), call.json(_Extension)
    try:
        diagram = mermaid.read(body.diagram)
    except ValueError as error:
        raise invalid(("diagram", str(error))) from None
    canvas = project.canvas
    there = {name: node for name in diagram.nodes if (node := canvas.find(name))}
    declared = {
        name: _Declared(name, name if text is None else text, body.node_params.get(name, _NodeParams()))
        for name, text in diagram.nodes.items()
        if text is not None or name not in there
    }
    unknown = body.node_params.keys() - declared.keys()
    problems = [(f"node_params.{name}", "The diagram adds no such node.") for name in sorted(unknown)]
    problems += [problem for new in declared.values() for problem in new.problems()]
    if problems:
        raise invalid(*problems)
    canvas.require_room(len(declared), len(diagram.links))
    node_ids = {name: node.node_id for name, node in there.items()}
    for name, new in declared.items():
        node_ids[name] = canvas.add(call.sandbox.state.new_id("node"), new.block, new.data()).node_id
    edges = sum(canvas.connect(Edge(node_ids[a], node_ids[b], label)) for a, b, label in diagram.links)
    project.last_modified = call.sandbox.clock.now()
    warnings = [f"Node {name} exists already; another one was created." for name in declared if name in there]
    if diagram.has_subgraphs:
        warnings.append("Subgraphs are not applied; their nodes were added without a group.")
    counts = {"created_node_count": len(declared), "created_edge_count": edges}
    return ApiResponse(_with_diagram(call, project) | counts | ({"warnings": warnings} if warnings else {}))


class _Declared:
    """A node of a flowchart with its params.

    Its type stands at the end of its label (`Product photo (Image)`), or is what its model makes, or is text.
    """

    def __init__(self, name: str, text: str, params: _NodeParams) -> None:
        self.name, self.params = name, params
        label, _, kind = text.rstrip(")").rpartition("(")
        if kind.lower() in _TYPES and text.endswith(")"):
            self.label, self.type = label.rstrip(), kind.lower()
        else:
            makes = (model.medium for model in MODELS if params.model in (model.id, model.name))
            self.label, self.type = text, next(makes, "text")
        self.model = find_model(GENERATIVE.get(BLOCKS[self.type]), params.model)
        self.block = BLOCKS.get(f"static_{self.type}", "") if params.content_url else BLOCKS[self.type]

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong."""
        where, params = f"node_params.{self.name}", self.params
        if params.content_url and params.prompt:
            yield where, "prompt and content_url exclude each other."
        elif params.content_url and not self.block:
            yield f"{where}.content_url", f"A node of type {self.type} has no such content."
        elif params.content_url and self.label:
            yield where, "A label is a prompt, which content_url excludes; label the node with its type only: (Image)."
        if params.model and not self.model:
            yield f"{where}.model", f"Unknown model {params.model!r} for a node of type {self.type}."

    def data(self) -> dict[str, Any]:
        """Return the data of the node's definition."""
        if self.params.content_url:
            return {"url": self.params.content_url}
        settings = self.params.model_dump(include={"aspect_ratio", "resolution"}, exclude_none=True)
        members = {
            "label": self.label,
            "prompt": self.params.prompt or self.label,
            "model": self.model.id if self.model else None,
            "params": {**settings, **(self.params.model_parameters or {})},
        }
        return {name: value for name, value in members.items() if value}


def _with_diagram(call: Call, project: Project) -> dict[str, Any]:
    canvas = project.canvas
    names = {node.node_id: node.id for node in canvas.nodes.values()}
    nodes: dict[str, str | None] = {node.id: _label(node) for node in canvas.nodes.values()}
    links = [(names[edge.source], names[edge.target], edge.handle) for edge in canvas.edges.values()]
    diagram = mermaid.write(mermaid.Diagram(nodes, links))
    return {"project_id": project.project_id, "canvas_url": call.canvas_url(project), "diagram": diagram}


def _label(node: Node) -> str:
    """Return the label of a node in a flowchart, with its type; one that is too long is cut."""
    label = label_of(node)
    short = label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
    return f"{short} ({(node.medium or node.type).capitalize()})"


ROUTES = [
    Route("GET", "/projects/{project_id}/canvas", _get_canvas),
    Route("PATCH", "/projects/{project_id}/canvas", _extend_canvas),
]
