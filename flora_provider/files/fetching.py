"""Fetch one output of a run into a temporary file, by a fresh address where the one that is known has expired."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import IO, TYPE_CHECKING, Any

from flora_provider.api.errors import FloraDownloadError, FloraError
from flora_provider.api.files.download import EXPIRED, download
from flora_provider.files.measures import measures
from flora_provider.files.outputs import text_content
from flora_provider.files.reasons import storage_errors
from flora_provider.runs.ref import RunRef

if TYPE_CHECKING:
    from flora_provider.api.client import FloraClient
    from flora_provider.api.models import Run

_COPY = 256 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is whole: its media type, size in bytes, hash, and what `measures` says."""

    media_type: str
    size: int
    sha256: str
    measures: Mapping[str, Any]


@dataclass(slots=True)
class RunReader:
    """A run at FLORA, read at most once, by whichever thread first needs what it says now."""

    client: FloraClient
    ref: RunRef
    _run: Run | None = None
    _lock: Lock = field(default_factory=Lock)

    def read(self) -> Run:
        """The run as it is now; raises what a request may raise."""
        with self._lock:
            if self._run is None:
                self._run = self.client.send(self.ref.poll_call())
            return self._run

    def fresh_url(self, output: Mapping[str, Any]) -> str | None:
        """The address that FLORA names now; None if it names none, or the same."""
        urls = [getattr(new, "url", None) for new in self.read().outputs if new.output_id == output["output_id"]]
        return urls[0] if len(urls) == 1 and urls[0] != output["url"] else None


def fetch(output: Mapping[str, Any], file: IO[bytes], reader: RunReader, *, max_bytes: int, folder: str) -> Fetched:
    """Write an output to a file.

    Args:
        output: of which nothing is wrong.
        file: open for writing and reading.
        reader: of its run.
        max_bytes: the most that is written.
        folder: where the file is, for errors.

    Raises:
        FloraDownloadError: it did not arrive whole, is too large, or its address is not followed, or has expired and
            FLORA names no other.
        FloraStorageError: the file could not be written.
    """
    with storage_errors("write to", folder):
        if "text" in output:
            file.write(text_content(output))
            media_type = "text/plain"
        else:
            media_type = _download(output, file, reader, max_bytes)
        file.flush()
        size = file.seek(0, os.SEEK_END)
        found = measures(file, media_type)
        file.seek(0)
        digest = hashlib.sha256()
        while chunk := file.read(_COPY):
            digest.update(chunk)
    return Fetched(media_type, size, digest.hexdigest(), found)


def _download(output: Mapping[str, Any], file: IO[bytes], reader: RunReader, max_bytes: int) -> str:
    client = reader.client
    options: dict[str, Any] = {"max_bytes": max_bytes, "referrer": client.settings.base_url}
    try:
        return client.run(download(output["url"], file, client.context, **options)).content_type
    except FloraDownloadError as error:
        if error.status not in EXPIRED:
            raise
        try:
            fresh = reader.fresh_url(output)
        except FloraError as failure:
            raise FloraDownloadError(
                f"{error}. That was tried, and the run could not be read: {failure}", status=error.status
            ) from failure
        if fresh is None:
            raise
    return client.run(download(fresh, file, client.context, **options)).content_type
