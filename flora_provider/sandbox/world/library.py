"""The library of a workspace: folders of saved images and texts (contract, operations 38 to 40)."""

from __future__ import annotations

from dataclasses import dataclass

from flora_provider.sandbox.http.responses import not_found


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder. What is saved into it is no state of the sandbox: no operation of FLORA's lists it."""

    folder_id: str
    workspace_id: str
    name: str


class Library:
    """The folders of all workspaces."""

    def __init__(self) -> None:
        self._folders: dict[str, Folder] = {}

    def add(self, folder: Folder) -> None:
        """Keep a folder."""
        self._folders[folder.folder_id] = folder

    def find(self, workspace_id: str, folder_id: str) -> Folder:
        """Return a folder of a workspace, or refuse with a 404."""
        folder = self._folders.get(folder_id)
        if folder is None or folder.workspace_id != workspace_id:
            raise not_found(f"Folder {folder_id}")
        return folder

    def delete(self, folder: Folder) -> None:
        """Forget a folder."""
        del self._folders[folder.folder_id]
