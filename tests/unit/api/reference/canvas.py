"""A project's canvas, and the library."""

from flora_provider.api import calls
from tests.unit.api.reference.common import SCOPE
from tests.unit.api.reference.runs import STARTED

CANVAS = {"project_id": "prj_1", "canvas_url": "https://app.flora.ai/projects/1?token=secret"}
DIAGRAM = 'graph LR\n  n1["A fern (Image)"] --> n2["Greener (Image)"]'
SUMMARY = {"node_count": 2, "edge_count": 1, "group_count": 0, "isolated_node_count": 0, "workflow_count": 1}
GRAPH_NODE = {
    "id": "n1",
    "node_id": "6f1c2f6e-4a0e-4a86-9a6f-2f2d8a4f7c11",
    "type": "image",
    "label": "A fern",
    "prompt": "a fern",
    "model": "FLUX.2 Pro",
    "model_id": "t2i-flux-2-pro",
    "params": {"aspect_ratio": "16:9"},
    "position": {"x": -120.5, "y": 0},
    "status": "error",
    "output_url": "https://media.flora.ai/node-outputs/a.png?tr=orig-true",
    "output_text": None,
    "action": None,
    "error_code": "provider_error",
    "error_message": "The provider did not answer.",
}
ACTION_NODE = GRAPH_NODE | {
    "id": "n2",
    "node_id": "node_2",
    "type": "action",
    "model": None,
    "model_id": None,
    "params": None,
    "status": None,
    "action": {"action_id": "ken-burns-video", "params": {"fps": "24"}},
}
STARTED_NODE = {
    "node_id": "n1",
    "status": "started",
    "run_id": "run_1",
    "type": "generation",
    "poll_url": "https://app.flora.ai/api/v1/runs/run_1",
    "model": {"model_id": "t2i-flux-2-pro"},
    "charged_cost": 0.04,
    "estimated_seconds": 12,
}
ROUTED_NODE = STARTED_NODE | {"node_id": "n3", "model": None, "charged_cost": None, "estimated_seconds": None}
SKIPPED_NODE = {
    "node_id": "n2",
    "status": "skipped",
    "reason": "node_not_executable",
    "message": "An action's node is run by another endpoint.",
}
CHANGESET = {
    "add": [
        {"ref": "frame", "type": "group", "label": "Ferns"},
        {
            "ref": "new",
            "type": "image",
            "prompt": "a fern",
            "model": "FLUX.2 Pro",
            "params": {"aspect_ratio": "16:9"},
            "label": "A fern",
            "group": "frame",
            "position": {"x": -120.5, "y": 0},
        },
        {"ref": "given", "type": "static_image", "content_url": "https://example.com/a.png"},
    ],
    "update": [{"id": "n1", "prompt": "a greener fern", "params": {"seed": 1}, "position": {"x": 1, "y": 2}}],
    "connect": [{"from": "new", "to": "n1", "in": "image"}, {"from": "n1", "to": "n2"}],
    "disconnect": [{"from": "n1", "to": "n3"}],
    "remove": [{"id": "n4"}],
}
APPLIED = {
    **CANVAS,
    "revision": "4f2a",
    "applied": {"added": 3, "updated": 1, "connected": 2, "disconnected": 1, "removed": 2},
    "created": {"frame": {"id": "n5", "node_id": "node_5"}, "new": {"id": "n6", "node_id": "node_6"}},
    "warnings": ["n1 and n2 were connected already."],
}
DEFINITION = {
    "nodes": [{"id": "node_1", "type": "resultImageBlock", "data": {"label": "A fern"}, "position": {"x": 0, "y": 0}}],
    "edges": [
        {"id": "e1", "source": "node_1", "target": "node_1", "source_handle": None, "target_handle": "image", "new": 1}
    ],
    "node_inputs": {"node_1": {"prompt": "a fern"}},
    "node_outputs": {"node_1": {"url": "https://media.flora.ai/a.png"}},
    "layer_editor_documents": {},
    "new": [1],
}
DEFINED = {**CANVAS, "definition": DEFINITION, "summary": SUMMARY}
FOLDER = {"folder_id": "libfolder_1", "workspace_id": "ws_1"}
IMAGE = {"source": "https://example.com/a.png", "description": "A fern"}

