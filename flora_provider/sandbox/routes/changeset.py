"""Changing a canvas by an atomic changeset (contract, 2.18, operation 35)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from flora_provider.sandbox.http.responses import ApiResponse, invalid
from flora_provider.sandbox.http.validation import Body, MediaUrl, Number, Text
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.routes.graph import graph
from flora_provider.sandbox.routes.nodes import find_model, param_problems
from flora_provider.sandbox.world.canvas import BLOCKS, GENERATIVE, Canvas, Edge, Node
from flora_provider.sandbox.world.runs import Medium

Coordinate = Annotated[Number, Field(ge=-1e9, le=1e9)]


class Position(Body):
    """Where a node is, in pixels."""

    x: Coordinate
    y: Coordinate


class _Change(Body):
    label: Text = ""
    model: Text = ""
    params: dict[str, Any] = Field({})
    position: Position = Position(x=0, y=0)
    prompt: Text = ""

    def data(self) -> dict[str, Any]:
        """Return the members that go into a node's data as they are."""
        return self.model_dump(include={"label", "prompt"}, exclude_unset=True)

    def move(self, canvas: Canvas, node: Node) -> None:
        """Move the node to the position, if one was given."""
        if "position" in self.model_fields_set:
            canvas.move(node, self.position.x, self.position.y)


class _Add(_Change):
    ref: Text
    type: Literal["image", "video", "text", "audio", "group", "static_image", "layer_editor"]
    content_url: MediaUrl = ""
    group: Text = ""


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

    def __init__(self, before: Canvas, new_id: Callable[[], str]) -> None:
        self._before = before
        self.canvas = before.copy()
        self.created: dict[str, Node] = {}
        self.problems: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self._new_id = new_id

    def apply(self, changes: _Changeset) -> dict[str, int]:
        """Apply all changes in FLORA's order; return how many of each kind took effect."""
        self.canvas.require_room(len(changes.add), len(changes.connect))
        adds = sorted(enumerate(changes.add), key=lambda item: item[1].type != "group")  # a group before its members
        updated: set[str] = set()
        return {
            "added": sum(self._add(f"add[{i}]", new) for i, new in adds),
            "updated": sum(self._update(f"update[{i}]", change, updated) for i, change in enumerate(changes.update)),
            "connected": sum(self._connect(f"connect[{i}]", link) for i, link in enumerate(changes.connect)),
            "disconnected": sum(
                self._disconnect(f"disconnect[{i}]", link) for i, link in enumerate(changes.disconnect)
            ),
            "removed": self._remove(changes.remove),
        }

    def _problem(self, where: str, message: str) -> None:
        self.problems.append((where, message))

    def _node(self, where: str, name: str) -> Node | None:
        """Return the node of this ref, id or short id, or note that there is none."""
        node = self.created.get(name) or self.canvas.find(name)
        if node is None:
            self._problem(where, f"There is no node {name!r}.")
        return node

    def _model(self, where: str, medium: Medium | None, name: str) -> dict[str, str]:
        """Return the member of a node's data that names its model, or note that there is no such model."""
        model = find_model(medium, name or None)
        if model is None and name:
            self._problem(f"{where}.model", f"Unknown model {name!r} for a node of this type.")
        return {"model": model.id} if model is not None else {}

    def _check_params(self, where: str, node: Node) -> None:
        self.problems += [(f"{where}.{name}", message) for name, message in param_problems(node)]

    def _add(self, where: str, new: _Add) -> bool:
        if new.ref in self.created or self._before.find(new.ref):
            self._problem(f"{where}.ref", f"{new.ref!r} names another node already.")
        block, data = BLOCKS[new.type], new.data()
        if new.content_url:
            if new.prompt or new.model or new.params:
                self._problem(f"{where}.content_url", "It excludes prompt, model and params.")
            if (static := f"static_{new.type.removeprefix('static_')}") not in BLOCKS:
                self._problem(f"{where}.content_url", f"A node of type {new.type} has no such content.")
            block, data["url"] = BLOCKS.get(static, block), new.content_url
        else:
            data |= self._model(where, GENERATIVE.get(block), new.model)
            data |= {"params": new.params} if new.params else {}
        group = self._node(f"{where}.group", new.group) if new.group else None
        if group is not None and group.block != "group":
            self._problem(f"{where}.group", f"{new.group!r} is no group.")
        node = self.canvas.add(self._new_id(), block, data, group.node_id if group else None)
        new.move(self.canvas, node)
        self._check_params(where, node)
        self.created[new.ref] = node
        return True

    def _update(self, where: str, change: _Update, updated: set[str]) -> bool:
        """Update a node; return whether that changed it."""
        node = self._node(f"{where}.id", change.id)
        if node is None:
            return False
        if node.node_id in updated:
            self._problem(f"{where}.id", f"Another update is about the same node {change.id!r}.")
        updated.add(node.node_id)
        before = node.data, node.position
        node.data = before[0] | change.data()
        if change.model:
            node.data |= self._model(where, GENERATIVE.get(node.block), change.model)
        if change.params:
            node.data["params"] = (node.members("params") or {}) | change.params
            self._check_params(where, node)
        change.move(self.canvas, node)
        if before == (node.data, node.position):
            self.warnings.append(f"{where}: node {change.id} is like this already.")
        return before != (node.data, node.position)

    def _ends(self, where: str, link: _Link) -> tuple[str, str] | None:
        ends = self._node(f"{where}.from", link.from_), self._node(f"{where}.to", link.to)
        return (ends[0].node_id, ends[1].node_id) if ends[0] and ends[1] else None

    def _connect(self, where: str, link: _Link) -> bool:
        """Connect two nodes; return whether they were not connected yet."""
        ends = self._ends(where, link)
        is_new = ends is not None and self.canvas.connect(Edge(*ends, link.in_))
        if ends and not is_new:
            self.warnings.append(f"{where}: {link.from_} and {link.to} are connected already.")
        return is_new

    def _disconnect(self, where: str, link: _Link) -> bool:
        ends = self._ends(where, link)
        found = ends is not None and self.canvas.disconnect(*ends, link.in_)
        if ends and not found:
            self._problem(where, f"{link.from_!r} and {link.to!r} are not connected.")
        return found

    def _remove(self, items: list[_Remove]) -> int:
        """Remove nodes with the members of groups; return how many nodes there were."""
        gone: set[str] = set()
        for index, item in enumerate(items):
            node = self._node(f"remove[{index}].id", item.id)
            if node is not None and node.node_id in gone:
                self._problem(f"remove[{index}].id", f"Node {item.id!r} is removed already.")
            gone |= {node.node_id} if node is not None else set()
        return self.canvas.remove(gone)


def _apply_changeset(call: Call) -> ApiResponse:
    """Apply all of a changeset, or nothing if anything in it is wrong."""
    project, body = call.project(), call.json(_Changeset)
    changes = _Changes(project.canvas, lambda: call.sandbox.state.new_id("node"))
    applied = changes.apply(body)
    if changes.problems:
        raise invalid(*changes.problems)
    project.canvas, project.last_modified = changes.canvas, call.sandbox.clock.now()
    return ApiResponse(
        {
            "project_id": project.project_id,
            "canvas_url": call.canvas_url(project),
            "revision": graph(call, project)["revision"],
            "applied": applied,
            "created": {ref: {"id": node.id, "node_id": node.node_id} for ref, node in changes.created.items()},
            "warnings": changes.warnings,
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
