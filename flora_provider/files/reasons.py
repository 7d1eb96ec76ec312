"""Why a file could not be written or read, and what helps: errors of the system and of fsspec in plain words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from flora_provider.api.errors import FloraError, FloraStorageError
from flora_provider.api.text import one_line

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space, or choose another folder"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, or choose another folder"),
    errno.EFBIG: ("the file is larger than the system allows", "raise the limit (ulimit -f), or choose another folder"),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.ENOTDIR: ("a part of its path is a file", "choose another folder"),
    errno.EISDIR: ("a folder has that name", "choose another name or folder"),
    errno.EEXIST: ("a part of its path is a file", "choose another folder"),
    errno.ENAMETOOLONG: ("its path is too long", "choose another folder"),
    errno.ENOENT: ("it does not exist", "check the path"),
}
_DENIED = ("permission denied", "let the user that Airflow's worker runs as (or its storage connection) write there")


@contextmanager
def storage_errors(action: str, path: str) -> Iterator[None]:
    """Raise what goes wrong herein as FloraStorageError.

    Args:
        action: what is done, such as `write`.
        path: to what; credentials in it are not shown.

    Raises:
        FloraStorageError: whatever fsspec, a cloud's library or the system raised.
    """
    try:
        yield
    except FloraError:
        raise
    except Exception as error:  # each object store has errors of its own
        reason, remedy = _explained(error)
        raise FloraStorageError(f"cannot {action} {path}: {reason}; {remedy}") from error


def _explained(error: Exception) -> tuple[str, str]:
    if isinstance(error, PermissionError):
        return _DENIED
    if isinstance(error, FileNotFoundError):
        return "it, or its folder or bucket, does not exist", "make it, or check the path"
    if isinstance(error, OSError) and error.errno in _REASONS:
        return _REASONS[error.errno]
    said = one_line(str(error), 300)
    return f"{type(error).__name__}{f': {said}' if said else ''}", "check the path and the storage's connection"
