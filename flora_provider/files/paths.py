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
from flora_provider.files.reasons import storage_errors

try:
    from airflow.sdk.io.fs import has_fs
except ImportError:  # Airflow 2 and 3.0
    from airflow.io import has_fs  # type: ignore[attr-defined,no-redef]

AnyPath: TypeAlias = "str | PathLike[str] | ObjectStoragePath"

_LOCAL = frozenset({"", "file", "local"})
_BLOCK = 8 * 1024**2  # bytes that are read ahead
_COPY = 256 * 1024  # bytes copied at a time


def as_path(value: AnyPath, conn_id: str | None = None, *, name: str = "folder") -> Path | ObjectStoragePath:
    """A path of this machine or one of an object store, as its type or its scheme says.

    Raises:
        FloraInputError: it is neither; `name` is what it is called.
    """
    if isinstance(value, str) and "://" in value and "\0" not in value:
        try:
            path = ObjectStoragePath(value, conn_id=conn_id)
            if not has_fs(path.protocol):
                path.fs  # noqa: B018 - raises, unless somebody has attached a filesystem under this scheme
        except Exception as error:
            raise FloraInputError(
                f"{name} is {short_repr(value)}, which Airflow's ObjectStoragePath refuses ({type(error).__name__}): "
                "give a path, or an address such as s3://bucket/folder whose Airflow provider is installed"
            ) from error
        value = path
    if isinstance(value, ObjectStoragePath):
        return Path(value.path) if set(value.protocol.split(",")) & _LOCAL or not value.protocol else value
    text = os.fspath(value) if isinstance(value, str | PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text or is_rendered_none(text):
        raise FloraInputError(f"{name} is {short_repr(value)}: give a path, or an address such as s3://bucket/folder")
    return Path(text)


def plain_address(path: ObjectStoragePath) -> str:
    """The address of a path without its connection."""
    return str(path).replace(f"://{connection_of(path)}@", "://", 1)


def connection_of(path: ObjectStoragePath) -> str | None:
    """The connection that a path names; Airflow 2 has no such attribute where there is none."""
    return getattr(path, "conn_id", None)


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
