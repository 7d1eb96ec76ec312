"""Upload a file to FLORA, as a flow: by URL, directly, or through a signed upload, as its type and size require."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, TypeVar

from flora_provider.api import calls, validation
from flora_provider.api.calls.assets import MAX_DIRECT, SIGNED_UPLOAD, binary_file
from flora_provider.api.calls.base import canonical_json
from flora_provider.api.calls.sending import send_call
from flora_provider.api.errors import (
    FloraAnswerError,
    FloraConflictError,
    FloraDuplicateError,
    FloraError,
    FloraNotFoundError,
    FloraStatusError,
    FloraUploadError,
)
from flora_provider.api.files.media_types import uploadable_type
from flora_provider.api.http.flow import Flow, FlowContext, Form, Request, Response, Send, Sleep
from flora_provider.api.http.retry_policy import RetryPolicy, may_retry, status_passes
from flora_provider.api.http.retrying import Retries
from flora_provider.api.models import Asset
from flora_provider.api.text import one_line
from flora_provider.api.urls import host_to_connect

T = TypeVar("T")

POLL_SECONDS = 1.0  # as FLORA's SDK
_ONE_TRY = RetryPolicy(max_retries=0)


def upload(
    source: str | IO[bytes],
    context: FlowContext,
    *,
    workspace_id: str,
    file_name: str | None = None,
    content_type: str | None = None,
    folder: str | None = None,
    project_id: str | None = None,
    ready_timeout: float = 120.0,
) -> Flow[Asset]:
    """Give FLORA a file, and wait until runs can use it.

    A public https URL is fetched by FLORA (at most 50 MB). A file of up to 4 MB is sent in one request, a larger one
    to the storage that FLORA names; it is read piece by piece. FLORA's key never goes to the storage. Storing twice
    does no harm, so all of it is retried where a failure may pass; at worst a copy without a user stays behind.

    Args:
        source: an https URL, or a file: seekable, open for reading in binary.
        context: the client's.
        workspace_id: the workspace that owns it.
        file_name: as FLORA shows it; needed for a file.
        content_type: such as `image/png`; of a file by default as its name suggests.
        folder: in the library.
        project_id: also puts it on that project's canvas.
        ready_timeout: seconds to wait until it is ready, once all is sent.

    Returns:
        The asset, ready: its `url` is an input for runs.

    Raises:
        FloraInputError: a value is wrong, or the file is empty.
        FloraUploadError: the storage or FLORA refused it (also the second time), or it did not get ready.
        FloraConnectionError, FloraStatusError: a request failed, and no retry helped.
    """
    validation.raise_problems(validation.problems([("ready_timeout", ready_timeout, validation.seconds)]))
    steps = _Steps(context, ready_timeout)
    create_asset = partial(calls.create_asset, workspace_id=workspace_id, folder=folder, project_id=project_id)
    if isinstance(source, str):
        asset = yield from steps.obtain(create_asset(source=source, file_name=file_name, content_type=content_type))
        return _ready((yield from steps.settled(asset)))
    validation.raise_problems(validation.problems([("the file", source, binary_file)]))
    size = source.seek(0, os.SEEK_END)
    name, kind = _described(file_name, content_type, size)
    if size > MAX_DIRECT:
        asset = yield from steps.obtain(create_asset(source=SIGNED_UPLOAD, file_name=name, content_type=kind))
        return _ready((yield from steps.through_storage(asset, source, name, kind)))
    asset = yield from steps.obtain(
        calls.create_asset_from_file(
            file=source,
            file_name=name,
            content_type=kind,
            workspace_id=workspace_id,
            folder=folder,
            project_id=project_id,
        )
    )
    return _ready((yield from steps.settled(asset)))


@dataclass(frozen=True, slots=True)
class _Steps:
    """What an upload is made of."""

    context: FlowContext
    ready_timeout: float

    def send(self, call: calls.Call[T]) -> Flow[T]:
        """A call with its retries, under a key of its own if it takes one."""
        if call.takes_key:
            call = call.with_key("upload-" + "".join(f"{int(self.context.random() * 2**32):08x}" for _ in range(4)))
        return send_call(call, self.context)

    def obtain(self, call: calls.Call[Asset]) -> Flow[Asset]:
        """An asset or a reservation, under another key if FLORA has an answer to the first one that is of no use.

        That is one that was lost, so that the resend is refused as a duplicate, or a failure that FLORA stored.
        """
        try:
            return (yield from self.send(call))
        except FloraStatusError as error:
            if not (error.replayed or isinstance(error, FloraDuplicateError)):
                raise
            return (yield from self.send(call))

    def through_storage(self, asset: Asset, file: IO[bytes], name: str, kind: str) -> Flow[Asset]:
        """Send the file to the place that was reserved; to a new one, once, if the reservation expired or it failed."""
        first = yield from self._stored(asset, file, name, kind)
        if first.status != Asset.FAILED:
            return first
        try:
            again = yield from self.obtain(calls.retry_asset(_id(asset)))
        except FloraConflictError:  # FLORA sees no reason for one
            return first
        return (yield from self._stored(again, file, name, kind))

    def _stored(self, asset: Asset, file: IO[bytes], name: str, kind: str) -> Flow[Asset]:
        """Send the file, and wait until FLORA has settled what becomes of it."""
        request = _to_storage(asset, file, name, kind)
        if error := (yield from self._store(request)):
            return asset.model_copy(update={"status": Asset.FAILED, "failure_message": error})
        try:
            done = yield from self.send(calls.complete_asset(_id(asset)))
        except FloraConflictError:  # completed already: the answer to an earlier try was lost
            done = yield from self.send(calls.get_asset(_id(asset)))
        return (yield from self.settled(done))

    def _store(self, request: Request) -> Flow[str | None]:
        """Store the file; why the storage does not take it, if it does not."""
        retries = Retries(self.context, what=request, resendable=True)
        while True:
            try:
                response: Response = yield Send(request)
                error = f"the storage answered {response.status}"
                if not status_passes(response.status):
                    return None if response.ok else error
                asked = response.retry_after(self.context.clock())
                raise FloraUploadError(error, may_retry=True, retry_after=asked)
            except FloraError as failure:
                pause = retries.pause(failure)
            yield pause

    def settled(self, asset: Asset) -> Flow[Asset]:
        """The asset once it is ready or has failed, or as it is when `ready_timeout` ends."""
        until = self.context.steady() + self.ready_timeout
        while asset.status not in (Asset.READY, Asset.FAILED) and self.context.steady() < until:
            yield Sleep(POLL_SECONDS)
            poll = calls.get_asset(_id(asset))
            try:
                asset = yield from send_call(poll, replace(self.context, policy=_ONE_TRY))
            except FloraError as failure:
                # What was created a moment ago may be 404; what may pass is looked at again anyway.
                if not isinstance(failure, FloraNotFoundError) and not may_retry(failure, resendable=True):
                    raise
        return asset


def _described(file_name: str | None, content_type: str | None, size: int) -> tuple[str, str]:
    """A file's name and media type, the latter by default as the name suggests."""
    found = validation.problems([("file_name", file_name, validation.single_line)])
    kind = content_type or (None if found else uploadable_type(file_name or ""))
    if size == 0:
        found.append("the file is empty")
    if not found and kind is None:
        found.append(f"file_name is {file_name!r}, which does not tell what it holds: give content_type")
    validation.raise_problems(found)
    return file_name or "", kind or ""


