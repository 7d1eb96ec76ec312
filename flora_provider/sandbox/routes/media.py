"""The stores that serve outputs and assets. They ask for no key, and remember who sent one (contract, section 9)."""

from __future__ import annotations

from flora_provider.sandbox.http.ranges import serve
from flora_provider.sandbox.http.responses import ApiError, ApiResponse, not_found
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.world.media.clips import CONTENT_TYPES


def _get_output(call: Call) -> ApiResponse:
    """Return the file of a completed run's output."""
    run, now = call.sandbox.state.visible_run(call.path["run_id"]), call.sandbox.clock.now()
    number = run.output_of(call.path["file"])
    if number is None or run.status(now) != "completed":
        raise not_found("File")
    if call.request.raw_path != run.media_path(run.outputs[number]):
        raise ApiError(403, "forbidden", "The URL was altered: its query string is part of it.")
    content = call.sandbox.files.output(run, number)
    return serve(content, CONTENT_TYPES[run.outputs[number].medium], call.request)


def _get_asset(call: Call) -> ApiResponse:
    """Return the file of a ready asset."""
    asset = call.sandbox.assets.find(call.path["file"].split(".")[0])
    if asset.content is None or asset.status(call.sandbox.clock.now()) != "ready":
        raise not_found("File")
    return serve(asset.content, asset.content_type, call.request)


ROUTES = [
    Route(method, template, handler, prefix="/media")
    for method in ("GET", "HEAD")
    for template, handler in (("/assets/{file}", _get_asset), ("/{run_id}/{file}", _get_output))
]
