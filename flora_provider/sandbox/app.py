"""The sandbox: one function from request to response, and what a test may look at and turn."""

from __future__ import annotations

import dataclasses
import json
import secrets
import threading
from collections import Counter
from typing import Any

import httpx

from flora_provider.sandbox.faults.faults import Faults
from flora_provider.sandbox.http.delivery import DeliveredResponse
from flora_provider.sandbox.http.limits import require_size
from flora_provider.sandbox.http.request import Request
from flora_provider.sandbox.http.responses import ApiError, ApiResponse, EncodedResponse
from flora_provider.sandbox.routes import (
    assets,
    canvas,
    catalog,
    changeset,
    control,
    definition,
    graph,
    library,
    media,
    nodes,
    projects,
    runs,
    view,
)
from flora_provider.sandbox.routes.call import Call, Route, Router
from flora_provider.sandbox.rules.credits import Credits
from flora_provider.sandbox.rules.idempotency import IdempotencyKeys
from flora_provider.sandbox.rules.rate_limit import RateLimit
from flora_provider.sandbox.settings import Settings
from flora_provider.sandbox.world.assets import Assets
from flora_provider.sandbox.world.clock import Clock
from flora_provider.sandbox.world.files import Files
from flora_provider.sandbox.world.library import Library
from flora_provider.sandbox.world.state import State
from flora_provider.sandbox.world.webhooks import Webhooks

_ROOMS = (runs, catalog, projects, assets, canvas, graph, changeset, definition, nodes, library, media)
ROUTES = [route for room in (*_ROOMS, control, view) for route in room.ROUTES]
_ROUTER = Router(ROUTES)


class Sandbox:
    """A small FLORA.

    Two ways lead to it: `httpx.MockTransport(sandbox.handle)` in a test, without network or waiting, and
    `SandboxServer` on a real port. Calls may come from several threads. A copy of `settings` is kept, and may be
    changed any time; `Clock(lambda: 1_750_000_000.0)` is a time that moves by hand only.
    """

    def __init__(self, settings: Settings | None = None, clock: Clock | None = None) -> None:
        self.settings = dataclasses.replace(settings) if settings else Settings()
        self.clock = clock or Clock()
        templates = {route.route_template for route in ROUTES if not route.is_control}
        self.faults = Faults(self.clock, templates, self.settings.seed)
        self.state = State(self.settings, self.clock)
        self.credits = Credits(self.settings, self.clock)
        self.assets = Assets(self.state)
        self.files = Files(self.state, self.assets)
        self.library = Library()
        self.webhooks = Webhooks(self.settings, self.clock)
        self.connections = 0  # opened so far; SandboxServer counts them
        self._keys = IdempotencyKeys()
        self._limit = RateLimit(self.settings, self.clock)
        self._requests: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._keys_leaked = Counter({"media": 0, "storage": 0})
        self._lock = threading.RLock()

    @property
    def api_key(self) -> str:
        """The valid API key."""
        return self.settings.api_key or ""

    @property
    def webhook_secret(self) -> str:
        """The secret of the workspace's webhooks."""
        return self.settings.webhook_secret or ""

    @property
    def workspace_id(self) -> str:
        """The key's workspace."""
        return self.state.workspace.workspace_id

    @property
    def project_id(self) -> str:
        """A project of that workspace."""
        return self.state.project.project_id

    def connection_json(self, root: str) -> str:
        """Return the Airflow connection to this sandbox at `root` (scheme, host and port), as Airflow's JSON."""
        extra = {"workspace_id": self.workspace_id, "project_id": self.project_id}
        connection = {"conn_type": "flora", "password": self.api_key, "host": f"{root}/api/v1", "extra": extra}
        return json.dumps(connection)

    def stats(self) -> dict[str, Any]:
        """Return what happened so far.

        `runs_billed` counts the runs that were started and will not end failed: FLORA charges nothing for a failed
        run. `usd_billed` is their settled cost, counted from the start. `keys_leaked` counts the requests that
        brought an Authorization header to a store, where it must never go.
        """
        with self._lock:
            return {
                "requests": dict(self._requests),
                "statuses": dict(self._statuses),
                "connections": self.connections,
                "runs_started": len(self.state.runs),
                "runs_billed": self.state.runs_billed,
                "usd_billed": round(self.state.usd_billed, 6),
                "runs_by_status": self.state.count_by_status(),
                "duplicates_refused": self._keys.duplicates_refused,
                "keys_leaked": dict(self._keys_leaked),
                "webhooks": self.webhooks.count_by_state(),
            }

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer a request for `httpx.MockTransport`, or raise the `httpx.TransportError` that a fault asks for."""
        return self.answer(Request.from_httpx(request)).through_mock(request)

    def answer(self, request: Request) -> DeliveredResponse:
        """Answer a request, and say how the response is delivered."""
        with self._lock:
            return self._answer(request)

    def _answer(self, request: Request) -> DeliveredResponse:
        call = Call(self, request, {})
        try:
            route, call.path = _ROUTER.find(request.method, request.path, controls=self.settings.controls)
        except ApiError as error:
            route, api_response = None, error.api_response()
        self._count(route, request)
        if route is not None:
            if not route.is_control:
                call.fault = self.faults.take(request.method, route.route_template, call.path, request.content)
            if call.fault is not None and call.fault.breaks_before():
                return DeliveredResponse(EncodedResponse(200, {}, b""), delivery=call.fault.delivery)
            try:
                api_response = self._serve(route, call)
            except ApiError as error:
                api_response = error.api_response()
        # A replayed answer keeps its first request id (contract, 4.1, account B).
        request_id = api_response.headers.setdefault("request-id", self.state.new_id("req"))
        if call.fault is not None:
            api_response = call.fault.alter((call.fault.instead() if call.fault.after else None) or api_response)
            api_response.headers.setdefault("request-id", request_id)
        if route is None or not route.is_control:
            self._statuses[str(api_response.status)] += 1
        response = api_response.encode()
        return call.fault.send(response) if call.fault is not None else DeliveredResponse(response)

    def _serve(self, route: Route, call: Call) -> ApiResponse:
        require_size(call.request.path, call.request.content)
        if route.is_api:
            self._authenticate(call.request)
            self._limit.count()
        return self._keys.once(call, route.key, lambda: self._work(route, call))

    @staticmethod
    def _work(route: Route, call: Call) -> ApiResponse:
        if call.fault is not None and not call.fault.after and (instead := call.fault.instead()):
            return instead
        return route.handler(call)

    def _authenticate(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise ApiError(401, "unauthorized", "Missing or malformed Authorization header; expected Bearer <api key>.")
        if not secrets.compare_digest(key.strip().encode(), self.api_key.encode()):
            raise ApiError(401, "invalid_api_key", "Invalid API key.")

    def _count(self, route: Route | None, request: Request) -> None:
        if route is not None and route.is_control:
            return
        self._requests[route.name if route is not None else "unknown"] += 1
        if route is not None and not route.is_api and "authorization" in request.headers:
            self._keys_leaked["media" if route.prefix == "/media" else "storage"] += 1
