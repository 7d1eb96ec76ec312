"""One request with its route, and the routing table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import httpx

from flora_provider.sandbox.faults.faults import Fault
from flora_provider.sandbox.http.paging import cursor_of, offset_of
from flora_provider.sandbox.http.responses import ApiError, ApiResponse, invalid, not_found
from flora_provider.sandbox.http.validation import Member, check_members

if TYPE_CHECKING:
    from flora_provider.sandbox.app import Sandbox

KeyCarrier = Literal["header", "body"]
"""Where a route looks for an idempotency key; it ignores the other form (contract, 4.1, account D)."""


@dataclass(slots=True)
class Call:
    """A request with what the router found out about it.

    Attributes:
        sandbox: The server that was called.
        request: What came in.
        root: Scheme, host and port the client used; absolute URLs in answers start with it.
        path: Path parameters.
        fault: What goes wrong with this call, if anything.
        idempotency_key: The key, if the route honours one and the request carries it.
    """

    sandbox: Sandbox
    request: httpx.Request
    root: str
    path: dict[str, str]
    fault: Fault | None = None
    idempotency_key: str | None = None
    _json: Any = field(default=None)

    def any_json(self, *, any_text: bool = False) -> Any:
        """Return the body as JSON.

        Args:
            any_text: Accept texts with half a surrogate pair: what a test scripts may be wrong on purpose.

        Raises:
            ApiError: 400 `invalid_json`, also for an empty body (contract, 3.2).
        """
        if self._json is None:
            try:
                value = json.loads(self.request.content)
                if b"\\u" in self.request.content and not any_text:
                    json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
                self._json = value
            except (ValueError, RecursionError) as error:  # UnicodeErrors are ValueErrors too
                raise ApiError(400, "invalid_json", f"The body is not JSON: {error}") from None
        return self._json

    def json(self, members: Mapping[str, Member]) -> dict[str, Any]:
        """Return the body as a checked, closed object.

        Raises:
            ApiError: 400, with all problems at once.
        """
        body = self.any_json()
        if not isinstance(body, dict):
            raise invalid(("body", "Expected an object."))
        if problems := check_members(body, members):
            raise invalid(*problems)
        return body

    def query(self, members: Mapping[str, Member]) -> dict[str, str]:
        """Return the checked query; an empty value counts as absent, an unknown parameter is ignored.

        Raises:
            ApiError: 400, with all problems at once.
        """
        query = {name: value for name, value in self.request.url.params.items() if value and name in members}
        if problems := check_members(query, members):
            raise invalid(*problems)
        if self.fault and self.fault.overlap and "cursor" in query:
            query["cursor"] = cursor_of(max(0, offset_of(query["cursor"]) - self.fault.overlap))
        return query


Handler = Callable[[Call], ApiResponse]


@dataclass(frozen=True, slots=True)
class Route:
    """A line of the routing table.

    Attributes:
        method: HTTP method.
        template: Path below the API's base, `{name}` for a parameter.
        handler: Answers the call.
        key: Where the route looks for an idempotency key; None if it takes none.
        prefix: What stands before `template` in the path. Only `/api/v1` asks for a key.
    """

    method: str
    template: str
    handler: Handler
    key: KeyCarrier | None = None
    prefix: str = "/api/v1"

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


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """Index the routes by method and number of path segments."""
        self._routes: dict[tuple[str, int], list[tuple[list[str], Route]]] = {}
        for route in routes:
            pattern = (route.prefix + route.template).split("/")
            self._routes.setdefault((route.method, len(pattern)), []).append((pattern, route))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return route and path parameters.

        Raises:
            ApiError: 404, if there is none.
        """
        segments = path.split("/")
        for pattern, route in self._routes.get((method, len(segments)), ()):
            found = {}
            for expected, actual in zip(pattern, segments, strict=True):
                if expected[:1] == "{" and actual:
                    found[expected[1:-1]] = actual
                elif expected != actual:
                    break
            else:
                return route, found
        raise not_found(f"Route {method} {path}")
