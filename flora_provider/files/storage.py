"""Folders that take files whole or not at all: on this machine, and wherever Airflow's ObjectStoragePath leads.

A local file is written beside its name and renamed. S3, Google Cloud Storage and Azure show an object when its upload
has ended. On any other file system a file is written under another name and moved.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast
from uuid import uuid4

from airflow.providers.common.compat.sdk import ObjectStoragePath

from flora_provider.api.errors import FloraInputError, FloraStorageError
from flora_provider.files.paths import AnyPath, as_path, plain_address
from flora_provider.files.reasons import storage_errors

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# These show an object only once its upload has been completed.
_PUBLISH_AT_END = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})
# Bytes of a part of an upload: S3 takes 10,000 of them, of 5 MiB or more. fsspec holds two of them in memory.
_BLOCK = 8 * 1024**2
_COPY = 256 * 1024  # bytes read at a time
_LARGEST_TEXT = 32 * 1024**2  # bytes of what is read into memory


class Folder(ABC):
    """A folder, with the few operations that saving a run needs; names are those of files directly in it.

    Each raises FloraStorageError if the folder does not do it.
    """

    @abstractmethod
    def path(self, name: str) -> str:
        """Where a file of this name is, as `read_manifest` and Airflow's ObjectStoragePath take it."""

    def uri(self, name: str) -> str:
        """The same with a scheme, for lineage."""
        path = self.path(name)
        return path if "://" in path else Path(path).as_uri()

    @abstractmethod
    def make(self) -> None:
        """Make it, with the folders above it; buckets are not made."""

    @abstractmethod
    def size(self, name: str) -> int | None:
        """How many bytes a file has; None if there is none."""

    @abstractmethod
    def temporary(self, owner: str) -> Any:
        """A context with an open, empty file to fill and to `publish`; it is gone afterwards.

        Args:
            owner: of files left behind by a process that was killed, those of the same owner are removed.
        """

    @abstractmethod
    def publish(self, file: IO[bytes], name: str) -> None:
        """Give a file of `temporary` its name, replacing what has it, once all of it is there."""

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """A file, to read from."""

    def read(self, name: str) -> bytes | None:
        """What a small file holds; None if there is none."""
        if self.size(name) is None:
            return None
        with storage_errors("read", self.path(name)):
            return _read_text(self.open(name), self.path(name))

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file."""

    def publish_bytes(self, content: bytes, name: str, owner: str) -> None:
        """The same for what is in memory."""
        with self.temporary(owner) as file:
            with storage_errors("write", self.path(name)):
                file.write(content)
            self.publish(file, name)

    def _check_size(self, name: str, expected: int) -> None:
        size = self.size(name)
        if size != expected:
            raise FloraStorageError(
                f"{self.path(name)} has {size} bytes instead of {expected} after it was written: try again"
            )


class LocalFolder(Folder):
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> str:
        """Absolute."""
        return str(self.folder.absolute() / name)

    def make(self) -> None:
        """As of the base."""
        with storage_errors("make the folder", str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)

    def size(self, name: str) -> int | None:
        """As of the base."""
        with storage_errors("read", self.path(name)):
            path = self.folder / name
            return path.stat().st_size if path.exists() else None

    @contextmanager
    def temporary(self, owner: str) -> Iterator[IO[bytes]]:
        """A hidden file in the folder, locked while its process lives."""
        with storage_errors("write to", str(self.folder.absolute())):
            self._remove_leftovers(owner)
            path = self.folder / f".{owner}.{uuid4().hex}.part"
            file = path.open("xb+")
        try:
            _lock(file)
            yield file
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # what could not be written when it was full cannot be flushed either
                file.close()

    def publish(self, file: IO[bytes], name: str) -> None:
        """Rename it."""
        with storage_errors("write", self.path(name)):
            file.flush()
            os.fsync(file.fileno())
            size = file.seek(0, os.SEEK_END)
            Path(file.name).replace(self.folder / name)
            _sync_folder(self.folder)
        self._check_size(name, size)

    def open(self, name: str) -> IO[bytes]:
        """As of the base."""
        with storage_errors("read", self.path(name)):
            return (self.folder / name).open("rb")

    def remove(self, name: str) -> None:
        """As of the base."""
        with storage_errors("remove", self.path(name)):
            (self.folder / name).unlink(missing_ok=True)

    def _remove_leftovers(self, owner: str) -> None:
        for path in self.folder.glob(f".{owner}.*.part"):
            with suppress(OSError), path.open("rb") as file:
                _lock(file)  # raises while the process that writes it lives
                path.unlink(missing_ok=True)


class ObjectFolder(Folder):
    """A prefix in an object store, or a folder of another file system that fsspec knows."""

    def __init__(self, folder: ObjectStoragePath) -> None:
        self.folder = folder
        with storage_errors("open", str(folder)):
            # Here, for it reads a connection of Airflow's, which only the task's own thread may ask for.
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
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if self._publishes_at_end:
                _upload(self._fs, file, self._key(name))
            else:
                self._write_and_move(file, name)
        self._check_size(name, size)

    def open(self, name: str) -> IO[bytes]:
        """As of the base."""
        with storage_errors("read", self.path(name)):
            return cast("IO[bytes]", self._fs.open(self._key(name), "rb", cache_type="none"))

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


def _read_text(opened: Any, path: str) -> bytes:
    with opened as file:
        content: bytes = file.read(_LARGEST_TEXT + 1)
    if len(content) > _LARGEST_TEXT:
        raise FloraInputError(f"{path} is larger than {_LARGEST_TEXT} bytes, so it is no manifest: check the path")
    return content


def _protocols(fs: AbstractFileSystem) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)


def _lock(file: IO[bytes]) -> None:
    import fcntl  # noqa: PLC0415 - not on Windows, where Airflow does not run but its DAGs may be edited

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(folder: Path) -> None:
    """Make the rename durable, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
