"""The manifest of a run: one JSON file beside its files, which says what they are and how they came about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flora_provider.api.errors import FloraInputError, FloraStorageError
from flora_provider.api.files.naming import file_name
from flora_provider.api.urls import redact_urls
from flora_provider.files.paths import AnyPath, as_path
from flora_provider.files.storage import open_folder
from flora_provider.runs.moderation import ModeratedRun


class SavedFile(BaseModel):
    """A file of a run.

    Attributes:
        type: FLORA's kind of the output, such as `imageUrl` or `text`.
        path: absolute, or with its scheme (`s3://…`).
        size: bytes.
        media_type: as its host called it, such as `image/png`.
        sha256: of all of it, hexadecimal.
        width, height: pixels, of a picture; None where unknown.
        duration: seconds, of a sound or a video; None where unknown.
    """

    model_config = ConfigDict(frozen=True)

    output_id: str
    type: str
    path: str
    size: int = Field(ge=0)
    media_type: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    width: int | None = None
    height: int | None = None
    duration: float | None = None

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePath(self.path).name


class RunManifest(BaseModel):
    """What is known of a run whose files were saved. None where it is not known.

    Texts hold no signed addresses: queries are left out.

    Attributes:
        kind: what was run.
        type: of a generation, the kind of its output.
        seed: of `model_params`.
        map_index: of a mapped task; -1 for others.
        quoted_cost_usd, charged_cost_usd: FLORA's quote and its bill.
        created_at, started_at, completed_at: of the run, ISO 8601; `saved_at` is when its last file was there.
        reused_from: the entry of the build cache that the run was taken from; it cost nothing then.
        moderated: the runs that moderation has refused before this one, which has another seed.
        complete: False while files are still being saved, or after that was broken off.
        files: in the order of the run's outputs.
    """

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    run_id: str
    kind: Literal["generation", "technique", "action"] | None = None
    type: str | None = None
    prompt: str | None = None
    model: str | None = None
    model_params: dict[str, Any] | None = None
    inputs: Any = None
    technique: str | None = None
    action: str | None = None
    action_params: dict[str, Any] | None = None
    seed: int | float | str | None = None
    workspace_id: str | None = None
    project_id: str | None = None
    dag_id: str | None = None
    task_id: str | None = None
    dag_run_id: str | None = None
    map_index: int | None = None
    quoted_cost_usd: float | None = None
    charged_cost_usd: float | None = None
    created_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    saved_at: str | None = None
    reused_from: str | None = None
    moderated: tuple[ModeratedRun, ...] | None = None
    complete: bool
    files: tuple[SavedFile, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return self.model_dump(mode="json")

    def to_json(self) -> bytes:
        """The content of its file."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False).encode(errors="replace") + b"\n"


def manifest_path(folder: AnyPath, run_id: str) -> str:
    """Where the manifest of a run is, beside its files."""
    return open_folder(folder).path(manifest_name(run_id))


def manifest_name(run_id: str) -> str:
    """What the manifest of a run is called; `{run_id}.json` unless the id has characters that are not safe."""
    return file_name(run_id, "application/json")


def read_manifest(path: AnyPath, *, conn_id: str | None = None) -> RunManifest:
    """Read the manifest of a run whose files are all there.

    Args:
        path: of the JSON file: local, an ObjectStoragePath, or its text such as `s3://my_conn@bucket/run_1.json`.
        conn_id: the connection of an object store, unless the path names one.

    Raises:
        FloraInputError: there is none, it is none, or its files were not all saved.
    """
    try:
        whole = as_path(path, conn_id, name="path")
        content = open_folder(whole.parent).read(whole.name)
    except FloraStorageError as error:
        raise FloraInputError(f"the manifest cannot be read: {error}") from error
    if content is None:
        raise FloraInputError(f"there is no manifest {whole}: give the path of the JSON file beside a run's files")
    manifest = parse_manifest(content)
    if manifest is None:
        raise FloraInputError(f"{whole} is no manifest of a run: give the path of the JSON file beside a run's files")
    if not manifest.complete:
        raise FloraInputError(
            f"the files of {manifest.run_id} were not all saved ({whole} says complete: false): "
            "try the task again that saves them"
        )
    return manifest


def parse_manifest(content: bytes | None) -> RunManifest | None:
    """The manifest in a file, complete or not; None if this is none."""
    try:
        return None if content is None else RunManifest.model_validate_json(content)
    except ValidationError:
        return None


def request_fields(request: Mapping[str, Any] | None) -> dict[str, Any]:
    """What of the XCom `request` of an operator a manifest holds, without signed addresses."""
    known = request or {}
    names = (
        *("kind", "type", "prompt", "model", "model_params", "inputs", "technique", "action", "action_params"),
        *("workspace_id", "project_id", "quoted_cost_usd", "moderated"),
    )
    fields = {name: _unsigned(known[name]) for name in names if known.get(name) is not None}
    seed = (known.get("model_params") or {}).get("seed")
    return {**fields, "seed": seed} if isinstance(seed, int | float | str) else fields


def _unsigned(value: Any) -> Any:
    """A JSON value whose texts show addresses without what signs them."""
    if isinstance(value, str):
        return redact_urls(value)
    if isinstance(value, Mapping):
        return {str(name): _unsigned(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_unsigned(item) for item in value]
    return value
