"""The store that serves outputs. It asks for no key, and remembers who sent one (contract, section 9)."""

from __future__ import annotations

from flora_provider.sandbox.http.responses import ApiError, ApiResponse, not_found
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.world import media


def _get_output(call: Call) -> ApiResponse:
    """Return the file of a completed run's output."""
    run, now = call.sandbox.state.visible_run(call.path["run_id"]), call.sandbox.clock.now()
    asked = call.request.target
    paths = [run.media_path(number) for number in range(1, run.behavior.outputs + 1)]
    if run.status(now) != "completed" or asked.split("?")[0] not in [path.split("?")[0] for path in paths]:
        raise not_found("File")
    if asked not in paths:
        raise ApiError(403, "forbidden", "The URL was altered: its query string is part of it.")
    content = media.render(run.medium, run.request.prompt, call.path["file"] + run.run_id)
    return ApiResponse(content, headers={"content-type": media.CONTENT_TYPES[run.medium]})


ROUTES = [Route("GET", "/{run_id}/{file}", _get_output, prefix="/media")]
