"""A project's canvas: its nodes and edges, as FLORA's API shows and changes them (contract, 2.18)."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flora_provider.sandbox.http.responses import invalid
from flora_provider.sandbox.world.runs import Medium

MAX_NODES = 5000
"""Most nodes of a canvas; FLORA publishes no number."""

BLOCKS = {
    "image": "emptyImageBlock",
    "video": "videoBlock",
    "audio": "audioBlock",
    "text": "textBlock",
    "static_image": "staticImageBlock",
    "group": "group",
    "layer_editor": "layerEditorNode",
    "action": "codeBlock",
}
"""The block of a canvas definition that a node of each type is (the type as a graph and a changeset name it)."""
GENERATIVE: dict[str, Medium] = {BLOCKS[medium]: medium for medium in ("image", "video", "audio", "text")}
"""The blocks that a model fills, and what it makes."""
_TYPES = {block: name for name, block in BLOCKS.items()}
_MEDIA = {
    **GENERATIVE,
    **{f"static{medium.capitalize()}Block": medium for medium in GENERATIVE.values() if medium != "text"},
    **{f"result{medium.capitalize()}Block": medium for medium in GENERATIVE.values()},
}


@dataclass(slots=True)
class Node:
    """A node. `data` is what its definition holds, which a client may have written in any form."""

    node_id: str
    number: int
    block: str
    data: dict[str, Any] = field(default_factory=dict)
    position: tuple[float, float] = (0.0, 0.0)
    layout: dict[str, Any] = field(default_factory=dict)  # further members of its definition, e.g. width
    run_id: str | None = None  # the latest run that was started from it

    @property
    def id(self) -> str:
        """Short id, as a graph shows it."""
        return f"n{self.number}"

    @property
    def type(self) -> str:
        """Type as a graph and a changeset name it."""
        return _TYPES.get(self.block, self.block)

    @property
    def medium(self) -> Medium | None:
        """What it shows, or is to show; None for groups, comments and the like."""
        return _MEDIA.get(self.block)

    def text(self, name: str) -> str | None:
        """Return a member of `data` if it is a text."""
        value = self.data.get(name)
        return value if isinstance(value, str) else None

    def members(self, name: str) -> dict[str, Any] | None:
        """Return a member of `data` if it is an object."""
        value = self.data.get(name)
        return value if isinstance(value, dict) else None


@dataclass(frozen=True, slots=True)
class Edge:
    """A connection from one node's output to another's input, both named by `node_id`."""

    source: str
    target: str
    handle: str | None = None  # the input, where it is named
    source_handle: str | None = None
    edge_id: str = field(default="", compare=False)
    more: dict[str, Any] = field(default_factory=dict, compare=False)  # further members of its definition


class Canvas:
    """The nodes and edges of one project, in the order they came."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}  # by node_id
        self.edges: list[Edge] = []
        self.documents: dict[str, Any] = {}  # further members of a definition that was put
        self._last_number = 0

    def emptied(self) -> Canvas:
        """Return an empty canvas that gives no short id away twice."""
        canvas = Canvas()
        canvas._last_number = self._last_number
        return canvas

    def require_room(self, count: int) -> None:
        """Refuse with a 400 to add so many nodes, if there would be too many."""
        if len(self.nodes) + count > MAX_NODES:
            raise invalid(("canvas", f"A canvas holds at most {MAX_NODES} nodes; it has {len(self.nodes)}."))

    def copy(self) -> Canvas:
        """Return a canvas to change, which takes this one's place only if all changes were valid."""
        return copy.deepcopy(self)

    def add(self, node_id: str, block: str, data: dict[str, Any], position: tuple[float, float] | None = None) -> Node:
        """Add a node; without a position it goes to the right of the last one."""
        self._last_number += 1
        node = Node(node_id, self._last_number, block, data, position or (self._last_number * 320.0, 0.0))
        self.nodes[node_id] = node
        return node

    def find(self, name: str) -> Node | None:
        """Return the node with this `node_id` or short id."""
        return self.nodes.get(name) or next((node for node in self.nodes.values() if node.id == name), None)

    def connect(self, edge: Edge) -> bool:
        """Add an edge; return whether it is new."""
        is_new = edge not in self.edges
        if is_new:
            self.edges.append(edge)
        return is_new

    def disconnect(self, source: str, target: str, handle: str | None = None) -> bool:
        """Remove the edges between two nodes, or the one into a named input; return whether there was any."""
        kept = [
            edge
            for edge in self.edges
            if (edge.source, edge.target) != (source, target) or handle not in (None, edge.handle)
        ]
        found, self.edges = len(kept) < len(self.edges), kept
        return found

    def remove(self, node_id: str) -> None:
        """Remove a node and its edges."""
        del self.nodes[node_id]
        self.edges = [edge for edge in self.edges if node_id not in (edge.source, edge.target)]

    def inputs_of(self, node_id: str) -> Iterator[tuple[str | None, Node]]:
        """Yield the nodes that are connected to a node, with the input they go to."""
        for edge in self.edges:
            if edge.target == node_id:
                yield edge.handle, self.nodes[edge.source]

    def summary(self) -> dict[str, int]:
        """Return the counts that a canvas is summed up with; a workflow is a connected part with an edge."""
        parent = {node_id: node_id for node_id in self.nodes}

        def root(node_id: str) -> str:
            while parent[node_id] != node_id:
                parent[node_id] = node_id = parent[parent[node_id]]
            return node_id

        for edge in self.edges:
            parent[root(edge.source)] = root(edge.target)
        connected = {node_id for edge in self.edges for node_id in (edge.source, edge.target)}
        return {
            "node_count": len(self.nodes),
            "edge_count": len(self.edges),
            "group_count": sum(node.block == "group" for node in self.nodes.values()),
            "isolated_node_count": len(self.nodes) - len(connected),
            "workflow_count": len({root(node_id) for node_id in connected}),
        }

    def definition(self) -> dict[str, Any]:
        """Return the canonical definition, which can be put again."""
        nodes = [
            {
                **node.layout,
                "id": node.node_id,
                "type": node.block,
                "data": node.data,
                "position": {"x": node.position[0], "y": node.position[1]},
            }
            for node in self.nodes.values()
        ]
        edges = [
            {
                **edge.more,
                "id": edge.edge_id or f"{edge.source}-{edge.target}-{edge.handle or ''}",
                "source": edge.source,
                "source_handle": edge.source_handle,
                "target": edge.target,
                "target_handle": edge.handle,
            }
            for edge in self.edges
        ]
        return {"nodes": nodes, "edges": edges, "node_inputs": {}, "node_outputs": {}, **self.documents}

    def revision(self) -> str:
        """Return an opaque text that differs whenever the canvas does."""
        canonical = json.dumps(self.definition(), sort_keys=True).encode()
        return hashlib.blake2b(canonical, digest_size=10).hexdigest()
