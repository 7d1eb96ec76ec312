"""What saving a run asks of a folder, wherever that is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, Any

from flora_provider.api.errors import FloraInputError
from flora_provider.files.reasons import storage_errors

LARGEST_TEXT = 32 * 1024**2  # bytes of what is read into memory


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

    def read(self, name: str, *, at_most: int = LARGEST_TEXT) -> bytes | None:
        """What a file holds; None if there is none. Raises FloraInputError if it has more bytes."""
        if self.size(name) is None:
            return None
        with storage_errors("read", self.path(name)):
            return _read_text(self.open(name), self.path(name), at_most)

    @abstractmethod
    def names(self) -> list[str]:
        """The names of all files in it, whole ones only; empty if there is no such folder."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file."""

    def publish_bytes(self, content: bytes, name: str, owner: str) -> None:
        """The same for what is in memory."""
        with self.temporary(owner) as file:
            with storage_errors("write", self.path(name)):
                file.write(content)
            self.publish(file, name)


def _read_text(opened: Any, path: str, at_most: int) -> bytes:
    with opened as file:
        content: bytes = file.read(at_most + 1)
    if len(content) > at_most:
        raise FloraInputError(f"{path} is larger than {at_most} bytes, so it is none of ours: check the path")
    return content
