"""Download outputs and upload assets, and report both to Airflow's lineage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from os import PathLike, fsencode
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector
from airflow.providers.common.compat.sdk import ObjectStoragePath

from flora_provider.api import validation
from flora_provider.api.files.download import MAX_BYTES
from flora_provider.api.files.naming import file_name, safe_stem
from flora_provider.api.files.upload import upload
from flora_provider.api.text import is_rendered_none, short_repr
from flora_provider.files.fetching import RunReader, fetch
from flora_provider.files.outputs import output_problems, technique_of
from flora_provider.files.paths import local_copy, plain_address
from flora_provider.files.storage import open_folder
from flora_provider.hooks.base import ConnectedHook
from flora_provider.runs.ref import RunRef

if TYPE_CHECKING:
    from flora_provider.api import models


class FilesHook(ConnectedHook):
    """The methods that move files; source and destination are reported to Airflow's lineage."""

    def download_output(
        self,
        output: Mapping[str, Any],
        folder: Path | str | ObjectStoragePath,
        *,
        name: str | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> Path | ObjectStoragePath:
        """Save one output of a finished run as a file; a text is saved as UTF-8.

        The file appears under its name once it is whole, so a retry never finds half of one. The API key is not sent
        to the file's host. If the address has expired, the run is read for a fresh one.

        Args:
            output: one of a finished run's `outputs`.
            folder: on this machine (made if it is not there), or an ObjectStoragePath. A text such as `s3://…` is
                refused: make an ObjectStoragePath of it.
            name: without an ending, which comes from the content's type (or from its address, if that says nothing);
                None for the ids of run and output. One with capitals, or other characters than letters, digits, `.`,
                `_` and `-`, is changed, and its hash added.
            max_bytes: the most that is saved. Default 2 GiB.

        Returns:
            Where it is: of the same type as `folder`, a Path for a text.

        Raises:
            FloraInputError: it is not an output with an id and `url` or `text`, or the folder is an address (`s3://…`).
            FloraDownloadError: it did not arrive whole, is larger than `max_bytes`, or its address is not followed.
            FloraStorageError: the folder does not take it: the disk is full, say, or permission is denied.
        """
        validation.raise_problems(output_problems(output))
        found = validation.problems(
            [
                ("name", name, validation.optional(validation.non_empty_text)),
                ("max_bytes", max_bytes, validation.non_negative_int),
            ]
        )
        validation.raise_problems(_path_problems("folder", folder) + found)
        store = open_folder(folder)
        store.make()
        reader = RunReader(self.client(), RunRef(output["run_id"], technique_of(output)))
        with store.temporary(safe_stem(output["run_id"])) as file:
            fetched = fetch(output, file, reader, max_bytes=max_bytes, folder=store.path(""))
            stem = name or f"{output['run_id']}-{output['output_id']}"
            saved_name = file_name(stem, fetched.media_type, output.get("url") or "")
            store.publish(file, saved_name)
        self._record(received=output.get("url"), sent=store.uri(saved_name))
        return (folder if isinstance(folder, ObjectStoragePath) else Path(folder)) / saved_name

    def upload_asset(
        self,
        source: Path | str | ObjectStoragePath,
        *,
        workspace_id: str | None = None,
        project_id: str | None = None,
        folder: str | None = None,
        file_name: str | None = None,
        content_type: str | None = None,
        ready_timeout: float = 120.0,
    ) -> models.Asset:
        """Give FLORA a file, and wait until runs can use its `url` as an input, as `flora_provider.api.upload` says.

        The source is a local file, one in an object store (copied to a temporary file first), or a public https URL,
        which FLORA fetches itself. Where None, the workspace is the connection's, and the file's name its own.

        Raises:
            OSError: a local file cannot be read.
            FloraStorageError: a file in an object store cannot be read.
        """
        validation.raise_problems([] if isinstance(source, str) else _path_problems("source", source))
        client = self.client()
        start_upload = partial(
            upload,
            context=client.context,
            workspace_id=self.workspace(workspace_id),
            project_id=project_id,
            folder=folder,
            content_type=content_type,
            ready_timeout=ready_timeout,
        )
        if isinstance(source, str):
            asset = client.run(start_upload(source, file_name=file_name))
            self._record(received=source, sent=asset.url)
            return asset
        if isinstance(source, ObjectStoragePath):
            with local_copy(source) as file:
                asset = client.run(start_upload(file, file_name=file_name or source.name))
            self._record(received=plain_address(source), sent=asset.url)
            return asset
        source = Path(source)
        with source.open("rb") as file:
            asset = client.run(start_upload(file, file_name=file_name or source.name))
        self._record(received=source.absolute().as_uri(), sent=asset.url)
        return asset

    def _record(self, *, received: str | None, sent: str | None) -> None:
        """Report to Airflow's lineage, where it is collected, what was read and what was written.

        The file is where it should be by now, so whatever Airflow thinks of its name must not fail the task.
        """
        collector = get_hook_lineage_collector()  # type: ignore[no-untyped-call]  # Airflow's
        for add, uri in ((collector.add_input_asset, received), (collector.add_output_asset, sent)):
            if uri:
                try:
                    # A query may be a signature.
                    add(context=self, uri=urlsplit(uri)._replace(query="", fragment="").geturl())
                except Exception as error:  # noqa: BLE001 - Airflow does not say which it raises
                    self.log.warning("Lineage of a file was not recorded: %s", type(error).__name__)


def _path_problems(name: str, value: object) -> list[str]:
    """What is wrong with this as a path of this machine, or an ObjectStoragePath. Path makes `s3:/bucket` of `s3://bucket`."""
    if isinstance(value, ObjectStoragePath):
        return []
    remedy = "give the path of a folder or a file on this machine"
    if not isinstance(value, str | PathLike) or not (text := str(value)) or is_rendered_none(text):
        return [f"{name} is {short_repr(value)}: {remedy}"]
    if "://" in text or any(re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+:", part) for part in re.split(r"[/\\]", text)):
        return [f"{name} is {short_repr(text)}, an address: {remedy}"]
    try:
        usable = b"\0" not in fsencode(text)
    except UnicodeError:
        usable = False
    return [] if usable else [f"{name} is {short_repr(text)}, which nothing can be called: {remedy}"]
