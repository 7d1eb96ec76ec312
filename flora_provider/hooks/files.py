"""Download outputs and upload assets, and report both to Airflow's lineage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from os import PathLike, fsencode
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

from flora_provider.api import validation
from flora_provider.api.files.download import MAX_BYTES, download
from flora_provider.api.files.naming import file_name
from flora_provider.api.files.upload import upload
from flora_provider.api.text import is_rendered_none, short_repr
from flora_provider.hooks.base import ConnectedHook

if TYPE_CHECKING:
    from flora_provider.api import models


class FilesHook(ConnectedHook):
    """The methods that move files; source and destination are reported to Airflow's lineage."""

    def download_output(
        self, output: Mapping[str, Any], folder: Path | str, *, name: str | None = None, max_bytes: int = MAX_BYTES
    ) -> Path:
        """Save one output of a finished run as a file; a text is saved as UTF-8.

        The file appears under its name once it is whole, so a retry never finds half of one. The API key is not sent.

        Args:
            output: one of a finished run's `outputs`.
            folder: on this machine; made if it is not there.
            name: without an ending, which comes from the content's type (or from its address, if that says nothing);
                None for the ids of run and output. One with capitals, or other characters than letters, digits, `.`,
                `_` and `-`, is changed, and its hash added.
            max_bytes: the most that is saved. Default 2 GiB.

        Returns:
            Where it is.

        Raises:
            FloraInputError: it is not an output with an id and `url` or `text`, or the folder is an address (`s3://…`).
            FloraDownloadError: it did not arrive whole, is larger than `max_bytes`, or its address is not followed.
        """
        validation.raise_problems(_output_problems(output))
        found = validation.problems(
            [
                ("name", name, validation.optional(validation.non_empty_text)),
                ("max_bytes", max_bytes, validation.non_negative_int),
            ]
        )
        validation.raise_problems(_path_problems("folder", folder) + found)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{uuid4().hex}.part"
        try:
            with part.open("xb") as file:
                if "text" in output:
                    content_type = "text/plain"
                    file.write(output["text"].encode(errors="replace"))  # half a surrogate pair is no UTF-8
                else:
                    content_type = self._fetch(output["url"], file, max_bytes)
            stem = name or f"{output['run_id']}-{output['output_id']}"
            saved = part.rename(folder / file_name(stem, content_type, output.get("url") or ""))
        finally:
            part.unlink(missing_ok=True)
        self._record(received=output.get("url"), sent=saved.absolute().as_uri())
        return saved

    def upload_asset(
        self,
        source: Path | str,
        *,
        workspace_id: str | None = None,
        project_id: str | None = None,
        folder: str | None = None,
        file_name: str | None = None,
        content_type: str | None = None,
        ready_timeout: float = 120.0,
    ) -> models.Asset:
        """Give FLORA a file, and wait until runs can use its `url` as an input, as `flora_provider.api.upload` says.

        The source is a local file, or a public https URL, which FLORA fetches itself. Where None, the workspace is the
        connection's, and the file's name the local one.

        Raises:
            OSError: it cannot be read.
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
        source = Path(source)
        with source.open("rb") as file:
            asset = client.run(start_upload(file, file_name=file_name or source.name))
        self._record(received=source.absolute().as_uri(), sent=asset.url)
        return asset

    def _fetch(self, url: str, file: IO[bytes], max_bytes: int) -> str:
        client, referrer = self.client(), self.settings.base_url
        flow = download(url, file, client.context, max_bytes=max_bytes, referrer=referrer)
        return client.run(flow).content_type

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


def _output_problems(output: object) -> list[str]:
    """What is wrong with this as one of a finished run's outputs."""
    if not isinstance(output, Mapping) or not output.keys() >= {"run_id", "output_id"}:
        return ["give one of the outputs of a finished run, as wait_for_run and the sensor return it"]
    found = validation.problems(
        (f"the output's {name}", output[name], validation.non_empty_text) for name in ("run_id", "output_id")
    )
    if "text" in output:
        return found + validation.problems([("the output's text", output["text"], validation.any_string)])
    if "url" in output:
        return found + validation.problems([("the output's url", output["url"], _address)])
    return [*found, "the output has neither url nor text: give it as the finished run holds it"]


def _address(name: str, value: object) -> str | None:
    """Text; what else stands there is not shown, for an address may be signed."""
    return None if isinstance(value, str) and value else f"{name} is no address, but of type {type(value).__name__}"


def _path_problems(name: str, value: object) -> list[str]:
    """What is wrong with this as a path of this machine. Path makes `s3:/bucket` of `s3://bucket`."""
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
