"""The hook's verbs about what you have given FLORA: assets, and the folders of a library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from flora_provider.api import calls
from flora_provider.hooks.base import ConnectedHook

if TYPE_CHECKING:
    from flora_provider.api import models


class LibraryHook(ConnectedHook):
    """Assets and library folders. `upload_asset` takes all the steps of an upload, which are single calls here."""

    def iter_assets(
        self, *, workspace_id: str | None = None, project_id: str | None = None, query: str | None = None
    ) -> Iterator[models.Asset]:
        """The files that the key sees."""
        return self.client().items(calls.list_assets(workspace_id=workspace_id, project_id=project_id, query=query))

    def get_asset(self, asset_id: str) -> models.Asset:
        """One asset."""
        return self.send(calls.get_asset(asset_id))

    def create_asset(
        self,
        source: str,
        *,
        content_type: str | None = None,
        file_name: str | None = None,
        folder: str | None = None,
        workspace_id: str | None = None,
        project_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.Asset:
        """Let FLORA fetch a public https URL, or reserve a signed upload; it goes on no canvas without a project."""
        details = {"content_type": content_type, "file_name": file_name, "folder": folder, "project_id": project_id}
        call = calls.create_asset(source=source, workspace_id=self.workspace(workspace_id), **details)
        return self.send(call, idempotency_key)

    def create_asset_from_file(
        self,
        file: IO[bytes],
        *,
        content_type: str,
        file_name: str,
        folder: str | None = None,
        workspace_id: str | None = None,
        project_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.Asset:
        """Send at most 4 MB directly; it goes on no canvas without a project."""
        workspace = self.workspace(workspace_id)
        details = {"content_type": content_type, "file_name": file_name}
        call = calls.create_asset_from_file(
            file=file, workspace_id=workspace, folder=folder, project_id=project_id, **details
        )
        return self.send(call, idempotency_key)

    def complete_asset(self, asset_id: str, *, idempotency_key: str | None = None) -> models.Asset:
        """Say that a signed upload is done."""
        return self.send(calls.complete_asset(asset_id), idempotency_key)

    def retry_asset(self, asset_id: str, *, idempotency_key: str | None = None) -> models.Asset:
        """Reserve an upload anew that failed or expired."""
        return self.send(calls.retry_asset(asset_id), idempotency_key)

    def create_library_folder(
        self, name: str | None = None, *, workspace_id: str | None = None, idempotency_key: str | None = None
    ) -> models.LibraryFolder:
        """A new folder of a library; without a name FLORA gives it one."""
        call = calls.create_library_folder(workspace_id=self.workspace(workspace_id), name=name)
        return self.send(call, idempotency_key)

    def delete_library_folder(self, folder_id: str, *, workspace_id: str | None = None) -> models.DeletedFolder:
        """Delete a folder; what was saved in it stays."""
        return self.send(calls.delete_library_folder(workspace_id=self.workspace(workspace_id), folder_id=folder_id))

    def save_library_item(
        self,
        folder_id: str,
        *,
        source: str | None = None,
        text: str | None = None,
        description: str | None = None,
        workspace_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.LibraryItem:
        """Save an image, by its public https address, or a text."""
        item = {"source": source, "text": text, "description": description}
        call = calls.save_library_item(workspace_id=self.workspace(workspace_id), folder_id=folder_id, **item)
        return self.send(call, idempotency_key)
