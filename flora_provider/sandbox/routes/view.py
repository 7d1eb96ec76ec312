"""The page in a browser: its three files, and the data it asks for again and again."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import shlex
import time
from typing import Any, Literal

from flora_provider.sandbox.http.paging import PageQuery, page
from flora_provider.sandbox.http.ranges import serve
from flora_provider.sandbox.http.responses import ApiError, ApiResponse, not_found
from flora_provider.sandbox.http.validation import ProjectId
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.world.media.clips import CONTENT_TYPES
from flora_provider.sandbox.world.runs import SUFFIXES, Run, RunOutput

MAX_TEXT = 1000
"""Characters of a prompt or a text that the page shows."""
MAX_OUTPUTS = 8
"""Outputs of a run that the page shows."""
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
    """Return the page of a project, where its `canvas_url` leads; of one that is gone the page says so."""
    response = _file("index.html")
    try:
        call.project()
    except ApiError as error:
        response.status = error.status
    return response


def _get_file(call: Call) -> ApiResponse:
    return _file(call.path["file"])


def _file(name: str) -> ApiResponse:
    if name not in _TYPES:
        raise not_found("File")
    content = importlib.resources.files("flora_provider.sandbox.web").joinpath(name).read_bytes()
    return ApiResponse(content, headers={"content-type": _TYPES[name], **_HEADERS})


def _get_media(call: Call) -> ApiResponse:
    """Return the file of an output to the page, whose requests neither count nor use up a fault, unlike `/media`'s."""
    run = call.sandbox.state.runs.get(call.path["run_id"])
    number = run.output_of(call.path["file"]) if run else None
    if run is None or number is None or run.status(call.sandbox.clock.now()) != "completed":
        raise not_found("File")
    content = call.sandbox.files.output(run, number)
    return serve(content, CONTENT_TYPES[run.outputs[number].medium], call.request)


def _get_view(call: Call) -> ApiResponse:
    """Return all that the page shows: a page of the runs of all kinds, the totals, the switches.

    Its `ETag` changes with what is shown, not with each second: the page itself goes on with a clock that runs.
    """
    query, sandbox = call.query(_ViewQuery), call.sandbox
    now, project = sandbox.clock.now(), sandbox.state.projects.get(query.project_id)
    rows, keep = sandbox.state.history("any", query.model_dump(include={"project_id", "status"}, exclude_defaults=True))
    found = page("runs", rows, query, lambda run: _row(call, run, now), keep).body
    connection = shlex.quote(sandbox.connection_json(call.root))
    view = {
        "runs": found["runs"],
        "next_cursor": found["meta"]["next_cursor"],
        "project_name": project.name if project else None,
        "is_frozen": sandbox.clock.is_frozen,
        "clock": now if sandbox.clock.is_frozen else round(now - time.time()),
        "stats": sandbox.stats(),
        "faults": sandbox.faults.to_json(),
        "routes": sandbox.faults.routes,
        "api_key": sandbox.api_key,
        "connection": f"export AIRFLOW_CONN_FLORA_DEFAULT={connection}",
        "example": _example(call),
    }
    etag = f'"{hashlib.blake2b(ApiResponse(view).encode().content, digest_size=12).hexdigest()}"'
    headers = {"etag": etag, "cache-control": "no-store", "x-content-type-options": "nosniff"}
    if call.request.headers.get("if-none-match") == etag:
        return ApiResponse(b"", 304, headers)
    return ApiResponse({**view, "now": now}, headers=headers)


def _row(call: Call, run: Run, now: float) -> dict[str, Any]:
    state = run.state(now, call.root)
    kept = ("run_id", "status", "progress", "created_at", "completed_at", "error_code", "error_message")
    project_id = run.request.project_id
    outputs = run.outputs if state["status"] == "completed" else ()
    project = call.sandbox.state.projects.get(project_id)
    return {
        **{name: state[name] for name in kept if name in state},
        "outputs": [_output(run, output) for output in outputs[:MAX_OUTPUTS]],
        "more_outputs": len(outputs[MAX_OUTPUTS:]),
        "charged_cost": state.get("charged_cost"),
        "quote": run.quote,
        "prompt": _short(run.request.prompt),
        "subject": run.subject,
        "project": {"url": f"/projects/{project_id}", "name": _short(project.name if project else project_id)},
    }


def _output(run: Run, output: RunOutput) -> dict[str, str]:
    """Return what the page shows of an output: a text, or a file of the sandbox, whatever type the run states."""
    if output.medium == "text":
        return {"medium": "text", "text": _short(output.text)}
    url = f"/_sandbox/media/{run.run_id}/{output.output_id}.{SUFFIXES[output.medium]}"
    return {"medium": output.medium, "url": url, "id": output.output_id}


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


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
    Route("GET", "/media/{run_id}/{file}", _get_media, prefix="/_sandbox"),
    Route("GET", "/view", _get_view, prefix="/_sandbox"),
]
