"""The files that a path or a pattern means, on this machine or in an object store."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from airflow.providers.common.compat.sdk import ObjectStoragePath

from flora_provider.api.errors import FloraInputError
from flora_provider.files.filesystems import connection_of
from flora_provider.files.paths import AnyPath, as_path, plain_address
from flora_provider.files.reasons import storage_errors

# What object stores call that which changes with the content, in fsspec's `info`.
_VERSIONS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "updated", "mtime")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that is there.

    Attributes:
        address: its absolute path, or its address without the connection.
        size: bytes.
        version: what changes with its content: an etag, or the time of its last change.
    """

    path: Path | ObjectStoragePath
    address: str
    size: int
    version: str

    def sha256(self) -> str:
        """Of all that it holds, hexadecimal.

        Raises:
            FloraStorageError: it cannot be read.
        """
        with storage_errors("read", self.address), self.path.open("rb") as file:
            return hashlib.file_digest(cast("Any", file), "sha256").hexdigest()

    def fingerprint(self, base_url: str, scope: Mapping[str, Any]) -> str:
        """A key for this content and where it is uploaded to."""
        parts = [base_url, dict(scope), self.address, self.size, self.version]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode(errors="replace")).hexdigest()[:40]


def source_files(sources: Iterable[AnyPath], conn_id: str | None) -> tuple[list[SourceFile], bool]:
    """All files that are meant, each once, those of a pattern by name; and whether one path without a pattern is meant.

    Raises:
        FloraInputError: a path is none, there is no such file, or none matches a pattern.
        FloraStorageError: the store cannot be read.
    """
    files: dict[str, SourceFile] = {}
    number, patterns = 0, False
    for source in sources:
        number += 1
        found, is_pattern = _found(as_path(source, conn_id, name="source"))
        patterns |= is_pattern
        files |= {file.address: file for file in found}
    if not number:
        raise FloraInputError("source is empty: give the path of a file, or a pattern such as s3://bucket/*.png")
    return list(files.values()), number == 1 and not patterns


def _found(path: Path | ObjectStoragePath) -> tuple[list[SourceFile], bool]:
    address = plain_address(path) if isinstance(path, ObjectStoragePath) else str(path)
    with storage_errors("read", address):
        if isinstance(path, ObjectStoragePath):
            path.fs.invalidate_cache()
            if (file := _object(path)) is not None:
                return [file], False
            keys = path.fs.glob(path.path) if _is_pattern(address) else []
            found = [_object(_sibling(path, key)) for key in sorted(keys)]
        else:
            if path.is_file():
                return [_local(path)], False
            names = glob.glob(address, recursive=True) if _is_pattern(address) else []  # noqa: PTH207 - it may be absolute
            found = [_local(Path(name)) for name in sorted(names) if Path(name).is_file()]
    files = [file for file in found if file is not None]
    if not files:
        remedy = "no file matches it" if _is_pattern(address) else "there is no such file"
        raise FloraInputError(f"source is {address}: {remedy}; check the path")
    return files, True


def _sibling(path: ObjectStoragePath, key: str) -> ObjectStoragePath:
    return ObjectStoragePath(path.fs.unstrip_protocol(key), conn_id=connection_of(path))


def _object(path: ObjectStoragePath) -> SourceFile | None:
    try:
        info = path.fs.info(path.path)
    except FileNotFoundError:
        return None
    if info.get("type") != "file":
        return None
    version = next((str(info[name]) for name in _VERSIONS if info.get(name)), "")
    return SourceFile(path, plain_address(path), int(info["size"]), version)


def _local(path: Path) -> SourceFile:
    status = path.stat()
    return SourceFile(path, str(path.absolute()), status.st_size, str(status.st_mtime_ns))


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in "*?[")
