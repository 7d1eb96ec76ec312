"""Library folders of a workspace (contract, operations 38 to 40)."""

from __future__ import annotations

from typing import Literal

from flora_provider.sandbox.http.responses import ApiResponse, invalid
from flora_provider.sandbox.http.validation import Body, MediaUrl, Text
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.world.library import Folder


class _NewFolder(Body):
    name: Text = "New folder"


class _NewItem(Body):
    type: Literal["image", "text"] = "image"
    source: MediaUrl = ""
    text: Text = ""
    description: Text = ""


def _create_folder(call: Call) -> ApiResponse:
    """Create a folder; the body may be left out."""
    body = call.json(_NewFolder) if call.request.content else _NewFolder()
    folder = Folder(call.sandbox.state.new_id("libfolder"), call.workspace_id(), body.name)
    call.sandbox.library.add(folder)
    return ApiResponse(_members(folder) | {"name": folder.name}, 201)


def _delete_folder(call: Call) -> ApiResponse:
    folder = _folder(call)
    call.sandbox.library.delete(folder)
    return ApiResponse(_members(folder) | {"deleted": True})


def _save_item(call: Call) -> ApiResponse:
    """Save an image as an asset, or a text, into a folder."""
    folder, body = _folder(call), call.json(_NewItem)
    needed = "source" if body.type == "image" else "text"
    if not getattr(body, needed):
        raise invalid((needed, f"Required for an item of type {body.type}."))
    answer = _members(folder) | {"saved_node_id": call.sandbox.state.new_id("node")}
    if body.type == "image":
        asset = call.sandbox.assets.add_fetched(
            folder.workspace_id, body.description or "Saved", "image/png", body.source
        )
        answer |= {"asset_id": asset.asset_id, "url": asset.url(call.root)}
    return ApiResponse(answer, 201)


def _folder(call: Call) -> Folder:
    return call.sandbox.library.find(call.workspace_id(), call.path["folder_id"])


def _members(folder: Folder) -> dict[str, object]:
    return {"folder_id": folder.folder_id, "workspace_id": folder.workspace_id}


_FOLDERS = "/workspaces/{workspace_id}/library/folders"
ROUTES = [
    Route("POST", _FOLDERS, _create_folder, key="header"),
    Route("DELETE", _FOLDERS + "/{folder_id}", _delete_folder),
    Route("POST", _FOLDERS + "/{folder_id}/items", _save_item, key="header"),
]
