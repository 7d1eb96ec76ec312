"""The folder of a budget: on this machine, or wherever Airflow's ObjectStoragePath leads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flora_provider.budget.account import AddEntry, ListEntries
from flora_provider.files.paths import AnyPath, as_path, plain_address
from flora_provider.files.reasons import storage_errors

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


class LocalStore:
    """A store on this machine, or on a file system that is mounted on every worker."""

    def __init__(self, store: Path) -> None:
        self.store = store

    def names(self, effect: ListEntries) -> list[str]:
        """As `ListEntries` says. Raises FloraStorageError."""
        folder = self.store / effect.folder
        with storage_errors("read", str(folder)):
            return [path.name for path in folder.iterdir()] if folder.exists() else []

    def add(self, effect: AddEntry) -> None:
        """As `AddEntry` says. Raises FloraStorageError."""
        folder = self.store / effect.folder
        with storage_errors("write to", str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / effect.name).touch()


class ObjectStore:
    """A store in an object storage whose listings show what was written before, as S3, Google's and Azure's do."""

    def __init__(self, store: ObjectStoragePath) -> None:
        self.store = store
        self._fs = store.fs

    def names(self, effect: ListEntries) -> list[str]:
        """As `ListEntries` says. Raises FloraStorageError."""
        folder = self.store / effect.folder
        with storage_errors("read", plain_address(folder)):
            self._fs.invalidate_cache()
            try:
                return [path.rpartition("/")[2] for path in self._fs.ls(folder.path, detail=False)]
            except FileNotFoundError:
                return []

    def add(self, effect: AddEntry) -> None:
        """As `AddEntry` says. Raises FloraStorageError."""
        folder = self.store / effect.folder
        with storage_errors("write to", plain_address(folder)):
            self._fs.makedirs(folder.path, exist_ok=True)
            self._fs.pipe_file((folder / effect.name).path, effect.name.encode())


def open_store(store: AnyPath) -> LocalStore | ObjectStore:
    """The store at this path or address; raises as `as_path`."""
    path = as_path(store, name="budget: store")
    return LocalStore(path) if isinstance(path, Path) else ObjectStore(path)
