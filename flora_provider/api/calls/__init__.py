"""One function per endpoint: what to send, and how to read the answer. No network here.

    client.send(calls.get_run("run_123"))

Every function checks its arguments before anything is sent and raises `FloraInputError` with all problems at once.
What sending may raise is in `errors.py`.

A GET, PUT or DELETE is resent after any failure that may pass. A POST takes an `Idempotency-Key` (FLORA's SDK), given
with `Call.with_key`: with one it is resent as a GET is, in the same bytes; without one only if FLORA surely did not act
on it, which is after 429 and when no connection was made. For two hours a key starts nothing twice: FLORA answers it
with 409, or, by other pages of its docs, as it did the first time. `extend_canvas`, `create_action_node` and
`run_action_node` take no key, so they are never resent in doubt.

Ids are what FLORA gave: `ws_…`, `prj_…`, `tech_…`, `run_…`, `asset_…`; a technique is also named by its slug, such as
`cctv-cam`, and a node of a canvas by its short id, such as `n3`. What narrows a list is None for everything that the
key sees: the ids, `query` (words to look for) and `status` (pending, running, completed or failed). A page has `limit`
rows, 1 to 100; `cursor` is the `next_cursor` of the page before, None for the first. `request` is the way to an
endpoint that has no function here.
"""

from __future__ import annotations

from flora_provider.api.calls.assets import (
    SIGNED_UPLOAD,
    attach_asset,
    complete_asset,
    create_asset,
    create_asset_from_file,
    get_asset,
    list_assets,
    retry_asset,
)
from flora_provider.api.calls.base import PAGE_SIZE, Call, request
from flora_provider.api.calls.canvas import (
    apply_changeset,
    create_action_node,
    extend_canvas,
    get_canvas,
    get_canvas_definition,
    get_graph,
    replace_canvas_definition,
    run_action_node,
    run_nodes,
)
from flora_provider.api.calls.catalog import (
    create_folder_project,
    create_project,
    create_workspace_project,
    get_action,
    get_project,
    get_technique,
    list_actions,
    list_models,
    list_nodes,
    list_projects,
    list_techniques,
    list_workspaces,
    send_feedback,
)
from flora_provider.api.calls.library import create_library_folder, delete_library_folder, save_library_item
from flora_provider.api.calls.runs import (
    generate,
    get_run,
    get_technique_run,
    list_generations,
    list_technique_runs,
    run_action,
    run_technique,
    start_technique,
)

__all__ = [
    "PAGE_SIZE", "SIGNED_UPLOAD", "Call", "apply_changeset", "attach_asset", "complete_asset", "create_action_node",
    "create_asset", "create_asset_from_file", "create_folder_project", "create_library_folder", "create_project",
    "create_workspace_project", "delete_library_folder", "extend_canvas", "generate", "get_action", "get_asset",
    "get_canvas", "get_canvas_definition", "get_graph", "get_project", "get_run", "get_technique",
    "get_technique_run", "list_actions", "list_assets", "list_generations", "list_models", "list_nodes",
    "list_projects", "list_technique_runs", "list_techniques", "list_workspaces", "replace_canvas_definition",
    "request", "retry_asset", "run_action", "run_action_node", "run_nodes", "run_technique",
    "save_library_item", "send_feedback", "start_technique",
]  # fmt: skip
