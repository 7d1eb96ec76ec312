"""The manifest of a batch: a line for each row, as JSON and, where pyarrow is installed, as Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from flora_provider.batch.outcome import RowOutcome
from flora_provider.files.folder import Folder

NAME = "manifest.jsonl"
PARQUET = "manifest.parquet"

_AS_JSON = ("model_params", "files")  # members that differ by row, and so have no column type of their own


def write_manifest(folder: Folder, outcomes: Iterable[RowOutcome], owner: str) -> str:
    """Write it into a folder, and return the path of its JSON lines; `owner` as of `Folder.temporary`.

    Raises:
        FloraStorageError: the folder does not take it.
    """
    rows = [outcome.to_dict() for outcome in outcomes]
    lines = [json.dumps(row, ensure_ascii=False).encode(errors="replace") + b"\n" for row in rows]
    folder.publish_bytes(b"".join(lines), NAME, owner)
    table = _parquet(rows)
    if table is not None:
        folder.publish_bytes(table, PARQUET, owner)
    return folder.path(NAME)


def _parquet(rows: list[dict[str, Any]]) -> bytes | None:
    try:
        import pyarrow as pa  # noqa: PLC0415 - it need not be installed
        from pyarrow import parquet  # noqa: PLC0415 - the same
    except ImportError:
        return None
    texts = [
        *("state", "run_id", "type", "prompt", "model", "model_params", "workspace_id", "project_id"),
        *("code", "message", "completed_at", "reused_from", "files"),
    ]
    schema = pa.schema(
        [("row", pa.int64()), ("runs", pa.int64())]
        + [(name, pa.string()) for name in texts]
        + [(name, pa.float64()) for name in ("quoted_cost_usd", "charged_cost_usd")]
    )
    plain = [{**row, **{name: json.dumps(row[name]) for name in _AS_JSON}} for row in rows]
    file = BytesIO()
    parquet.write_table(pa.Table.from_pylist(plain, schema=schema), file)
    return file.getvalue()
