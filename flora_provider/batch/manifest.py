"""The manifest of a batch: a line for each row, as JSON and, where pyarrow is installed, as Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import IO

from flora_provider.batch.ledger import OWNER
from flora_provider.batch.outcome import RowOutcome
from flora_provider.files.folder import Folder
from flora_provider.files.reasons import storage_errors

NAME = "manifest.jsonl"
PARQUET = "manifest.parquet"

_AS_JSON = ("model_params", "files")  # members that differ by row, and so have no column type of their own
_ROWS_OF_A_GROUP = 1000  # rows that are written to Parquet together


def write_manifest(folder: Folder, outcomes: Sequence[RowOutcome]) -> str:
    """Write it into a folder, and return the path of its JSON lines.

    Row by row: ten thousand of them at once would take 60 MB.

    Raises:
        FloraStorageError: the folder does not take it.
    """
    _publish(folder, NAME, lambda file: _write_lines(file, outcomes))
    if find_spec("pyarrow"):
        _publish(folder, PARQUET, lambda file: _write_parquet(file, outcomes))
    return folder.path(NAME)


def _publish(folder: Folder, name: str, write: Callable[[IO[bytes]], None]) -> None:
    with folder.temporary(OWNER) as file:
        with storage_errors("write", folder.path(name)):
            write(file)
        folder.publish(file, name)


def _write_lines(file: IO[bytes], outcomes: Iterable[RowOutcome]) -> None:
    for outcome in outcomes:
        file.write(json.dumps(outcome.to_dict(), ensure_ascii=False).encode(errors="replace") + b"\n")


def _write_parquet(file: IO[bytes], outcomes: Sequence[RowOutcome]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - it need not be installed
    from pyarrow import parquet  # noqa: PLC0415 - the same

    texts = [
        *("state", "run_id", "type", "prompt", "model", "model_params", "workspace_id", "project_id"),
        *("code", "message", "completed_at", "reused_from", "files"),
    ]
    schema = pa.schema(
        [("row", pa.int64()), ("runs", pa.int64())]
        + [(name, pa.string()) for name in texts]
        + [(name, pa.float64()) for name in ("quoted_cost_usd", "charged_cost_usd")]
    )
    with parquet.ParquetWriter(file, schema) as writer:
        for start in range(0, len(outcomes), _ROWS_OF_A_GROUP):
            rows = [outcome.to_dict() for outcome in outcomes[start : start + _ROWS_OF_A_GROUP]]
            plain = [{**row, **{name: json.dumps(row[name]) for name in _AS_JSON}} for row in rows]
            writer.write_table(pa.Table.from_pylist(plain, schema=schema))
