"""A project's canvas: its nodes and edges, as FLORA's API shows and changes them (contract, 2.18)."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from flora_provider.sandbox.http.responses import invalid
from flora_provider.sandbox.world.runs import Medium

MAX_NODES = 5000
"""Most nodes of a canvas; FLORA publishes no number."""
MAX_EDGES = 20_000
"""Most edges of a canvas; FLORA publishes no number."""
SPACING = 320.0
"""Pixels from a node that was placed automatically to the next one below it."""

BLOCKS = {
    "image": "emptyImageBlock",
    "video": "videoBlock",
    "audio": "audioBlock",
    "text": "textBlock",
    "static_image": "staticImageBlock",
    "static_video": "staticVideoBlock",
    "static_audio": "staticAudioBlock",
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
    **{BLOCKS[f"static_{medium}"]: medium for medium in GENERATIVE.values() if medium != "text"},
    **{f"result{medium.capitalize()}Block": medium for medium in GENERATIVE.values()},
}


@dataclass(slots=True)
class Node:
    """A node. `data` is what its definition holds, which a client may have written in any form."""

    node_id: str
    id: str  # short id, as a graph shows it
    block: str
    data: dict[str, Any] = field(default_factory=dict)
    position: tuple[float, float] = (0.0, 0.0)  # in its group, if it has one
    layout: dict[str, Any] = field(default_factory=dict)  # further members of its definition, e.g. width
    run_id: str | None = None  # the latest run that was started from it

    @property
    def type(self) -> str:
        """Type as a graph and a changeset name it."""
        return _TYPES.get(self.block, self.block)

    @property
    def medium(self) -> Medium | None:
        """What it shows, or is to show; None for groups, comments and the like."""
        return _MEDIA.get(self.block)

    @property
    def group(self) -> str | None:
        """The `node_id` of the group it is in."""
        return self.layout.get("parent_id")

    def string(self, name: str) -> str | None:
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
    edge_id: str = ""
    more: dict[str, Any] = field(default_factory=dict)  # further members of its definition


class Canvas:
    """The nodes and edges of one project, in the order they came; a group comes before its members.

    Args:
        before: The canvas whose place this one is to take; its nodes keep their short ids, and others get new ones.
        reserved: Node ids that are to come, which no short id may look like.
    """

    def __init__(self, before: Canvas | None = None, reserved: Collection[str] = ()) -> None:
        self.nodes: dict[str, Node] = {}  # by node_id
        self.edges: dict[tuple[str, str], Edge] = {}  # by source and target: FLORA has one edge per pair
        self.documents: dict[str, dict[str, Any]] = {}  # further members of a definition, each by node_id
        self.node_ids: dict[str, str] = {}  # by short id
        self.last_number: int = before.last_number if before else 0
        self._kept = {node.node_id: node.id for node in before.nodes.values()} if before else {}
        self._reserved = reserved

    def require_room(self, nodes: int, edges: int = 0) -> None:
        """Refuse with a 400 to add so many nodes and edges, if there would be too many."""
        for name, most, now, more in (
            ("nodes", MAX_NODES, len(self.nodes), nodes),
            ("edges", MAX_EDGES, len(self.edges), edges),
        ):
            if now + more > most:
                raise invalid(
                    ("canvas", f"A canvas holds at most {most} {name}; it has {now}, and {more} are to come.")
                )

    def copy(self) -> Canvas:
        """Return a canvas to change, which takes this one's place only if all changes were valid."""
        canvas = copy.copy(self)
        canvas.nodes = {node_id: replace(node, data={**node.data}) for node_id, node in self.nodes.items()}
        canvas.edges, canvas.node_ids = {**self.edges}, {**self.node_ids}
        return canvas

    def add(self, node_id: str, block: str, data: dict[str, Any], group: str | None = None) -> Node:
        """Add a node to the canvas or to a group; it is placed below those that came before."""
        short_id = self._kept.get(node_id, "")
        while not short_id or short_id in self._reserved:
            self.last_number += 1
            short_id = f"n{self.last_number}"
        node = Node(node_id, short_id, block, data, (0.0, len(self.nodes) * SPACING))
        if group is not None:
            node.layout["parent_id"] = group
        self.nodes[node_id] = node
        self.node_ids[short_id] = node_id
        return node

    def find(self, name: str) -> Node | None:
        """Return the node with this `node_id` or short id."""
        return self.nodes.get(name) or self.nodes.get(self.node_ids.get(name, ""))

    def connect(self, edge: Edge) -> bool:
        """Add an edge; return whether its nodes were not connected yet."""
        return self.edges.setdefault((edge.source, edge.target), edge) is edge

    def disconnect(self, source: str, target: str, handle: str | None = None) -> bool:
        """Remove the edge between two nodes, if it goes into the named input; return whether there was one."""
        edge = self.edges.get((source, target))
        found = edge is not None and handle in (None, edge.handle)
        if found:
            del self.edges[source, target]
        return found

    def remove(self, node_ids: Collection[str]) -> int:
        """Remove nodes, with the members of groups and all their edges; return how many nodes there were."""
        gone = set(node_ids)
        for node in self.nodes.values():
            if node.group in gone:
                gone.add(node.node_id)
        for node_id in gone:
            del self.node_ids[self.nodes.pop(node_id).id]
        self.edges = {pair: edge for pair, edge in self.edges.items() if gone.isdisjoint(pair)}
        self.documents = {
            name: {node_id: document for node_id, document in documents.items() if node_id not in gone}
            for name, documents in self.documents.items()
        }
        return len(gone)

    def move(self, node: Node, x: float, y: float) -> None:
        """Move a node to an absolute position."""
        group = node.group
        while group:
            x, y = x - self.nodes[group].position[0], y - self.nodes[group].position[1]
            group = self.nodes[group].group
        node.position = (x, y)

    def positions(self) -> dict[str, tuple[float, float]]:
        """Return the absolute position of each node."""
        found: dict[str, tuple[float, float]] = {}
        for node in self.nodes.values():
            left, top = found[node.group] if node.group else (0.0, 0.0)
            found[node.node_id] = (left + node.position[0], top + node.position[1])
        return found

    def inputs_of(self, node_id: str) -> Iterator[tuple[str | None, Node]]:
        """Yield the nodes that are connected to a node, with the input they go to."""
        for edge in self.edges.values():
            if edge.target == node_id:
                yield edge.handle, self.nodes[edge.source]

    def summary(self) -> dict[str, int]:
        """Return the counts that a canvas is summed up with; a workflow is a connected part with an edge."""
        parent = {node_id: node_id for node_id in self.nodes}

        def root(node_id: str) -> str:
            while parent[node_id] != node_id:
                parent[node_id] = node_id = parent[parent[node_id]]
            return node_id

        for edge in self.edges.values():
            parent[root(edge.source)] = root(edge.target)
        connected = {node_id for pair in self.edges for node_id in pair}
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
            for edge in self.edges.values()
        ]
        return {"nodes": nodes, "edges": edges, "node_inputs": {}, "node_outputs": {}, **self.documents}