def _to_storage(asset: Asset, file: IO[bytes], name: str, kind: str) -> Request:
    """What FLORA's reservation says: a form with its fields and then the file, or else the bytes themselves."""
    address = asset.upload.url if asset.upload else asset.upload_url
    if address is None:
        raise FloraAnswerError(f"FLORA reserved no place to send asset {asset.asset_id} to")
    if host_to_connect(address) is None:
        raise FloraUploadError("the storage's address is none that is followed: only https:// is")
    if not asset.upload:
        return Request(method="PUT", url=address, body=file, headers=(("Content-Type", kind),))
    fields = asset.upload.form_fields
    # The fields hold a signature, so whoever wrote the file could not know this boundary.
    boundary = hashlib.sha256(canonical_json(fields)).hexdigest()[:32]
    form = Form(fields, asset.upload.file_field, name, kind, file, boundary)
    return Request(method="POST", url=address, form=form)


def _id(asset: Asset) -> str:
    if asset.asset_id is None:
        raise FloraAnswerError("FLORA's answer holds no asset_id")
    return asset.asset_id


def _ready(asset: Asset) -> Asset:
    """The asset, if runs can use it.

    Raises:
        FloraUploadError: they cannot, or not yet.
    """
    if asset.status == Asset.READY:
        return asset
    if asset.status == Asset.FAILED:
        reason = one_line(asset.failure_message, 1000) or "it gave no reason"
        raise FloraUploadError(f"FLORA could not use {asset.asset_id}: {reason}")
    raise FloraUploadError(
        f"{asset.asset_id} is still {asset.status}: raise ready_timeout, or ask again with calls.get_asset()",
        may_retry=True,
    )
