"""Operator that gives files of a folder or an object store to FLORA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar

from flora_provider.api import validation
from flora_provider.tasks.flora_task import FloraTask
from flora_provider.tasks.parse_checks import Text, as_list, is_several, storage_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from flora_provider.files.sources import SourceFile


def _source(name: str, value: object) -> str | None:
    """A path, a pattern, or a list of them."""
    if not is_several(value):
        return storage_path(name, value)
    found = [problem for index, one in enumerate(as_list(value)) if (problem := storage_path(f"{name}[{index}]", one))]
    return "; ".join(found) or None


class ObjectStorageToFloraOperator(FloraTask):
    """Upload files to FLORA as assets, which runs take as inputs by their `url`.

        upload = ObjectStorageToFloraOperator(task_id="upload", source="s3://aws_default@bucket/references/*.png")

    On Airflow 3.3 and newer a retry, or a clear, uploads no file twice that has not changed (by its path, size, and
    etag or time of change): each asset is remembered in the task state store. On older Airflow, and if the task is
    killed between an upload and that note, a retry uploads it again, which costs nothing but space.

    Args:
        source: a file, or a pattern (`*`, `?`, `**`), or a list of them: paths of the worker, ObjectStoragePaths, or
            the texts of those.
        storage_conn_id: Airflow's connection to the object store, unless the source names one.
        workspace_id: `ws_…`, which owns the assets; None for the connection's.
        project_id: also puts them on that project's canvas.
        folder: in the library.
        content_type: such as `image/png`; None as each file's name says.
        flora_conn_id: the connection to FLORA.
        ready_timeout: seconds to wait for each asset until runs can use it. Default 120.

    Returns:
        A dict with `asset_id`, `url`, `name`, `content_type`, `size_bytes`, `sha256` and `source`; a list of them, in
        the order of their paths, for a list or a pattern.

    Raises:
        AirflowFailException: no retry can help: a value is wrong, no file matches, FLORA takes no such file.
        AirflowException: it may pass: a file cannot be read, FLORA did not answer.
    """

    template_fields: Sequence[str] = (
        *("source", "storage_conn_id", "workspace_id", "project_id", "folder", "content_type", "flora_conn_id"),
    )
    native_fields: ClassVar[frozenset[str]] = frozenset({"source"})
    rules: ClassVar[Mapping[str, validation.Check]] = {
        "source": _source,
        "storage_conn_id": validation.optional(validation.non_empty_text),
        "workspace_id": validation.optional(validation.identifier),
        "project_id": validation.optional(validation.identifier),
        "folder": validation.optional(validation.non_empty_text),
        "content_type": validation.optional(validation.content_type),
        "flora_conn_id": validation.non_empty_text,
        "ready_timeout": validation.seconds,
    }

    def __init__(
        self,
        *,
        source: Text | PathLike[str] | Sequence[Any] | Any,
        storage_conn_id: Text | None = None,
        workspace_id: Text | None = None,
        project_id: Text | None = None,
        folder: Text | None = None,
        content_type: Text | None = None,
        flora_conn_id: str = "flora_default",
        ready_timeout: float = 120.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.storage_conn_id: Any = storage_conn_id
        self.workspace_id: Any = workspace_id
        self.project_id: Any = project_id
        self.folder: Any = folder
        self.content_type: Any = content_type
        self.flora_conn_id = flora_conn_id
        self.ready_timeout = ready_timeout
        self.refuse_literals(self.rules)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002 - OpenLineage's
        """What OpenLineage's provider calls once the task has ended, well or badly."""
        from flora_provider.tasks.lineage import upload_lineage

        return upload_lineage(self)

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Upload the files."""
        from flora_provider.files.sources import source_files

        with self.airflow_errors(), self.hook:
            self.refuse_values()
            files, is_one = source_files(as_list(self.source), self.storage_conn_id)
            self.done.uploads = rows = list[dict[str, Any]]()
            rows.extend(self._uploaded(file, context) for file in files)
        return rows[0] if is_one and not is_several(self.source) else rows

    def _uploaded(self, file: SourceFile, context: Context) -> dict[str, Any]:
        """The asset of a file: the one that an earlier try has uploaded, if FLORA still has it, or a new one."""
        from flora_provider.api.files.media_types import uploadable_type
        from flora_provider.transfers.remembered import recall, remember

        scope = {
            "workspace_id": self.hook.workspace(self.workspace_id),
            "project_id": self.project_id,
            "folder": self.folder,
            "content_type": self.content_type,
        }
        key = file.fingerprint(self.hook.settings.base_url, scope)
        asset = recall(context, key, self.hook)
        if asset is None:
            asset = self.hook.upload_asset(file.path, **scope, ready_timeout=self.ready_timeout)
            remember(context, key, asset)
            self.log.info("Uploaded %s as %s", file.address, asset.asset_id)
        else:
            self.log.info("%s was uploaded by an earlier try as %s", file.address, asset.asset_id)
        return {
            "asset_id": asset.asset_id,
            "url": asset.url,
            "name": asset.name or file.path.name,
            "content_type": asset.content_type or self.content_type or uploadable_type(file.path.name),
            "size_bytes": asset.size_bytes if asset.size_bytes is not None else file.size,
            "sha256": file.sha256(),
            "source": file.address,
        }
