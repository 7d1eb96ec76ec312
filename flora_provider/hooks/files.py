"""Files between FLORA and the machine of a task."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

from flora_provider.api.download import Downloaded, download
from flora_provider.api.upload import upload
from flora_provider.hooks.base import ConnectedHook
from flora_provider.runs.files import file_name

if TYPE_CHECKING:
    from flora_provider.api import catalogue


class FilesHook(ConnectedHook):
    """The verbs that move files; Airflow's lineage is told of both ends."""

    def download_output(
        self, output: Mapping[str, Any], folder: Path, *, name: str | None = None, max_bytes: int = 2 * 1024**3
    ) -> Path:
        """Save one output of a finished run as a file; a text is saved as UTF-8.

        The file appears under its name once it is whole, so a retry never finds half of one. The API key is not sent.

        Args:
            output: one of the finished run's `outputs`.
            folder: made if it is not there.
            name: without an ending, which comes from the content's type; None for the output's id. One with other
                characters than letters, digits, `.`, `_` and `-` is changed, and its hash added.
            max_bytes: the most that is saved.

        Returns:
            Where it is.

        Raises:
            FloraDownloadError: it did not arrive whole, is larger than `max_bytes`, or its address is not followed.
        """
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{uuid4().hex}.part"
        try:
            with part.open("xb") as file:
                if "text" in output:
                    content_type = "text/plain"
                    file.write(output["text"].encode())
                else:
                    content_type = self._fetch(output["url"], file, max_bytes).content_type
            saved = part.rename(folder / file_name(name or output["output_id"], content_type))
        finally:
            part.unlink(missing_ok=True)
        if "url" in output:
            self._record(received=_without_query(output["url"]))
        self._record(sent=saved.absolute().as_uri())
        return saved

    def upload_asset(
        self,
        source: Path | str,
        *,
        workspace_id: str | None = None,
        project_id: str | None = None,
        folder: str | None = None,
    ) -> catalogue.Asset:
        """Give FLORA a file, and wait until runs can use its `url` as an input.

        Args:
            source: a local file, or a public https URL, which FLORA fetches itself.
            workspace_id: the owner; None for the connection's.
            project_id: also puts it on that project's canvas; None for no canvas.
            folder: in FLORA's library.

        Raises:
            FloraInputError: the file is empty, or of a type that FLORA does not take.
            FloraUploadError: it did not arrive, or FLORA could not use it.
        """
        options: dict[str, Any] = {
            "workspace_id": self.workspace(workspace_id),
            "project_id": project_id,
            "folder": folder,
            "policy": self.client().retry,
            "clock": time.time,
            "draw": random.random,
        }
        if isinstance(source, str):
            self._record(received=_without_query(source))
            return self.client().perform(upload(source, **options))
        with source.open("rb") as file:
            asset = self.client().perform(upload(file, file_name=source.name, **options))
        self._record(received=source.absolute().as_uri())
        return asset

    def _fetch(self, url: str, file: IO[bytes], max_bytes: int) -> Downloaded:
        plan = download(
            url,
            file,
            max_bytes=max_bytes,
            policy=self.client().retry,
            clock=time.time,
            draw=random.random,
            came_from=self.settings.base_url,
        )
        return self.client().perform(plan)

    def _record(self, *, received: str | None = None, sent: str | None = None) -> None:
        """Tell Airflow's lineage, where it is collected, what was read and what was written."""
        collector = get_hook_lineage_collector()  # type: ignore[no-untyped-call]  # Airflow's
        if received:
            collector.add_input_asset(context=self, uri=received)
        if sent:
            collector.add_output_asset(context=self, uri=sent)


def _without_query(url: str) -> str:
    """An address that may be told: its query may be a signature."""
    return urlsplit(url)._replace(query="", fragment="").geturl()
