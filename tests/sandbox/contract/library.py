"""The library of a workspace."""

from typing import Literal

from tests.sandbox.contract.base import AssetId, Shape, WorkspaceId


class LibraryFolder(Shape):
    folder_id: str
    name: str
    workspace_id: WorkspaceId


class DeletedFolder(Shape):
    folder_id: str
    workspace_id: WorkspaceId
    deleted: Literal[True]


class LibraryItem(Shape):
    folder_id: str
    saved_node_id: str
    workspace_id: WorkspaceId
    asset_id: AssetId = "asset_1"
    url: str | None = None
