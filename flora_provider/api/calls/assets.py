"""Files you give to FLORA, so that runs can use them."""

from __future__ import annotations

import hashlib
import io
import os
from typing import IO, Any

from flora_provider.api import models, validation
from flora_provider.api.calls.base import PAGE_SIZE, Call, drop_none, get, id_problems, page, page_problems, path, post
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
    found = _problems(workspace_id, project_id, content_type=content_type, file_name=file_name, folder=folder)
    if source != SIGNED_UPLOAD:
        found += validation.problems([("source", source, validation.source_url)])
    validation.raise_problems(found)
    payload = drop_none(
        source=source, workspace_id=workspace_id, content_type=content_type, file_name=file_name, folder=folder,
        project_id=project_id,
    )  # fmt: skip
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

    Args:
        file: seekable, open for reading in binary; read at once.
        workspace_id: the workspace that owns it.
        content_type: such as `image/png`.
        file_name: as FLORA shows it.
        folder: in the library.
        project_id: also puts it on that project's canvas.
    """
    found = _problems(workspace_id, project_id, content_type=content_type, file_name=file_name, folder=folder)
    found += [
        f"{name} is None: give one"
        for name, it in (("content_type", content_type), ("file_name", file_name))
        if it is None
    ]
    validation.raise_problems(found + validation.problems([("file", file, binary_file)]))
    file.seek(0)
    content = file.read(MAX_DIRECT + 1)
    if not 0 < len(content) <= MAX_DIRECT:
        raise FloraInputError(
            f"the file has {file.seek(0, os.SEEK_END)} bytes: FLORA takes 1 to {MAX_DIRECT} directly; "
            "reserve a signed upload for more"
        )
    fields = drop_none(
        workspace_id=workspace_id, content_type=content_type, file_name=file_name, folder=folder, project_id=project_id
    )
    # Kept, for a resend under the same key must repeat these bytes, whatever has become of the file.
    form = Form(fields, "file", file_name, content_type, io.BytesIO(content), hashlib.sha256(content).hexdigest()[:32])
    return Call(method="POST", path=path("assets"), form=form, read=models.Asset.read, takes_key=True)


def get_asset(asset_id: str) -> Call[models.Asset]:
    """`GET /assets/{asset_id}`; a missing and a forbidden one are both 404."""
    validation.raise_problems(validation.problems([("asset_id", asset_id, validation.identifier)]))
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
    validation.raise_problems(
        id_problems(workspace_id=workspace_id, project_id=project_id)
        + page_problems(limit=limit, cursor=cursor, query=query)
    )
    return get(
        page("assets", models.Asset), "assets",
        workspace_id=workspace_id, project_id=project_id, query=query, limit=limit, cursor=cursor,
    )  # fmt: skip


def complete_asset(asset_id: str) -> Call[models.Asset]:
    """`POST /assets/{asset_id}/complete`: a signed upload is done. Sends `{}`, for an empty body was refused."""
    return _asset_step(asset_id, "complete")


def retry_asset(asset_id: str) -> Call[models.Asset]:
    """`POST /assets/{asset_id}/retry`: a new reservation for an upload that failed or expired."""
    return _asset_step(asset_id, "retry")


def attach_asset(*, project_id: str, asset_id: str) -> Call[models.AttachedAsset]:
    """`POST /projects/{project_id}/assets/{asset_id}/attach`: put a ready asset on a canvas."""
    validation.raise_problems(
        validation.problems(
            [("project_id", project_id, validation.identifier), ("asset_id", asset_id, validation.identifier)]
        )
    )
    return post(models.AttachedAsset.read, "projects", project_id, "assets", asset_id, "attach", payload={})


def binary_file(name: str, value: Any) -> str | None:
    """A file that is open for reading in binary, and can be read again from its start."""
    if isinstance(value, io.TextIOBase):
        return f"{name} is open for text: open it in binary"
    if not all(callable(getattr(value, method, None)) for method in ("read", "seek")):
        return f"{name} is {short_repr(value)}: give a file that is open in binary"
    return f"{name} is closed: open it in binary" if getattr(value, "closed", False) else None


def _asset_step(asset_id: str, step: str) -> Call[models.Asset]:
    validation.raise_problems(validation.problems([("asset_id", asset_id, validation.identifier)]))
    return post(models.Asset.read, "assets", asset_id, step, payload={})


def _problems(workspace_id: str, project_id: str | None, *, content_type: str | None, **texts: str | None) -> list[str]:
    found = validation.problems([("workspace_id", workspace_id, validation.identifier)]) + id_problems(
        project_id=project_id
    )
    found += validation.problems(
        [("content_type", content_type, validation.content_type)] if content_type is not None else []
    )
    return found + validation.problems(
        (name, value, validation.single_line) for name, value in drop_none(**texts).items()
    )