EXAMPLES = [
    (
        lambda: calls.get_canvas("prj_1"),
        "GET /projects/prj_1/canvas",
        None,
        {**CANVAS, "diagram": DIAGRAM, "summary": SUMMARY},
    ),
    (
        lambda: calls.extend_canvas(
            project_id="prj_1",
            diagram=DIAGRAM,
            node_params={"n1": {"prompt": "a fern", "model": None}, "n2": {"content_url": "https://example.com/a.png"}},
        ),
        "PATCH /projects/prj_1/canvas",
        {
            "diagram": DIAGRAM,
            "node_params": {
                "n1": {"prompt": "a fern", "model": None},
                "n2": {"content_url": "https://example.com/a.png"},
            },
        },
        {**CANVAS, "diagram": DIAGRAM, "created_node_count": 2, "created_edge_count": 1, "warnings": ["n1 is new."]},
    ),
    (
        lambda: calls.create_action_node(project_id="prj_1", action_id="ken-burns-video", params={"fps": "24"}),
        "POST /projects/prj_1/actions",
        {"action_id": "ken-burns-video", "params": {"fps": "24"}},
        {**CANVAS, "node_id": "n2", "action_id": "ken-burns-video"},
    ),
    (
        lambda: calls.run_action_node(project_id="prj_1", node_id="n2"),
        "POST /projects/prj_1/actions/n2/run",
        {},
        STARTED | {"type": "action", "action": {"action_id": "ken-burns-video"}, "model": None},
    ),
    (
        lambda: calls.get_graph(**SCOPE),
        "GET /workspaces/ws_1/projects/prj_1/graph",
        None,
        {
            **CANVAS,
            "revision": "4f29",
            "nodes": [GRAPH_NODE, ACTION_NODE],
            "edges": [{"from": "n1", "to": "n2", "in": None}],
        },
    ),
    (
        lambda: calls.run_nodes(**SCOPE, node_ids=["n1", "n2", "n3"]),
        "POST /workspaces/ws_1/projects/prj_1/nodes/run",
        {"node_ids": ["n1", "n2", "n3"]},
        {"project_id": "prj_1", "runs": [STARTED_NODE, SKIPPED_NODE, ROUTED_NODE]},
    ),
    (
        lambda: calls.apply_changeset(**SCOPE, **CHANGESET),
        "POST /workspaces/ws_1/projects/prj_1/canvas/changeset",
        CHANGESET,
        APPLIED,
    ),
    (
        lambda: calls.get_canvas_definition(**SCOPE),
        "GET /workspaces/ws_1/projects/prj_1/canvas/definition",
        None,
        DEFINED,
    ),
    (
        lambda: calls.replace_canvas_definition(**SCOPE, definition=DEFINITION),
        "PUT /workspaces/ws_1/projects/prj_1/canvas/definition",
        {"definition": DEFINITION},
        DEFINED,
    ),
    (
        lambda: calls.create_library_folder(workspace_id="ws_1", name="Ferns"),
        "POST /workspaces/ws_1/library/folders",
        {"name": "Ferns"},
        {**FOLDER, "name": "Ferns"},
    ),
    (
        lambda: calls.create_library_folder(workspace_id="ws_1"),
        "POST /workspaces/ws_1/library/folders",
        {},
        {**FOLDER, "name": "New folder"},
    ),
    (
        lambda: calls.delete_library_folder(**FOLDER),
        "DELETE /workspaces/ws_1/library/folders/libfolder_1",
        None,
        {**FOLDER, "deleted": True},
    ),
    (
        lambda: calls.save_library_item(**FOLDER, **IMAGE),
        "POST /workspaces/ws_1/library/folders/libfolder_1/items",
        {"type": "image", **IMAGE},
        {**FOLDER, "saved_node_id": "node_1", "asset_id": "asset_1", "url": "https://media.flora.ai/a.png"},
    ),
    (
        lambda: calls.save_library_item(**FOLDER, text="A fern, in words."),
        "POST /workspaces/ws_1/library/folders/libfolder_1/items",
        {"type": "text", "text": "A fern, in words."},
        {**FOLDER, "saved_node_id": "node_2", "url": None},
    ),
]
