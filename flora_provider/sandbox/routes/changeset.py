"""Changing a canvas by an atomic changeset (contract, 2.18, operation 35)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from flora_provider.sandbox.http.responses import ApiResponse, invalid
from flora_provider.sandbox.http.validation import Body, MediaUrl, Number, Text
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.world.canvas import BLOCKS, Canvas, Edge, Node

Coordinate = Annotated[Number, Field(allow_inf_nan=False)]


class Position(Body):
    """Where a node is, in pixels."""

    x: Coordinate
    y: Coordinate


class _Change(Body):
    label: Text | None = None
    model: Text | None = None
    params: dict[str, Any] | None = None
    position: Position | None = None
    prompt: Text | None = None

    def data(self) -> dict[str, Any]:
        """Return the members that go into a node's data."""
        return self.model_dump(include={"label", "model", "params", "prompt"}, exclude_none=True)

    def place(self) -> tuple[float, float] | None:
        """Return the position, if one was given."""
        return (self.position.x, self.position.y) if self.position else None


class _Add(_Change):
    ref: Text
    type: Literal["image", "video", "text", "audio", "group", "static_image", "layer_editor"]
    content_url: MediaUrl | None = None
    group: Text | None = None


class _Update(_Change):
    id: Text


class _Link(Body):
    from_: Annotated[Text, Field(alias="from")]
    to: Text
    in_: Annotated[Text | None, Field(alias="in")] = None


class _Remove(Body):
    id: Text


def _up_to(most: int) -> Any:
    return Field(default=[], max_length=most)


class _Changeset(Body):
    add: Annotated[list[_Add], _up_to(1000)]
    update: Annotated[list[_Update], _up_to(1000)]
    connect: Annotated[list[_Link], _up_to(1000)]
    disconnect: Annotated[list[_Link], _up_to(1000)]
    remove: Annotated[list[_Remove], _up_to(1000)]


class _Changes:
    """A changeset on its way into a copy of the canvas; what is wrong with it is collected."""

    def __init__(self, canvas: Canvas, new_id: Callable[[], str]) -> None:
        self.canvas = canvas
        self.created: dict[str, Node] = {}
        self.problems: list[tuple[str, str]] = []
        self._new_id = new_id

    def apply(self, changes: _Changeset) -> dict[str, int]:
        """Apply all changes in FLORA's order; return how many of each kind took effect."""
        self.canvas.require_room(len(changes.add))
        return {
            "added": sum(self._add(f"add[{i}]", item) for i, item in enumerate(changes.add)),
            "updated": sum(self._update(f"update[{i}]", item) for i, item in enumerate(changes.update)),
            "connected": sum(self._connect(f"connect[{i}]", item) for i, item in enumerate(changes.connect)),
            "disconnected": sum(
                self._disconnect(f"disconnect[{i}]", item) for i, item in enumerate(changes.disconnect)
            ),
            "removed": sum(self._remove(f"remove[{i}]", item) for i, item in enumerate(changes.remove)),
        }

    def _node(self, where: str, name: str) -> Node | None:
        """Return the node of this ref, id or short id, or note that there is none."""
        node = self.created.get(name) or self.canvas.find(name)
        if node is None or node.node_id not in self.canvas.nodes:
            self.problems.append((where, f"There is no node {name!r}."))
            return None
        return node

    def _ends(self, where: str, link: _Link) -> tuple[str, str] | None:
        ends = self._node(f"{where}.from", link.from_), self._node(f"{where}.to", link.to)
        return (ends[0].node_id, ends[1].node_id) if ends[0] and ends[1] else None

    def _add(self, where: str, new: _Add) -> bool:
        if new.ref in self.created:
            self.problems.append((f"{where}.ref", f"{new.ref!r} names another node of this changeset already."))
        data = new.data() | new.model_dump(include={"group"}, exclude_none=True)
        if new.content_url:
            data["url"] = new.content_url
        self.created[new.ref] = self.canvas.add(self._new_id(), BLOCKS[new.type], data, new.place())
        return True

    def _update(self, where: str, change: _Update) -> bool:
        if node := self._node(f"{where}.id", change.id):
            node.data |= change.data()
            node.position = change.place() or node.position
        return node is not None

    def _connect(self, where: str, link: _Link) -> bool:
        ends = self._ends(where, link)
        return ends is not None and self.canvas.connect(Edge(*ends, link.in_))

    def _disconnect(self, where: str, link: _Link) -> bool:
        ends = self._ends(where, link)
        found = ends is not None and self.canvas.disconnect(*ends, link.in_)
        if ends and not found:
            self.problems.append((where, f"{link.from_!r} and {link.to!r} are not connected."))
        return found

    def _remove(self, where: str, item: _Remove) -> bool:
        if node := self._node(f"{where}.id", item.id):
            self.canvas.remove(node.node_id)
        return node is not None


def _apply_changeset(call: Call) -> ApiResponse:
    """Apply all of a changeset, or nothing if anything in it is wrong."""
    project, body = call.project(), call.json(_Changeset)
    changes = _Changes(project.canvas.copy(), lambda: call.sandbox.state.new_id("node"))
    applied = changes.apply(body)
    if changes.problems:
        raise invalid(*changes.problems)
    project.canvas = changes.canvas
    return ApiResponse(
        {
            "project_id": project.project_id,
            "canvas_url": call.canvas_url(project),
            "revision": project.canvas.revision(),
            "applied": applied,
            "created": {ref: {"id": node.id, "node_id": node.node_id} for ref, node in changes.created.items()},
            "warnings": [],
        }
    )


ROUTES = [
    Route(
        "POST",
        "/workspaces/{workspace_id}/projects/{project_id}/canvas/changeset",
        _apply_changeset,
        key="header",
    )
]
