"""See before anything is billed whether files can get to the storage that a task names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flora_provider.api.errors import FloraStorageError
from flora_provider.tasks.parse_checks import as_list, is_path

if TYPE_CHECKING:
    from flora_provider.tasks.flora_task import FloraTask

FIELDS = ("requests", "source", "save_outputs_to", "destination", "reuse_from")
"""Parameters that take an address; the store of a budget comes on top."""


def storage_problems(task: FloraTask) -> list[str]:
    """What no retry on a worker like this one can cure: no package that is installed opens an address.

    Trouble that may pass is left to whoever opens the storage: it may have passed by then.

    Raises:
        StorageConnectionNotFound: as `open_filesystem`; a retry may find it, for a secrets backend may have been away.
    """
    found = []
    for name, address in _addresses(task):
        from flora_provider.files.filesystems import FilesystemNotInstalled, StorageConnectionNotFound
        from flora_provider.files.paths import as_path

        try:
            as_path(address, getattr(task, "storage_conn_id", None), name=name)
        except FilesystemNotInstalled as error:
            found.append(f"{error}{_reassurance(task)}")
        except StorageConnectionNotFound:
            raise
        except FloraStorageError as error:
            task.log.info("It may pass, so the task goes on: %s", error)
    return found


def _reassurance(task: FloraTask) -> str:
    """What becomes of the run that a sensor waits for."""
    run_id = getattr(task, "known_run_id", None)
    return (
        f". FLORA run {run_id} is not lost: clear this task once that is right, which costs nothing" if run_id else ""
    )


def _addresses(task: FloraTask) -> Iterator[tuple[str, Any]]:
    """What is no plain path of this machine, each with the name of its parameter."""
    for name in FIELDS:
        value = getattr(task, name, None)
        # Rows may be many, or come from other tasks one by one.
        for one in as_list(value) if name == "source" else [value]:
            if is_path(one) if not isinstance(one, str) else "://" in one:
                yield name, one
    if budget := getattr(task, "budget", None):
        yield "budget: store", budget.store
