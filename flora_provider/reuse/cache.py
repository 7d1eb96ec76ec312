"""The build cache's folder: `<folder>/ab/abcd….json` for each request, beside the files of its run.

No database and no lock. Files and entries appear under their names when they are whole; the files of two runs have two
names. So of two tasks that miss at the same time both pay, and either entry is right.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from flora_provider.files.folder import Folder
from flora_provider.files.manifest import RunManifest, SavedFile
from flora_provider.files.paths import AnyPath, as_path
from flora_provider.files.storage import open_folder

log = logging.getLogger(__name__)


class CacheEntry(BaseModel):
    """A run that was paid for, whose files are beside the entry.

    Attributes:
        run: the finished run. The addresses of its outputs are whole, for the next run may take one as an input, and
            whoever may read them here may read the files; FLORA serves them for a while only.
    """

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    run: dict[str, Any]
    manifest: RunManifest


@dataclass(frozen=True, slots=True)
class BuildCache:
    """Runs by the key of their request."""

    folder: AnyPath

    def part(self, key: str) -> str:
        """The folder that holds a key's entry and files."""
        whole = as_path(self.folder, name="reuse_from") / key[:2]
        return str(whole)

    def path(self, key: str) -> str:
        """Where a key's entry is, without the connection."""
        return self._store(key).path(_name(key))

    def find(self, key: str, *, max_age: timedelta | None = None) -> CacheEntry | None:
        """The entry of a key, with the paths of its files; None if there is none whose files are all there.

        Args:
            key: of the request, as `reuse_key` makes it.
            max_age: since the run completed; None for any.

        Raises:
            FloraStorageError: the folder cannot be made or read.
        """
        store = self._store(key)
        store.make()  # before anything is paid: a folder that cannot be made would not keep the run
        content = store.read(_name(key))
        if content is None:
            return None
        path = store.path(_name(key))
        try:
            entry = CacheEntry.model_validate_json(content)
        except ValidationError:
            log.warning("%s is no entry of a build cache that this release reads: the request is sent", path)
            return None
        manifest = entry.manifest
        if max_age is not None and _age(manifest) > max_age:
            log.info("%s is older than reuse_max_age allows: the request is sent", path)
            return None
        if not manifest.complete or any(store.size(file.name) != file.size for file in manifest.files):
            log.warning("The files of %s are not all there any more: the request is sent", path)
            return None
        files = tuple(_at(store, file) for file in manifest.files)
        return entry.model_copy(update={"manifest": manifest.model_copy(update={"files": files})})

    def put(self, key: str, run: Mapping[str, Any], manifest: RunManifest) -> None:
        """Keep a run whose files were saved in `part(key)`; a later one of the same key takes its place.

        Raises:
            FloraStorageError: the folder does not take it.
        """
        entry = CacheEntry(run=dict(run), manifest=manifest)
        self._store(key).publish_bytes(entry.model_dump_json(indent=2).encode(errors="replace"), _name(key), key)

    def _store(self, key: str) -> Folder:
        return open_folder(self.part(key))


def _name(key: str) -> str:
    return f"{key}.json"


def _at(store: Folder, file: SavedFile) -> SavedFile:
    """The file where it is now: the cache may have been moved."""
    return file.model_copy(update={"path": store.path(file.name)})


def _age(manifest: RunManifest) -> timedelta:
    """Since the run completed; endless where nobody knows."""
    try:
        return datetime.now(UTC) - datetime.fromisoformat(manifest.completed_at or manifest.saved_at or "")
    except (ValueError, TypeError):
        return timedelta.max
