"""Uploading, listing and attaching assets, and the store behind them (contract, 2.15 to 2.17, operation 20)."""

from __future__ import annotations

import mimetypes
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, InstanceOf, ValidationInfo

from flora_provider.sandbox.http.multipart import Part, read_parts
from flora_provider.sandbox.http.paging import PageQuery, page
from flora_provider.sandbox.http.responses import ApiError, ApiResponse, invalid
from flora_provider.sandbox.http.validation import AssetId, Body, ProjectId, Text, WorkspaceId, check, media_url
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.world.assets import CONTENT_TYPES, Asset, iso

DIRECT_LIMIT = 4 * 1024 * 1024
"""Largest file, in bytes, that may come with the request itself."""


def _source(value: str, info: ValidationInfo) -> str:
    return value if value == "signed-url" else media_url(value, info)


def _content_type(value: str) -> str:
    if value not in CONTENT_TYPES:
        raise ValueError(f"{value} is not accepted; expected one of {', '.join(sorted(CONTENT_TYPES))}.")
    return value


def _small(file: Part) -> Part:
    if len(file.content) > DIRECT_LIMIT:
        raise ValueError(f"Larger than {DIRECT_LIMIT} bytes; use a signed upload.")
    return file


class _NewAsset(Body):
    workspace_id: WorkspaceId
    content_type: Annotated[str, AfterValidator(_content_type)] = ""
    file_name: Text = ""
    folder: Text = ""
    project_id: ProjectId = ""


class _SourceAsset(_NewAsset):
    source: Annotated[str, AfterValidator(_source)]


class _DirectAsset(_NewAsset):
    file: Annotated[InstanceOf[Part], AfterValidator(_small)]


class _AssetsQuery(PageQuery):
    workspace_id: WorkspaceId = ""
    project_id: ProjectId = ""
    query: Text = ""


def _create_asset(call: Call) -> ApiResponse:
    """Create an asset in one of three ways: with its bytes, from a URL, or by a signed upload."""
    assets = call.sandbox.assets
    is_form = call.request.headers.get("content-type", "").lower().startswith("multipart/form-data")
    body = _direct(call) if is_form else call.json(_SourceAsset)
    call.sandbox.state.require_workspace(body.workspace_id)
    if body.project_id:
        call.sandbox.state.require_project(body.project_id, body.workspace_id)
    if isinstance(body, _DirectAsset):
        name = body.file_name or body.file.file_name or "file"
        # FLORA's SDK labels files application/octet-stream, so the label says nothing and the name counts.
        label = body.file.content_type if body.file.content_type != "application/octet-stream" else None
        content_type = body.content_type or label or _guess(name)
        if content_type not in CONTENT_TYPES:
            raise invalid(("content_type", f"{content_type} is not accepted."))
        asset = assets.add_direct(body.workspace_id, name, content_type, body.file.content)
    elif body.source == "signed-url":
        name = body.file_name or "upload"
        asset = assets.add_signed(body.workspace_id, name, body.content_type or _guess(name))
    else:
        name = body.file_name or urlsplit(body.source).path.rsplit("/", 1)[-1] or "file"
        asset = assets.add_fetched(body.workspace_id, name, body.content_type or _guess(name), body.source)
    if body.project_id:
        _attach(call, asset, body.project_id)
    return _upload_state(call, asset, "uploaded_via", status=201)


def _direct(call: Call) -> _DirectAsset:
    parts = read_parts(call.request)
    fields = {part.name: part.content.decode(errors="replace") for part in parts if part.file_name is None}
    return check(_DirectAsset, fields | {part.name: part for part in parts if part.file_name is not None})


def _guess(name: str) -> str:
    guessed = mimetypes.guess_type(name)[0]
    return guessed if guessed in CONTENT_TYPES else "image/png"


def _list_assets(call: Call) -> ApiResponse:
    query = call.query(_AssetsQuery)
    now = call.sandbox.clock.now()
    nodes = {
        node.string("asset_id"): (node.node_id, project.project_id)
        for project in call.sandbox.state.projects.values()
        if query.project_id in ("", project.project_id)
        for node in project.canvas.nodes.values()
    }
    found = [
        asset
        for asset in call.sandbox.assets.newest_first()
        if query.workspace_id in ("", asset.workspace_id)
        and query.query.lower() in asset.name.lower()
        and query.project_id in ("", nodes.get(asset.asset_id, (None, None))[1])
    ]

    def render(asset: Asset) -> dict[str, Any]:
        node_id, project_id = nodes.get(asset.asset_id, (None, None))
        members = {"created_at": round(asset.created_at * 1000), "node_id": node_id, "project_id": project_id}
        return asset.row(now, call.root) | members

    return page("assets", found, query, render)


