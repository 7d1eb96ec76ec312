"""Folders that take files whole or not at all: on this machine, and wherever Airflow's ObjectStoragePath leads.

A local file is written beside its name and renamed. S3, Google Cloud Storage and Azure show an object when its upload
has ended. On any other file system a file is written under another name and moved.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, cast
from uuid import uuid4

from airflow.providers.common.compat.sdk import ObjectStoragePath

from flora_provider.files.folder import Folder
from flora_provider.files.local import LocalFolder
from flora_provider.files.paths import AnyPath, as_path, plain_address
from flora_provider.files.reasons import storage_errors

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# These show an object only once its upload has been completed.
_PUBLISH_AT_END = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})
# Bytes of a part of an upload: S3 takes 10,000 of them, of 5 MiB or more. fsspec holds two of them in memory.
_BLOCK = 8 * 1024**2
_COPY = 256 * 1024  # bytes read at a time


class ObjectFolder(Folder):
    """A prefix in an object store, or a folder of another file system that fsspec knows."""

    def __init__(self, folder: ObjectStoragePath) -> None:
        self.folder = folder
        self._fs: AbstractFileSystem = folder.fs
        self._publishes_at_end = _protocols(self._fs) & _PUBLISH_AT_END

    def path(self, name: str) -> str:
        """As a URI, without the connection, which is Airflow's alone."""
        return plain_address(self.folder / name)

    def make(self) -> None:
        """Nothing in an object store, which has no folders."""
        if not self._publishes_at_end:
            with storage_errors("make the folder", str(self.folder)):
                self._fs.makedirs(self.folder.path, exist_ok=True)

    def size(self, name: str) -> int | None:
        """As of the base; what others have written meanwhile is seen."""
        key = self._key(name)
        with storage_errors("read", self.path(name)):
            self._fs.invalidate_cache(self._fs._parent(key))  # noqa: SLF001 - fsspec's own helper for its callers
            try:
                return cast("int", self._fs.info(key)["size"])
            except FileNotFoundError:
                return None

    @contextmanager
    def temporary(self, owner: str) -> Iterator[IO[bytes]]:  # noqa: ARG002 - a file without a name leaves nothing
        """A nameless file of this machine, which is gone with its process."""
        with storage_errors("write to", tempfile.gettempdir()):
            file = tempfile.TemporaryFile("wb+")  # noqa: SIM115 - closed below
        try:
            yield file
        finally:
            with suppress(OSError):
                file.close()

    def publish(self, file: IO[bytes], name: str) -> None:
        """Upload it."""
        with storage_errors("write", self.path(name)):
            file.flush()
            file.seek(0)
            if self._publishes_at_end:
                _upload(self._fs, file, self._key(name))
            else:
                self._write_and_move(file, name)

    def open(self, name: str) -> IO[bytes]:
        """As of the base."""
        with storage_errors("read", self.path(name)):
            return cast("IO[bytes]", self._fs.open(self._key(name), "rb", cache_type="none"))

    def names(self) -> list[str]:
        """As of the base; what others have written meanwhile is seen."""
        with storage_errors("read", plain_address(self.folder)):
            self._fs.invalidate_cache(self.folder.path)
            try:
                found = self._fs.ls(self.folder.path, detail=False)
            except FileNotFoundError:
                return []
        names = [path.rstrip("/").rpartition("/")[2] for path in found]
        return [name for name in names if not name.startswith(".")]

    def remove(self, name: str) -> None:
        """As of the base."""
        with storage_errors("remove", self.path(name)), suppress(FileNotFoundError):
            self._fs.rm_file(self._key(name))

    def _key(self, name: str) -> str:
        return (self.folder / name).path

    def _write_and_move(self, file: IO[bytes], name: str) -> None:
        part = self._key(f".{uuid4().hex}.part")
        try:
            with self._fs.open(part, "wb") as target:
                shutil.copyfileobj(file, target, _COPY)
            self._fs.mv(part, self._key(name))
        except BaseException:
            with suppress(Exception):
                self._fs.rm_file(part)
            raise


def open_folder(folder: AnyPath, conn_id: str | None = None) -> Folder:
    """A folder of this machine, or one in an object store.

    Args:
        folder: a path, an ObjectStoragePath, or its text with a scheme (`s3://bucket/prefix`).
        conn_id: the connection of an object store, unless the path names one.

    Raises:
        FloraInputError: it is no path.
        FloraStorageError: as `as_path`.
    """
    path = as_path(folder, conn_id)
    return ObjectFolder(path) if isinstance(path, ObjectStoragePath) else LocalFolder(path)


def _upload(fs: AbstractFileSystem, file: IO[bytes], key: str) -> None:
    """Stream a file to a store that shows it at the end; what was begun is dropped if it fails."""
    target: Any = fs.open(key, "wb", block_size=_BLOCK)
    try:
        shutil.copyfileobj(file, target, _COPY)
        target.close()
    except BaseException:
        # fsspec's close(), and the garbage collector through it, would publish what has been sent so far.
        with suppress(Exception):
            target.discard()
        target.buffer, target.closed = None, True
        raise


def _protocols(fs: AbstractFileSystem) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
