"""Assets and their uploads."""

from typing import Literal

from tests.sandbox.contract.base import AssetId, Count, Iso, Meta, Milliseconds, ProjectId, Shape, Url, WorkspaceId


class Upload(Shape):
    url: Url
    method: Literal["POST"]
    content_type: Literal["multipart/form-data"]
    file_field: Literal["file"]
    form_fields: dict[str, str]


AssetStatus = Literal["pending_upload", "ready", "failed"]


class CreatedAsset(Shape):
    asset_id: AssetId
    workspace_id: WorkspaceId
    status: AssetStatus
    uploaded_via: Literal["url", "signed_url", "direct"]
    url: Url
    visibility: Literal["workspace"]
    expires_at: Iso = ""
    upload: Upload = None
    upload_url: Url = ""


class AssetUpload(Shape):
    asset_id: AssetId
    workspace_id: WorkspaceId | None
    status: AssetStatus
    url: Url | None
    visibility: Literal["workspace"]
    failure_message: str | None = None
    expires_at: Iso = ""
    upload: Upload = None
    upload_url: Url = ""


class AssetRow(Shape):
    asset_id: AssetId | None
    name: str | None
    description: str | None
    workspace_id: WorkspaceId | None
    url: Url | None
    content_type: str
    upload_content_type: str | None
    uploaded_via: str
    status: AssetStatus
    width: float | None
    height: float | None
    size_bytes: Count | None


class ListedAsset(AssetRow):
    created_at: Milliseconds | None
    node_id: str | None = None
    project_id: ProjectId | None = None


class Assets(Shape):
    assets: list[ListedAsset]
    meta: Meta


class SingleAsset(AssetRow):
    asset_id: AssetId
    created_at: Iso | None
    failure_message: str | None