def _get_asset(call: Call) -> ApiResponse:
    """Return one asset; its `created_at` is ISO text, unlike a list's (contract, 1.5)."""
    asset, now = _asset(call), call.sandbox.clock.now()
    more = {"created_at": iso(asset.created_at), "failure_message": asset.failure_at(now)}
    return ApiResponse(asset.row(now, call.root) | more)


def _complete_asset(call: Call) -> ApiResponse:
    asset = _asset(call)
    call.sandbox.assets.complete(asset)
    return _upload_state(call, asset, "failure_message")


def _retry_asset(call: Call) -> ApiResponse:
    asset = _asset(call)
    call.sandbox.assets.retry(asset)
    return _upload_state(call, asset, "failure_message")


def _upload_state(call: Call, asset: Asset, member: str, status: int = 200) -> ApiResponse:
    """Return how far an asset is, and how to upload it if that is awaited; the routes differ in one member."""
    now = call.sandbox.clock.now()
    row = asset.row(now, call.root) | {"visibility": "workspace", "failure_message": asset.failure_at(now)}
    answer = {name: row[name] for name in ("asset_id", "workspace_id", "status", "url", "visibility", member)}
    return ApiResponse(answer | asset.upload(now, call.root), status)


def _attach_asset(call: Call) -> ApiResponse:
    project, asset = call.project(), _asset(call)
    if asset.status(call.sandbox.clock.now()) != "ready":
        raise ApiError(409, "conflict", "Asset is not ready.")
    node_id = _attach(call, asset, project.project_id)
    members = {"project_id": project.project_id, "asset_id": asset.asset_id, "node_id": node_id}
    return ApiResponse(members | {"canvas_url": call.canvas_url(project)}, 201)


def _attach(call: Call, asset: Asset, project_id: str) -> str:
    project, node_id = call.sandbox.state.projects[project_id], call.sandbox.state.new_id("node")
    project.canvas.require_room(1)
    medium = asset.content_type.split("/")[0]
    block = f"static{medium.capitalize()}Block" if medium in ("image", "video", "audio") else "documentNode"
    project.canvas.add(node_id, block, {"label": asset.name, "asset_id": asset.asset_id, "url": asset.url(call.root)})
    project.last_modified = call.sandbox.clock.now()
    return node_id


def _asset(call: Call) -> Asset:
    asset_id = call.path_id("asset_id", AssetId)
    if call.request.method == "POST" and call.request.content:
        call.json(Body)  # no body and an empty object are both fine; anything else is not (contract, 2.16)
    return call.sandbox.assets.find(asset_id)


def _store_form(call: Call) -> ApiResponse:
    """Take a file as the last part of a form whose other fields FLORA prescribed."""
    asset = _awaited(call)
    parts = read_parts(call.request)
    fields = {part.name: part.content.decode(errors="replace") for part in parts[:-1]}
    if not parts or parts[-1].name != "file" or fields != asset.form_fields():
        return _store_error(400, "InvalidArgument", "The form must have every field of form_fields, then the file.")
    asset.content = parts[-1].content
    return ApiResponse(b"", 204)


def _store_bytes(call: Call) -> ApiResponse:
    """Take a file as the whole body, under the content type that was reserved."""
    asset = _awaited(call)
    if call.request.headers.get("content-type") != asset.content_type:
        return _store_error(403, "SignatureDoesNotMatch", f"Content-Type must be {asset.content_type}.")
    asset.content = call.request.content
    return ApiResponse(b"", 200)


def _awaited(call: Call) -> Asset:
    asset = call.sandbox.assets.awaited(call.path["upload_id"])
    if asset is None or asset.status(call.sandbox.clock.now()) != "pending_upload":
        raise ApiError(403, "forbidden", "No upload is expected here, or no longer.")
    return asset


def _store_error(status: int, code: str, message: str) -> ApiResponse:
    # The store is not FLORA: it complains in XML.
    xml = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return ApiResponse(xml.encode(), status, {"content-type": "application/xml; charset=UTF-8"})


ROUTES = [
    Route("POST", "/assets", _create_asset, key="header"),
    Route("GET", "/assets", _list_assets),
    Route("GET", "/assets/{asset_id}", _get_asset),
    Route("POST", "/assets/{asset_id}/complete", _complete_asset, key="header"),
    Route("POST", "/assets/{asset_id}/retry", _retry_asset, key="header"),
    Route("POST", "/projects/{project_id}/assets/{asset_id}/attach", _attach_asset, key="header"),
    Route("POST", "/{upload_id}", _store_form, prefix="/_storage"),
    Route("PUT", "/{upload_id}", _store_bytes, prefix="/_storage"),
]
