"""The rows of a batch from a file, on this machine or in an object store: CSV, JSON Lines or Parquet."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, cast

from airflow.providers.common.compat.sdk import ObjectStoragePath

from flora_provider.api.errors import FloraInputError
from flora_provider.api.text import one_line
from flora_provider.api.urls import redact_urls
from flora_provider.batch.problems import Problems
from flora_provider.batch.rows import MAX_ROWS, MEMBER
from flora_provider.batch.strict_json import strict_json
from flora_provider.files.folder import Folder
from flora_provider.files.paths import AnyPath, as_path, plain_address
from flora_provider.files.reasons import storage_errors
from flora_provider.files.storage import open_folder

_LARGEST = 256 * 1024**2  # bytes of a file
_BLOCK = 4 * 1024**2  # bytes that are read ahead: an object store is asked once for each
_PARQUET_ROWS = 1000  # that are decoded at a time


def read_requests(source: AnyPath, conn_id: str | None = None) -> list[dict[str, Any]]:
    """Read what `rows_of` takes.

    Args:
        source: a path, an ObjectStoragePath, or its text with a scheme, which ends with `.csv`, `.jsonl`, `.ndjson` or
            `.parquet`. CSV and JSON Lines are UTF-8; CSV has a header. A cell of CSV below `model_params.<name>` is a
            number, a boolean, a list or an object if JSON reads it as one, absent if it is `null`, and a text
            otherwise.
        conn_id: the connection of an object store, unless the path names one.

    Raises:
        FloraInputError: it is no such file, is larger than 256 MiB, or has more than 100,000 rows; or it is not of its
            format, with what is wrong by row of CSV, or by line of JSON Lines.
        FloraStorageError: it cannot be read.
    """
    path = as_path(source, conn_id, name="requests")
    where = plain_address(path) if isinstance(path, ObjectStoragePath) else str(path)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise FloraInputError(f"requests is {where}: give a file that ends with {', '.join(_READERS)}")
    with storage_errors("read", where):
        folder = open_folder(path.parent)
        _check_file(path, where, folder)
        # An object store's file would fetch its own, larger block for each line.
        with folder.open(path.name) as opened, io.BufferedReader(cast("io.RawIOBase", opened), _BLOCK) as file:
            return _bounded(read(file, where), where)


def source_name(source: AnyPath) -> str:
    """The file that problems of its rows name: without its connection, and what it may be signed with."""
    return redact_urls(str(source))


def _check_file(path: Any, where: str, folder: Folder) -> None:
    """Refuse what cannot be read as a file, before it is opened: a pipe, for one, would be waited for without end."""
    size = folder.size(path.name)
    if size is None:
        raise FloraInputError(f"requests is {where}: there is no such file; check the path")
    if not path.is_file():
        raise FloraInputError(f"requests is {where}, which is a folder, or no plain file: give the path of a file")
    if size > _LARGEST:
        raise FloraInputError(
            f"requests is {where}, which has {size / 1024**2:,.0f} MiB: split it into files of at most "
            f"{_LARGEST // 1024**2} MiB, for several batches"
        )


def _bounded(rows: Iterator[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    """All of them, if they are not too many."""
    found: list[dict[str, Any]] = []
    for row in rows:
        if len(found) == MAX_ROWS:
            raise FloraInputError(
                f"requests is {where}, which has more than {MAX_ROWS:,} rows: split it, for several batches"
            )
        found.append(row)
    return found


def _csv(file: IO[bytes], where: str) -> Iterator[dict[str, Any]]:
    """The rows below the header, a cell by the name of its column; an empty line is none."""
    lines = csv.reader(_decoded(file), strict=True)
    rows = filter(None, lines)
    problems = Problems(source=where)
    try:
        header = next(rows, [])
        _check_header(header, where)
        members = [name.startswith(MEMBER) for name in header]
        for number, cells in enumerate(rows, 1):
            if len(cells) == len(header):
                yield {
                    name: _typed(cell) if is_member else cell
                    for name, cell, is_member in zip(header, cells, members, strict=True)
                }
            else:
                problems.add(f"it has {len(cells)} cells, but the header has {len(header)}: see its quotes", number)
    except csv.Error as error:
        reason = str(error).partition(" - ")[0]
        raise FloraInputError(f"{where}: line {lines.line_num} is no CSV ({reason}): see its quotes") from None
    except UnicodeDecodeError:
        raise FloraInputError(
            f"{where}: line {lines.line_num + 1} is not UTF-8: save the file as such (Excel calls it CSV UTF-8)"
        ) from None
    problems.raise_any()


def _decoded(file: IO[bytes]) -> Iterator[str]:
    """The lines, as `csv` wants them. A TextIOWrapper would ask an object store for 8 KiB at a time."""
    for number, line in enumerate(file):
        yield (line if number else line.removeprefix(codecs.BOM_UTF8)).decode()


def _check_header(header: list[str], where: str) -> None:
    if not header:
        raise FloraInputError(f"{where} has no header: begin it with the names of its columns, such as type,prompt")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise FloraInputError(f"{where} has the header {header[0][:80]!r}: separate its columns by commas")
    _check_names(header, where)


def _check_names(names: list[str], where: str) -> None:
    """Refuse columns of which only one would be seen, or that have no name."""
    problems = Problems(source=where)
    if not all(name.strip() for name in names):
        problems.add("a column has no name: name it, or remove it")
    for name in dict.fromkeys(name for name in names if name.strip() and names.count(name) > 1):
        problems.add(f"{name[:80]!r} is the name of several columns: keep one of them")
    problems.raise_any()


def _typed(cell: str) -> Any:
    """What JSON reads a cell as; but a text stays what it is, in quotes or not."""
    try:
        value = strict_json(cell)
    except ValueError:
        return cell
    return cell if isinstance(value, str) else value


def _json_lines(file: IO[bytes], where: str) -> Iterator[dict[str, Any]]:
    """An object a line; an empty line is none."""
    problems = Problems("line", where)
    for number, line in enumerate(file, 1):
        content = line.removeprefix(codecs.BOM_UTF8).strip() if number == 1 else line.strip()
        if not content:
            continue
        try:
            value = strict_json(content.decode())
        except UnicodeDecodeError:
            problems.add("it is not UTF-8: save the file as such", number)
        except ValueError as error:
            problems.add(f"it is no JSON ({error}): write one object a line", number)
        else:
            if isinstance(value, dict):
                yield value
            else:
                problems.add("it is no JSON object: write one object a line", number)
    problems.raise_any()


def _parquet(file: IO[bytes], where: str) -> Iterator[dict[str, Any]]:
    """The rows, as Python's types."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - most have no need of it, and it takes a while
        from pyarrow import parquet  # noqa: PLC0415 - the same
    except ImportError:
        raise FloraInputError(
            f"requests is {where}, for which pyarrow is needed: install airflow-provider-flora[parquet], or give the "
            "rows as CSV or JSON Lines"
        ) from None
    try:
        table = parquet.ParquetFile(file)
        # Before the rows, which are dicts: of two columns with one name they would hold the last.
        _check_names(table.schema_arrow.names, where)
        for batch in table.iter_batches(_PARQUET_ROWS):
            yield from batch.to_pylist(maps_as_pydicts="strict")
    except (
        pa.ArrowException,
        KeyError,
        UnicodeDecodeError,
    ) as error:  # the last two are of values: a name twice in a map
        raise FloraInputError(
            f"{where} is no Parquet file that can be read ({one_line(str(error), 300)}): write it anew"
        ) from None


_READERS: Mapping[str, Callable[[IO[bytes], str], Iterator[dict[str, Any]]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
