"""Files in FLORA."""

import io

from flora_provider.api import calls
from tests.unit.api.reference.common import META, SCOPE

UPLOAD = {
    "url": "https://storage.googleapis.com/bucket",
    "method": "POST",
    "content_type": "multipart/form-data",
    "file_field": "file",
    "form_fields": {"key": "a/b.png", "policy": "cG9saWN5", "x-goog-signature": "5167"},
}
RESERVED = {
    "asset_id": "asset_1",
    "workspace_id": "ws_1",
    "status": "pending_upload",
    "uploaded_via": "signed_url",
    "url": "https://media.flora.ai/node-inputs/b.png",
    "visibility": "workspace",
    "expires_at": "2026-08-24T12:00:00.000Z",
    "upload": UPLOAD,
}
READY = {
    "asset_id": "asset_1",
    "workspace_id": None,
    "status": "ready",
    "url": None,
    "visibility": "workspace",
    "failure_message": None,
}
LISTED_ASSET = {
    "asset_id": "asset_1",
    "name": "b.png",
    "description": None,
    "workspace_id": "ws_1",
    "url": "https://media.flora.ai/node-inputs/b.png",
    "content_type": "image/png",
    "upload_content_type": "image/png",
    "uploaded_via": "agent",
    "status": "ready",
    "width": 640,
    "height": 480,
    "size_bytes": 123456,
    "created_at": 1750000000000,
    "node_id": "node_1",
    "project_id": "prj_1",
}
SINGLE_ASSET = LISTED_ASSET | {"created_at": "2025-06-15T15:06:40.000Z", "failure_message": None}


def from_file():
    return calls.create_asset_from_file(
        file=io.BytesIO(b"png"), workspace_id="ws_1", content_type="image/png", file_name="b.png", folder="ferns"
    )


EXAMPLES = [
    (
        lambda: calls.attach_asset(project_id="prj_1", asset_id="asset_1"),
        "POST /projects/prj_1/assets/asset_1/attach",
        {},
        {"project_id": "prj_1", "asset_id": "asset_1", "node_id": "n3", "canvas_url": "https://app.flora.ai/p/1"},
    ),
    (
        lambda: calls.create_asset(source=calls.SIGNED_UPLOAD, file_name="b.png", content_type="image/png", **SCOPE),
        "POST /assets",
        {"source": "signed-url", "file_name": "b.png", "content_type": "image/png", **SCOPE},
        RESERVED,
    ),
    (
        lambda: calls.create_asset(source="https://example.com/b.png", workspace_id="ws_1"),
        "POST /assets",
        {"source": "https://example.com/b.png", "workspace_id": "ws_1"},
        RESERVED | {"uploaded_via": "url", "upload": None},
    ),
    (from_file, "POST /assets", None, READY | {"uploaded_via": "direct", "workspace_id": "ws_1"}),
    (lambda: calls.complete_asset("asset_1"), "POST /assets/asset_1/complete", {}, READY),
    (
        lambda: calls.retry_asset("asset_1"),
        "POST /assets/asset_1/retry",
        {},
        RESERVED | {"upload": None, "upload_url": "https://storage.example.com/put?signature=1"},
    ),
    (lambda: calls.get_asset("asset_1"), "GET /assets/asset_1", None, SINGLE_ASSET),
    (
        lambda: calls.list_assets(query="fern"),
        "GET /assets?query=fern&limit=100",
        None,
        {"assets": [LISTED_ASSET, LISTED_ASSET | {"asset_id": None, "url": None, "created_at": None}], "meta": META},
    ),
]
