"""Save the outputs of a run: each file whole or not at all, and what is there already is not fetched again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

from flora_provider.api import validation
from flora_provider.api.client import FloraClient
from flora_provider.api.errors import FloraError, FloraInputError
from flora_provider.api.files.download import MAX_BYTES
from flora_provider.api.files.media_types import ending_for
from flora_provider.api.files.naming import safe_stem
from flora_provider.files.fetching import Fetched, RunReader, fetch
from flora_provider.files.folder import Folder
from flora_provider.files.manifest import RunManifest, SavedFile, manifest_name, parse_manifest, request_fields
from flora_provider.files.outputs import DEFAULT_NAME, file_stems, name_problem, run_problems, technique_of
from flora_provider.files.paths import AnyPath
from flora_provider.files.storage import open_folder
from flora_provider.runs.ref import RunRef

if TYPE_CHECKING:
    from flora_provider.api.models import FinishedRun
    from flora_provider.hooks.flora import FloraHook

Overwrite: TypeAlias = Literal["never", "if_changed", "always"]

log = logging.getLogger(__name__)

_THREADS = 4
_AT = ("dag_id", "task_id", "dag_run_id", "map_index")


def save_run(
    flora: FloraClient | FloraHook,
    run: FinishedRun | Mapping[str, Any],
    folder: AnyPath,
    *,
    conn_id: str | None = None,
    file_name: str = DEFAULT_NAME,
    overwrite: Overwrite = "if_changed",
    request: Mapping[str, Any] | None = None,
    at: Mapping[str, Any] | None = None,
    max_bytes: int = MAX_BYTES,
) -> RunManifest:
    """Save all outputs of a finished run, and its manifest beside them.

    A file appears under its name once it is whole. The manifest names each file before it appears, so that another
    try, after a crash too, fetches only what is missing. Memory is bounded, whatever the size of a file.

    Args:
        flora: a client or a hook.
        run: as tasks and `wait_for_run` return it. Of a technique's nested route (`POST /techniques/{t}/runs`), with
            that technique as a member `technique`.
        folder: on this machine (made if it is not there), an ObjectStoragePath, or the text of one.
        conn_id: the connection of an object store, unless the path names one.
        file_name: of `{run_id}`, `{output_id}`, `{index}`, `{type}`, and `{ext}` at its end, which is always added.
            What is no small letter, digit, `.`, `_` or `-` is changed, and a hash added; of two that are the same, the
            later one has its index added.
        overwrite: what becomes of a file of that name that is not known to be this output: `if_changed` replaces it,
            `never` is an error, `always` fetches and replaces even what is.
        request: the XCom `request` of the operator that started the run.
        at: `dag_id`, `task_id`, `dag_run_id` and `map_index` of the task that saves.
        max_bytes: the most that is saved of one output. Default 2 GiB.

    Raises:
        FloraInputError: an argument cannot be right, or `never` forbids to replace a file.
        FloraDownloadError: a file did not arrive whole, is too large, or its address is not followed.
        FloraStorageError: the folder does not take it.
    """
    validation.raise_problems(
        validation.problems(
            [
                ("file_name", file_name, name_problem),
                ("overwrite", overwrite, validation.one_of("never", "if_changed", "always")),
                ("request", request, validation.optional(validation.mapping)),
                ("at", at, validation.optional(validation.mapping)),
                ("max_bytes", max_bytes, validation.non_negative_int),
            ]
        )
        + run_problems(run)
    )
    client = flora if isinstance(flora, FloraClient) else flora.client()
    run_id: str = run["run_id"]
    reader = RunReader(client, RunRef(run_id, technique_of(run)))
    known = {name: value for name in _AT if (value := (at or {}).get(name)) is not None}
    known |= request_fields(request) | {name: run.get(name) for name in ("created_at", "started_at", "completed_at")}
    manifest = RunManifest(run_id=run_id, charged_cost_usd=_bill(run, reader), complete=False, **known)
    store = open_folder(folder, conn_id)
    store.make()
    name = manifest_name(run_id)
    before = parse_manifest(store.read(name))
    stems = file_stems(file_name, run_id, run["outputs"], taken=safe_stem(run_id))
    saving = _Saving(store, reader, manifest, name, overwrite, max_bytes)
    saving.keep(before, run["outputs"], stems)
    return saving.finish_all(before)


@dataclass(slots=True)
class _Saving:
    """The saving of one run.

    Attributes:
        files: by the index of their output; those that are there, or about to be.
        missing: outputs to fetch, by index, each with the name of its file without the ending.
    """

    store: Folder
    reader: RunReader
    manifest: RunManifest
    manifest_name: str
    overwrite: Overwrite
    max_bytes: int
    files: dict[int, SavedFile] = field(default_factory=dict)
    missing: dict[int, tuple[Mapping[str, Any], str]] = field(default_factory=dict)

    def keep(self, before: RunManifest | None, outputs: Sequence[Mapping[str, Any]], stems: Sequence[str]) -> None:
        """Sort outputs into those that an earlier try has saved, and those that are missing."""
        known = before.files if before and before.run_id == self.manifest.run_id else ()
        by_name = {file.name: file for file in known} if self.overwrite != "always" else {}
        for index, (output, stem) in enumerate(zip(outputs, stems, strict=True)):
            file = next((file for name, file in by_name.items() if _is_named(name, stem)), None)
            is_whole = file and file.output_id == output["output_id"] and self.store.size(file.name) == file.size
            if file and is_whole:
                self.files[index] = file.model_copy(update={"path": self.store.path(file.name)})
            else:
                self.missing[index] = (output, stem)

    def finish_all(self, before: RunManifest | None) -> RunManifest:
        """Fetch and publish what is missing, then complete the manifest."""
        if before and before.complete and not self.missing and before.saved_at:
            saved_at = before.saved_at
        else:
            with ThreadPoolExecutor(_THREADS, thread_name_prefix="flora-files") as pool, ExitStack() as temporary:
                self._fetch_and_publish(pool, temporary)
            saved_at = datetime.now(UTC).isoformat()
        done = self._now(complete=True, saved_at=saved_at)
        if done != before:
            self._write(done)
        return done

    def _fetch_and_publish(self, pool: ThreadPoolExecutor, temporary: ExitStack) -> None:
        """Fetch in threads; publish here, for Airflow's connections are for a task's own thread."""
        waiting = iter(self.missing.items())
        running: dict[Future[Fetched], tuple[int, IO[bytes], ExitStack]] = {}
        error: BaseException | None = None
        while True:
            while error is None and len(running) < _THREADS and (item := next(waiting, None)):
                index, (output, _) = item
                closing = temporary.enter_context(ExitStack())
                file = closing.enter_context(self.store.temporary(safe_stem(self.manifest.run_id)))
                running[pool.submit(self._fetch, output, file)] = (index, file, closing)
            if not running:
                break
            future = next(as_completed(running))
            index, file, closing = running.pop(future)
            try:
                with closing:
                    self._publish(index, file, future.result())
            except FloraError as failure:
                # What has been paid for by others' downloads is kept: they end first, and a retry finds them.
                error = error or failure
        if error:
            raise error

    def _fetch(self, output: Mapping[str, Any], file: IO[bytes]) -> Fetched:
        folder = self.store.path("")
        return fetch(output, file, self.reader, max_bytes=self.max_bytes, folder=folder)

    def _publish(self, index: int, file: IO[bytes], fetched: Fetched) -> None:
        output, stem = self.missing[index]
        name = stem + ending_for(fetched.media_type, output.get("url") or "")
        size = self.store.size(name)
        if size is not None and self.overwrite == "never":
            raise FloraInputError(
                f"{self.store.path(name)} is there already, and is not known to be output {output['output_id']} of "
                f"{self.manifest.run_id}: remove it, choose another file_name, or allow to overwrite it"
            )
        if size == fetched.size:
            # The manifest is about to say that a file of this size is this output.
            self.store.remove(name)
        self.files[index] = SavedFile(
            output_id=output["output_id"],
            type=str(output.get("type", "")),
            path=self.store.path(name),
            size=fetched.size,
            media_type=fetched.media_type,
            sha256=fetched.sha256,
            **fetched.measures,
        )
        try:
            self._write(self._now(complete=False))
            self.store.publish(file, name)
        except BaseException:
            del self.files[index]
            raise
        log.info("Saved %s (%d bytes)", self.store.path(name), fetched.size)

    def _now(self, **changes: Any) -> RunManifest:
        files = tuple(self.files[index] for index in sorted(self.files))
        return self.manifest.model_copy(update={**changes, "files": files})

    def _write(self, manifest: RunManifest) -> None:
        self.store.publish_bytes(manifest.to_json(), self.manifest_name, safe_stem(manifest.run_id))


def _is_named(name: str, stem: str) -> bool:
    return name.startswith(stem) and name[len(stem) :].rpartition(".")[0] == ""


def _bill(run: Mapping[str, Any], reader: RunReader) -> float | None:
    """The run's bill, read once more if it was not settled when the run ended."""
    if (cost := run.get("charged_cost")) is not None:
        return float(cost)
    try:
        cost = reader.read().charged_cost
    except FloraError as error:
        log.warning("The bill of %s was not read: %s", run["run_id"], error)
        return None
    return None if cost is None else float(cost)
