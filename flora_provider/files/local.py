"""A folder of this machine: a file is written beside its name and renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from flora_provider.files.folder import Folder
from flora_provider.files.reasons import storage_errors


class LocalFolder(Folder):
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._swept: set[str] = set()  # owners whose leftovers were removed

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
            try:
                return (self.folder / name).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    @contextmanager
    def temporary(self, owner: str) -> Iterator[IO[bytes]]:
        """A hidden file in the folder, locked while its process lives."""
        with storage_errors("write to", str(self.folder.absolute())):
            if owner not in self._swept:  # once: ten thousand files take long to list
                self._remove_leftovers(owner)
                self._swept.add(owner)
            file = self._open_part(owner)
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)
            with suppress(OSError):  # what could not be written when it was full cannot be flushed either
                file.close()

    def publish(self, file: IO[bytes], name: str) -> None:
        """Rename it."""
        with storage_errors("write", self.path(name)):
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(self.folder / name)
            _sync_folder(self.folder)

    def open(self, name: str) -> IO[bytes]:
        """As of the base."""
        with storage_errors("read", self.path(name)):
            return (self.folder / name).open("rb")

    def names(self) -> list[str]:
        """As of the base."""
        with storage_errors("read", str(self.folder.absolute())):
            try:
                found = list(self.folder.iterdir())
            except FileNotFoundError:
                return []
        return [path.name for path in found if not path.name.startswith(".")]

    def remove(self, name: str) -> None:
        """As of the base."""
        with storage_errors("remove", self.path(name)):
            (self.folder / name).unlink(missing_ok=True)

    def _open_part(self, owner: str) -> IO[bytes]:
        while True:
            path = self.folder / f".{owner}.{uuid4().hex}.part"
            file = path.open("xb+")
            with suppress(OSError):  # where nothing can be locked, nothing is taken for a leftover either
                _lock(file)
            if path.exists():
                return file
            file.close()  # another writer of this owner took it for a leftover before it was locked

    def _remove_leftovers(self, owner: str) -> None:
        with os.scandir(self.folder) as entries:
            names = [one.name for one in entries if one.name.startswith(f".{owner}.") and one.name.endswith(".part")]
        for path in map(self.folder.joinpath, names):
            with suppress(OSError), path.open("rb") as file:
                _lock(file, wait=False)  # raises while the process that writes it lives
                path.unlink(missing_ok=True)


def _lock(file: IO[bytes], *, wait: bool = True) -> None:
    import fcntl  # noqa: PLC0415 - not on Windows, where Airflow does not run but its DAGs may be edited

    fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(folder: Path) -> None:
    """Make the rename durable, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
