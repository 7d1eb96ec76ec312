"""Copy the saved files of a run into another folder: each whole or not at all, and what is there already is kept."""

from __future__ import annotations

import hashlib
import logging
from typing import IO, Any

from flora_provider.api.errors import FloraStorageError
from flora_provider.api.files.naming import safe_stem
from flora_provider.files.folder import Folder
from flora_provider.files.manifest import RunManifest, SavedFile, manifest_name, parse_manifest
from flora_provider.files.paths import AnyPath
from flora_provider.files.reasons import storage_errors
from flora_provider.files.storage import open_folder

log = logging.getLogger(__name__)

_COPY = 256 * 1024  # bytes read at a time


def copy_run(manifest: RunManifest, source: AnyPath, folder: AnyPath, **changes: Any) -> RunManifest:
    """Copy files with their manifest; each is compared with its hash on the way.

    Args:
        manifest: of the files.
        source: the folder that they are in.
        folder: where to, as of `save_run`.
        changes: members of the manifest that are to differ.

    Raises:
        FloraStorageError: a folder cannot be read or written, or a file is not what its manifest says.
    """
    origin, target = open_folder(source), open_folder(folder)
    target.make()
    owner, name = safe_stem(manifest.run_id), manifest_name(manifest.run_id)
    before = parse_manifest(target.read(name))
    known = {file.name: file.sha256 for file in before.files} if before else {}
    copied: list[SavedFile] = []
    for file in manifest.files:
        is_there = known.get(file.name) == file.sha256 and target.size(file.name) == file.size
        if not is_there:
            with target.temporary(owner) as temporary:
                _copy(origin, file, temporary)
                target.publish(temporary, file.name)
            log.info("Copied %s (%d bytes)", target.path(file.name), file.size)
        copied.append(file.model_copy(update={"path": target.path(file.name)}))
    done = manifest.model_copy(update={**changes, "files": tuple(copied)})
    target.publish_bytes(done.to_json(), name, owner)
    return done


def _copy(origin: Folder, file: SavedFile, target: IO[bytes]) -> None:
    digest = hashlib.sha256()
    with origin.open(file.name) as source, storage_errors("copy", origin.path(file.name)):
        while piece := source.read(_COPY):
            digest.update(piece)
            target.write(piece)
    if digest.hexdigest() != file.sha256:
        raise FloraStorageError(
            f"{origin.path(file.name)} is not the file that was saved there: remove it, and try the task again"
        )
