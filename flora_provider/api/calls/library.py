"""The library of a workspace: folders of saved images and texts."""

from __future__ import annotations

from flora_provider.api import models, validation
from flora_provider.api.calls.base import Call, drop_none, optional, path, post, required


def create_library_folder(*, workspace_id: str, name: str | None = None) -> Call[models.LibraryFolder]:
    """`POST …/library/folders`: a new folder; without a name FLORA gives it one."""
    validation.raise_problems(required(workspace_id=workspace_id) + optional(name=name))
    return post(models.LibraryFolder.read, *_folders(workspace_id), payload=drop_none(name=name))


def delete_library_folder(*, workspace_id: str, folder_id: str) -> Call[models.DeletedFolder]:
    """`DELETE …/library/folders/{folder_id}`: delete a folder; what was saved in it stays.

    Takes no key, and is resent after every failure that may pass: a 404 may then mean that the first attempt did it.
    """
    validation.raise_problems(required(workspace_id=workspace_id, folder_id=folder_id))
    return Call(method="DELETE", url=path(*_folders(workspace_id), folder_id), read=models.DeletedFolder.read)


def save_library_item(
    *,
    workspace_id: str,
    folder_id: str,
    source: str | None = None,
    text: str | None = None,
    description: str | None = None,
) -> Call[models.LibraryItem]:
    """`POST …/library/folders/{folder_id}/items`: save an image or a text.

    Args:
        workspace_id: the library's.
        folder_id: as `create_library_folder` returned it.
        source: a public https address of an image, which FLORA fetches. Give this or `text`.
        text: a text.
        description: shown with it.
    """
    found = required(workspace_id=workspace_id, folder_id=folder_id)
    found += optional(source=source, text=text, description=description)
    if (source is None) == (text is None):
        found.append("the item has both source and text, or neither: give an image's address, or a text")
    validation.raise_problems(found)
    payload = drop_none(type="image" if text is None else "text", source=source, text=text, description=description)
    return post(models.LibraryItem.read, *_folders(workspace_id), folder_id, "items", payload=payload)


def _folders(workspace_id: str) -> tuple[str, ...]:
    return ("workspaces", workspace_id, "library", "folders")
