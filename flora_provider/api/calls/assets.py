"""Files you give to FLORA, so that runs can use them."""

from __future__ import annotations

import hashlib
import io
import os
from typing import IO, Any

from flora_provider.api import catalogue, checks
from flora_provider.api.calls.call import PAGE_SIZE, Call, get, given, id_problems, page, page_problems, path, post
from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import Page
from flora_provider.api.plan import Form

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
) -> Call[catalogue.Asset]:
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
        found += checks.problems([("source", source, checks.source_url)])
    checks.refuse(found)
    payload = given(
        source=source, workspace_id=workspace_id, content_type=content_type, file_name=file_name, folder=folder,
        project_id=project_id,
    )  # fmt: skip
    return post(catalogue.Asset.read, "assets", payload=payload)


def create_asset_from_file(
    *,
    file: IO[bytes],
    workspace_id: str,
    content_type: str,
    file_name: str,
    folder: str | None = None,
    project_id: str | None = None,
) -> Call[catalogue.Asset]:
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
    checks.refuse(found + checks.problems([("file", file, binary_file)]))
    file.seek(0)
    content = file.read(MAX_DIRECT + 1)
    if not 0 < len(content) <= MAX_DIRECT:
        raise FloraInputError(
            f"the file has {file.seek(0, os.SEEK_END)} bytes: FLORA takes 1 to {MAX_DIRECT} directly; "
            "reserve a signed upload for more"
        )
    fields = given(
        workspace_id=workspace_id, content_type=content_type, file_name=file_name, folder=folder, project_id=project_id
    )
    # Kept, for a resend under the same key must repeat these bytes, whatever has become of the file.
    form = Form(fields, "file", file_name, content_type, io.BytesIO(content), hashlib.sha256(content).hexdigest()[:32])
    return Call(method="POST", path=path("assets"), form=form, read=catalogue.Asset.read, takes_key=True)


def get_asset(asset_id: str) -> Call[catalogue.Asset]:
    """`GET /assets/{asset_id}`; a missing and a forbidden one are both 404."""
    checks.refuse(checks.problems([("asset_id", asset_id, checks.identifier)]))
    return get(catalogue.Asset.read, "assets", asset_id)


def list_assets(
    *,
    workspace_id: str | None = None,
    project_id: str | None = None,
    query: str | None = None,
    limit: int = PAGE_SIZE,
    cursor: str | None = None,
) -> Call[Page[catalogue.Asset]]:
    """`GET /assets`: one page of the files that the key sees."""
    checks.refuse(
        id_problems(workspace_id=workspace_id, project_id=project_id)
        + page_problems(limit=limit, cursor=cursor, query=query)
    )
    return get(
        page("assets", catalogue.Asset), "assets",
        workspace_id=workspace_id, project_id=project_id, query=query, limit=limit, cursor=cursor,
    )  # fmt: skip


def complete_asset(asset_id: str) -> Call[catalogue.Asset]:
    """`POST /assets/{asset_id}/complete`: a signed upload is done. Sends `{}`, for an empty body was refused."""
    return _asset_step(asset_id, "complete")


def retry_asset(asset_id: str) -> Call[catalogue.Asset]:
    """`POST /assets/{asset_id}/retry`: a new reservation for an upload that failed or expired."""
    return _asset_step(asset_id, "retry")


def attach_asset(*, project_id: str, asset_id: str) -> Call[catalogue.AttachedAsset]:
    """`POST /projects/{project_id}/assets/{asset_id}/attach`: put a ready asset on a canvas."""
    checks.refuse(
        checks.problems([("project_id", project_id, checks.identifier), ("asset_id", asset_id, checks.identifier)])
    )
    return post(catalogue.AttachedAsset.read, "projects", project_id, "assets", asset_id, "attach", payload={})


def binary_file(name: str, value: Any) -> str | None:
    """A file that is open for reading in binary, and can be read again from its start."""
    if isinstance(value, io.TextIOBase):
        return f"{name} is open for text: open it in binary"
    if not all(callable(getattr(value, method, None)) for method in ("read", "seek")):
        return f"{name} is {checks.shown(value)}: give a file that is open in binary"
    return f"{name} is closed: open it in binary" if getattr(value, "closed", False) else None


def _asset_step(asset_id: str, step: str) -> Call[catalogue.Asset]:
    checks.refuse(checks.problems([("asset_id", asset_id, checks.identifier)]))
    return post(catalogue.Asset.read, "assets", asset_id, step, payload={})


def _problems(workspace_id: str, project_id: str | None, *, content_type: str | None, **texts: str | None) -> list[str]:
    found = checks.problems([("workspace_id", workspace_id, checks.identifier)]) + id_problems(project_id=project_id)
    found += checks.problems([("content_type", content_type, checks.content_type)] if content_type is not None else [])
    return found + checks.problems((name, value, checks.line) for name, value in given(**texts).items())
