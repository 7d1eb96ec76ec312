"""The library of a workspace."""

from __future__ import annotations

from pydantic import Field

from flora_provider.api.models.base import FloraModel


class LibraryFolder(FloraModel):
    """A folder that was made."""

    folder_id: str
    name: str
    workspace_id: str


class DeletedFolder(FloraModel):
    """A folder that is gone; what was saved in it is not."""

    folder_id: str
    workspace_id: str
    deleted: bool


class LibraryItem(FloraModel):
    """What was saved into a folder; an image is an asset, too."""

    folder_id: str
    saved_node_id: str
    workspace_id: str
    asset_id: str | None = None
    url: str | None = Field(default=None, repr=False)
