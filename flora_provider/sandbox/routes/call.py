"""One request with its route, and the routing table."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from flora_provider.sandbox.faults.faults import Fault
from flora_provider.sandbox.http.json_text import read_json
from flora_provider.sandbox.http.paging import PageQuery, cursor_of, offset_of
from flora_provider.sandbox.http.request import Request
from flora_provider.sandbox.http.responses import ApiError, ApiResponse, not_found
from flora_provider.sandbox.http.validation import Body, ProjectId, Query, WorkspaceId, check

if TYPE_CHECKING:
    from flora_provider.sandbox.app import Sandbox
    from flora_provider.sandbox.world.state import Project

B = TypeVar("B", bound=Body)
Q = TypeVar("Q", bound=Query)
T = TypeVar("T")

KeyCarrier = Literal["header", "body"]
"""Where a route looks for an idempotency key; it ignores the other form (contract, 4.1, account D)."""


@dataclass(slots=True)
class Call:
    """A request with what the router found out about it."""

    sandbox: Sandbox
    request: Request
    path: dict[str, str]
    fault: Fault | None = None
    idempotency_key: str | None = None  # if the route honours one
    _json: Any = field(default=None)

    @property
    def root(self) -> str:
        """Scheme, host and port the client used; absolute URLs in answers start with it."""
        return self.request.root

    def any_json(self, *, any_text: bool = False) -> Any:
        """Return the body as JSON, or refuse it, also an empty one, with a 400 `invalid_json` (contract, 3.2).

        `any_text` accepts texts with half a surrogate pair: what a test scripts may be wrong on purpose.
        """
        if self._json is None:
            try:
                value = read_json(self.request.content)
                if b"\\u" in self.request.content and not any_text:
                    json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
                self._json = value
            except (ValueError, RecursionError) as error:  # UnicodeErrors are ValueErrors too
                raise ApiError(400, "invalid_json", f"The body is not JSON: {error}") from None
        return self._json

    def json(self, cls: type[B]) -> B:
        """Return the checked body, or refuse it with a 400."""
        return check(cls, self.any_json(), root=self.root)

    def query(self, cls: type[Q]) -> Q:
        """Return the checked query, or refuse it with a 400."""
        query = check(cls, self.request.query)
        if self.fault and self.fault.overlap and isinstance(query, PageQuery) and query.cursor:
            query.cursor = cursor_of(max(0, offset_of(query.cursor) - self.fault.overlap))
        return query

    def workspace_id(self) -> str:
        """Return the workspace in the path, or refuse one that is malformed, unknown or not the key's."""
        workspace_id = self.path_id("workspace_id", WorkspaceId)
        self.sandbox.state.require_workspace(workspace_id)
        return workspace_id

    def project(self) -> Project:
        """Return the project in the path, or refuse one that is malformed, unknown, not the key's or elsewhere."""
        workspace_id = self.workspace_id() if "workspace_id" in self.path else None
        project = self.sandbox.state.own_project(self.path_id("project_id", ProjectId))
        if workspace_id not in (None, project.workspace_id):
            raise not_found(f"Project {project.project_id}")
        return project

    def canvas_url(self, project: Project) -> str:
        """Return where people look at a project."""
        return f"{self.root}/projects/{project.project_id}"

    def path_id(self, name: str, cls: type[T]) -> T:
        """Return an id of the path, or refuse a malformed one with a 400 that names the prefix."""
        return check(cls, self.path[name], name)


Handler = Callable[[Call], ApiResponse]


@dataclass(frozen=True, slots=True)
class Route:
    """A line of the routing table; `{name}` in `template` is a parameter."""

    method: str
    template: str
    handler: Handler
    key: KeyCarrier | None = None  # where it looks for an idempotency key
    prefix: str = "/api/v1"  # only routes with this one ask for an API key

    @property
    def route_template(self) -> str:
        """Return the route as faults name it: below the API's base, or else the whole path."""
        return self.template if self.is_api else self.prefix + self.template

    @property
    def name(self) -> str:
        """Return the route's name in the statistics, e.g. `GET /runs/{run_id}`."""
        return f"{self.method} {self.route_template}"

    @property
    def is_api(self) -> bool:
        """Whether this is FLORA's API, as opposed to stores and the sandbox's own controls."""
        return self.prefix == "/api/v1"

    @property
    def is_control(self) -> bool:
        """Whether this is the sandbox's own, which FLORA does not have: controls, and pages, which have no prefix."""
        return self.prefix in ("/_sandbox", "")


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Sequence[Route]) -> None:
        # A parameter is a whole segment of the path.
        patterns = [re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", route.prefix + route.template) for route in routes]
        self._routes = list(zip(map(re.compile, patterns), routes, strict=True))

    def find(self, method: str, path: str, *, controls: bool = True) -> tuple[Route, dict[str, str]]:
        """Return route and path parameters, or refuse with a 404; without `controls` only FLORA's routes exist."""
        for pattern, route in self._routes:
            if route.method == method and (found := pattern.fullmatch(path)) and (controls or not route.is_control):
                return route, found.groupdict()
        raise ApiError(404, "not_found", "Not found.")
