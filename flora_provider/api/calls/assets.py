"""Files you give to FLORA, so that runs can use them."""

from __future__ import annotations

import hashlib
import io
import os
from typing import IO, Any

from flora_provider.api import models, validation
from flora_provider.api.calls.base import PAGE_SIZE, Call, drop_none, get, paged, path, post, required
from flora_provider.api.errors import FloraInputError
from flora_provider.api.http.flow import Form
from flora_provider.api.models import Page
from flora_provider.api.text import short_repr

SIGNED_UPLOAD = "signed-url"
MAX_DIRECT = 4 * 1024 * 1024  # bytes that FLORA takes in one request


def create_asset(
    *,
    source: str,
    workspace_id: str,
    content_type: str | None = None,
    file_name: str | None = None,
    folder: str | None = None,
    project_id: str | None = None,
) -> Call[models.Asset]:
    """`POST /assets`: let FLORA fetch a public https URL (at most 50 MB), or reserve a signed upload.

    Args:
        source: a public https URL, or `SIGNED_UPLOAD` to reserve one.
        workspace_id: the workspace that owns it.
        content_type: such as `image/png`.
        file_name: as FLORA shows it.
        folder: in the library.
        project_id: also puts it on that project's canvas.
    """
    members = drop_none(content_type=content_type, file_name=file_name, folder=folder, project_id=project_id)
    found = required(workspace_id=workspace_id, **members)
    validation.raise_problems(found + (required(source=source) if source != SIGNED_UPLOAD else []))
    payload = {"source": source, "workspace_id": workspace_id, **members}
    return post(models.Asset.read, "assets", payload=payload)


def create_asset_from_file(
    *,
    file: IO[bytes],
    workspace_id: str,
    content_type: str,
    file_name: str,
    folder: str | None = None,
    project_id: str | None = None,
) -> Call[models.Asset]:
    """`POST /assets` as multipart: send at most 4 MB directly. Ready at once.

    `file` is seekable and open for reading in binary; it is read at once. The others are those of `create_asset`.
    """
    fields = {"workspace_id": workspace_id, "content_type": content_type, "file_name": file_name}
    fields |= drop_none(folder=folder, project_id=project_id)
    validation.raise_problems(required(**fields) + validation.problems([("file", file, binary_file)]))
    file.seek(0)
    content = file.read(MAX_DIRECT + 1)
    if not 0 < len(content) <= MAX_DIRECT:
        raise FloraInputError(
            f"the file has {file.seek(0, os.SEEK_END)} bytes: FLORA takes 1 to {MAX_DIRECT} directly; "
            "reserve a signed upload for more"
        )
    # Kept, for a resend under the same key must repeat these bytes, whatever has become of the file.
    form = Form(fields, "file", file_name, content_type, io.BytesIO(content), hashlib.sha256(content).hexdigest()[:32])
    return Call(method="POST", url=path("assets"), form=form, read=models.Asset.read, takes_key=True)


def get_asset(asset_id: str) -> Call[models.Asset]:
    """`GET /assets/{asset_id}`; a missing and a forbidden one are both 404."""
    validation.raise_problems(required(asset_id=asset_id))
    return get(models.Asset.read, "assets", asset_id)


def list_assets(
    *,
    workspace_id: str | None = None,
    project_id: str | None = None,
    query: str | None = None,
    limit: int = PAGE_SIZE,
    cursor: str | None = None,
) -> Call[Page[models.Asset]]:
    """`GET /assets`: one page of the files that the key sees."""
    asked = {"workspace_id": workspace_id, "project_id": project_id, "query": query}
    return paged("assets", models.Asset, "assets", limit=limit, cursor=cursor, query=asked)


def complete_asset(asset_id: str) -> Call[models.Asset]:
    """`POST /assets/{asset_id}/complete`: a signed upload is done. Sends `{}`, for an empty body was refused."""
    return _asset_step(asset_id, "complete")


def retry_asset(asset_id: str) -> Call[models.Asset]:
    """`POST /assets/{asset_id}/retry`: a new reservation for an upload that failed or expired."""
    return _asset_step(asset_id, "retry")


def attach_asset(*, project_id: str, asset_id: str) -> Call[models.AttachedAsset]:
    """`POST /projects/{project_id}/assets/{asset_id}/attach`: put a ready asset on a canvas."""
    validation.raise_problems(required(project_id=project_id, asset_id=asset_id))
    return post(models.AttachedAsset.read, "projects", project_id, "assets", asset_id, "attach", payload={})


def binary_file(name: str, value: Any) -> str | None:
    """A file that is open for reading in binary, and can be read again from its start."""
    if isinstance(value, io.TextIOBase):
        return f"{name} is open for text: open it in binary"
    if not all(callable(getattr(value, method, None)) for method in ("read", "seek")):
        return f"{name} is {short_repr(value)}: give a file that is open in binary"
    return f"{name} is closed: open it in binary" if getattr(value, "closed", False) else None


def _asset_step(asset_id: str, step: str) -> Call[models.Asset]:
    validation.raise_problems(required(asset_id=asset_id))
    return post(models.Asset.read, "assets", asset_id, step, payload={})
