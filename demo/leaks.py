"""Where a secret can be read that should stand nowhere in clear."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path


def files_with(secret: str, folder: Path) -> list[Path]:
    """Return the files below a folder that hold a secret; a database file counts like any other."""
    return [file for file in folder.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]


def columns_with(secret: str, database: Path) -> list[str]:
    """Return the columns of an SQLite database that hold a secret, as `table.column`."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [
            f"{table}.{column}"
            for table, column in _columns(connection)
            # instr() finds text in text only, hence the casts: some columns are JSON, some are pickled.
            if connection.execute(
                f'SELECT 1 FROM "{table}" WHERE instr(CAST("{column}" AS BLOB), CAST(? AS BLOB)) LIMIT 1',  # noqa: S608
                (secret,),
            ).fetchone()
        ]


def _columns(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for row in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
            yield table, row[1]
