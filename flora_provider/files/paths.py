"""Paths of this machine and of object stores, as tasks give them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, TypeAlias

from airflow.providers.common.compat.sdk import ObjectStoragePath

from flora_provider.api.errors import FloraInputError
from flora_provider.api.text import is_rendered_none, short_repr
from flora_provider.files.filesystems import address_of, connection_of, open_filesystem
from flora_provider.files.reasons import storage_errors

AnyPath: TypeAlias = "str | PathLike[str] | ObjectStoragePath"

_LOCAL = frozenset({"", "file", "local"})
_BLOCK = 8 * 1024**2  # bytes that are read ahead
_COPY = 256 * 1024  # bytes copied at a time


def as_path(value: AnyPath, conn_id: str | None = None, *, name: str = "folder") -> Path | ObjectStoragePath:
    """A path of this machine or one of an object store, as its type or its scheme says; that one can be opened.

    Raises:
        FloraInputError: it is neither; `name` is what it is called.
        FloraStorageError: as `open_filesystem`.
    """
    is_address = isinstance(value, str) and "://" in value and "\0" not in value
    path = address_of(str(value), conn_id, name=name) if is_address else value
    if isinstance(path, ObjectStoragePath):
        if set(path.protocol.split(",")) & _LOCAL or not path.protocol:
            return Path(path.path)
        open_filesystem(path, str(value), name=name)
        return path
    text = os.fspath(value) if isinstance(value, str | PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text or is_rendered_none(text):
        raise FloraInputError(f"{name} is {short_repr(value)}: give a path, or an address such as s3://bucket/folder")
    return Path(text)


def plain_address(path: ObjectStoragePath) -> str:
    """The address of a path without its connection."""
    return str(path).replace(f"://{connection_of(path)}@", "://", 1)


@contextmanager
def local_copy(path: ObjectStoragePath) -> Iterator[IO[bytes]]:
    """A temporary file of this machine with the content of one in an object store.

    Raises:
        FloraStorageError: it cannot be read, or there is no room for it.
    """
    with tempfile.TemporaryFile("wb+") as file:
        with storage_errors("read", plain_address(path)), path.fs.open(path.path, "rb", block_size=_BLOCK) as source:
            shutil.copyfileobj(source, file, _COPY)
        yield file
