"""The page in a browser: its three files, and the data it asks for again and again."""

from __future__ import annotations

import importlib.resources
import json
from typing import Any, Literal

from flora_provider.sandbox.http.paging import PageQuery, page
from flora_provider.sandbox.http.responses import ApiResponse, not_found
from flora_provider.sandbox.http.validation import ProjectId
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.world.runs import Run

_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
}
_HEADERS = {
    # Nothing from elsewhere, and nothing that a prompt smuggles in.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


class _ViewQuery(PageQuery):
    project_id: ProjectId = ""
    status: Literal["pending", "running", "completed", "failed"] | None = None


def _get_index(_: Call) -> ApiResponse:
    return _file("index.html")


def _get_project_page(call: Call) -> ApiResponse:
    """Return the page of a project, where its `canvas_url` leads."""
    call.project()
    return _file("index.html")


def _get_file(call: Call) -> ApiResponse:
    return _file(call.path["file"])


def _file(name: str) -> ApiResponse:
    if name not in _TYPES:
        raise not_found("File")
    content = importlib.resources.files("flora_provider.sandbox.web").joinpath(name).read_bytes()
    return ApiResponse(content, headers={"content-type": _TYPES[name], **_HEADERS})


def _get_view(call: Call) -> ApiResponse:
    """Return all that the page shows: the newest runs of all kinds, the totals, the switches."""
    query, sandbox = call.query(_ViewQuery), call.sandbox
    now, project = sandbox.clock.now(), sandbox.state.projects.get(query.project_id)
    rows, keep = sandbox.state.history("any", query.model_dump(include={"project_id", "status"}, exclude_defaults=True))
    found = page("runs", rows, query, lambda run: _row(call, run, now), keep).body
    return ApiResponse(
        {
            "runs": found["runs"],
            "has_more": found["meta"]["next_cursor"] is not None,
            "project_name": project.name if project else None,
            "now": now,
            "is_frozen": sandbox.clock.is_frozen,
            "stats": sandbox.stats(),
            "faults": sandbox.faults.to_json(),
            "routes": sandbox.faults.routes,
            "api_key": sandbox.api_key,
            "connection": sandbox.connection_json(call.root),
            "example": _example(call),
        }
    )


def _row(call: Call, run: Run, now: float) -> dict[str, Any]:
    state = run.state(now, call.root)
    kept = ("run_id", "status", "progress", "created_at", "error_code", "error_message")
    return {
        **{name: state[name] for name in kept if name in state},
        "outputs": state.get("outputs", []),
        "charged_cost": state.get("charged_cost"),
        "quote": run.quote,
        "prompt": run.request.prompt,
        "subject": run.subject,
        "project_id": run.request.project_id,
    }


def _example(call: Call) -> str:
    sandbox = call.sandbox
    scope = {"workspace_id": sandbox.workspace_id, "project_id": sandbox.project_id}
    body = json.dumps({"type": "image", "prompt": "A fern in the morning light", **scope})
    headers = "-H 'Authorization: Bearer <key>' -H 'Content-Type: application/json'"
    return f"curl {call.root}/api/v1/generate {headers} -d '{body}'"


ROUTES = [
    Route("GET", "/", _get_index, prefix=""),
    Route("GET", "/projects/{project_id}", _get_project_page, prefix=""),
    Route("GET", "/web/{file}", _get_file, prefix="/_sandbox"),
    Route("GET", "/view", _get_view, prefix="/_sandbox"),
]
