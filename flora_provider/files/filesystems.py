"""The filesystem of an object store: which provider of Airflow brings it, and with which connection it is made."""

from __future__ import annotations

from functools import cache

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, ObjectStoragePath

from flora_provider.api.errors import FloraInputError, FloraStorageError
from flora_provider.api.text import one_line, short_repr
from flora_provider.files.reasons import storage_errors

try:
    from airflow.sdk.io.fs import has_fs
except ImportError:  # Airflow 2 and 3.0
    from airflow.io import has_fs  # type: ignore[attr-defined,no-redef]

_PACKAGES = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "apache-airflow-providers-amazon[s3fs]"),
    **dict.fromkeys(("gs", "gcs"), "apache-airflow-providers-google"),
    **dict.fromkeys(("abfs", "abfss", "adl"), "apache-airflow-providers-microsoft-azure"),
    **dict.fromkeys(("sftp", "ssh"), "apache-airflow-providers-sftp[sshfs]"),
}


class FilesystemNotInstalled(FloraStorageError):  # noqa: N818 - named for what happened
    """Nothing that is installed here opens an address of this scheme; another worker may have it."""


class StorageConnectionNotFound(FloraStorageError):  # noqa: N818 - named for what happened
    """Airflow did not find the connection of an object store: there is none, or it could not be asked for."""


def address_of(text: str, conn_id: str | None, *, name: str) -> ObjectStoragePath:
    """The path of an object store that a text is, such as `s3://aws_default@bucket/folder`.

    Args:
        text: with a scheme.
        conn_id: the connection, unless the text names one.
        name: what it is called.

    Raises:
        FloraInputError: it is no address.
        FilesystemNotInstalled: nothing is known of its scheme.
    """
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    # Airflow 2 and 3.0 would take even None rather than the connection that the text names.
    options = {"conn_id": conn_id} if conn_id and "@" not in rest.partition("/")[0] else {}
    try:
        return ObjectStoragePath(text, **options)
    except Exception as error:
        if not has_fs(scheme):
            raise _not_installed(text, scheme, None, name) from error
        raise FloraInputError(
            f"{name} is {short_repr(text)}, which Airflow's ObjectStoragePath refuses ({type(error).__name__}): "
            "give a path, or an address such as s3://bucket/folder"
        ) from error


def connection_of(path: ObjectStoragePath) -> str | None:
    """The connection that a path names. Airflow 2 and 3.0 keep it among the options of its filesystem."""
    conn_id: str | None = getattr(path, "conn_id", None) or path.storage_options.get("conn_id")
    return conn_id


def open_filesystem(path: ObjectStoragePath, address: str, *, name: str) -> None:
    """Make the filesystem of a path, which Airflow keeps for this process; that asks the store for nothing.

    It may read a connection of Airflow's, which only a task's own thread may ask for.

    Args:
        path: of an object store.
        address: the same as it was given.
        name: what it is called.

    Raises:
        FilesystemNotInstalled: its provider, or a package that it needs, is not installed here.
        StorageConnectionNotFound: Airflow did not find its connection.
        FloraStorageError: it could not be made for another reason, which may pass.
    """
    conn_id = connection_of(path)
    with storage_errors("open", address):
        try:
            filesystem = path.fs
            # Amazon's provider goes on without a connection that it does not find, and at last without credentials.
            if conn_id and getattr(filesystem, "anon", False):
                _require_connection(conn_id)
        except AirflowNotFoundException as error:
            visible_id = str(conn_id).partition(":")[0]  # what follows a colon would be a password
            raise StorageConnectionNotFound(
                f"{name} is {short_repr(address)}, whose connection {visible_id!r} Airflow did not find: make it, or "
                "correct the id before the @"
            ) from error
        except Exception as error:
            if isinstance(error, ImportError):
                raise _not_installed(address, path.protocol, one_line(str(error), 300), name) from error
            if not has_fs(path.protocol):  # else it is attached by hand, or fails for a reason of its own
                raise _not_installed(address, path.protocol, None, name) from error
            raise


@cache
def _require_connection(conn_id: str) -> None:
    BaseHook.get_connection(conn_id)


def _not_installed(address: str, scheme: str, reason: str | None, name: str) -> FilesystemNotInstalled:
    package = _PACKAGES.get(scheme, "the Airflow provider that brings it")
    return FilesystemNotInstalled(
        f"{name} is {short_repr(address)}, but what {scheme}:// needs is not installed "
        f"({reason or 'no provider brings it'}): install {package} where tasks run, or correct the address"
    )
