"""What a prompt leaves behind: rows of Airflow's metadata database, and bytes beside its files, by way.

`python -m benchmarks.database` measures it on a real Airflow and prints a table. Each way's DAG runs with two prompts
and then with more; what the second run left beyond the first is that of the prompts between, so what a DAG run leaves
whatever its prompts is not counted in. Rows of triggers are gone when their wait has ended: the most at a time counts.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from benchmarks.mapping import WAYS
from devstack.airflow_rest import FINISHED
from devstack.stage import Stage

FEW = 2  # prompts
MANY = 22
PAUSE = 1.0  # seconds between two polls of a DAG run
TIMEOUT = 3600.0  # seconds
PASSING = "trigger"  # the table whose rows are gone at the end
STALE = ("job", "sqlite_sequence")  # the heartbeats of Airflow's parts, whatever runs


def main() -> None:
    """Measure all ways, and print what each leaves per prompt."""
    with (
        tempfile.TemporaryDirectory(prefix="flora-bench-") as folder,
        Stage(Path(folder), Path(__file__).parent / "dags") as stage,
    ):
        for way, description in WAYS.items():
            _run(stage, way, FEW, f"{folder}/warm-up")
            few, few_waits = _run(stage, way, FEW, f"{folder}/few")
            many, many_waits = _run(stage, way, MANY, f"{folder}/many")
            print(f"{description}; most triggers at a time: {few_waits} of {FEW} prompts, {many_waits} of {MANY}")
            for table in sorted(many):
                per_prompt = (many[table] - few[table]) / (MANY - FEW)
                if many[table]:
                    print(
                        f"  {table:40} {per_prompt:8.2f} per prompt, {few[table] - FEW * per_prompt:8.1f} per DAG run"
                    )
        for name, count in {"few": FEW, "many": MANY}.items():
            print(f"in the folder of the batch of {count}: {_bytes(Path(folder) / name)}")


def _run(stage: Stage, way: str, count: int, folder: str) -> tuple[Counter[str], int]:
    """Run a way's DAG, and count what it left: rows of each table, and bytes of all; and the most triggers at a time.

    Raises:
        RuntimeError: it did not succeed.
    """
    rest, database = stage.airflow.rest, stage.airflow.database
    rest.unpause(way)
    before, waits, began = _rows(database), 0, time.monotonic()
    dag_run = rest.trigger(way, count=count, folder=folder)
    while (state := rest.dag_run(way, dag_run)["state"]) not in FINISHED and time.monotonic() - began < TIMEOUT:
        waits = max(waits, _rows(database)[PASSING])
        time.sleep(PAUSE)
    if state != "success":
        raise RuntimeError(f"{way} ended as {state}; see {stage.logs}")
    after = _rows(database)
    after.subtract(before)
    return after, waits


def _rows(database: Path) -> Counter[str]:
    """Rows of each table, and the bytes that are in use, indexes among them."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        counted = {
            name: connection.execute(f'select count(*) from "{name}"').fetchone()[0]  # noqa: S608 - Airflow's own names
            for name in tables
            if name not in STALE
        }
        (payload,) = connection.execute("select sum(pgsize - unused) from dbstat").fetchone()
        return Counter({**counted, "(bytes)": payload})


def _bytes(folder: Path) -> dict[str, int]:
    """Bytes and files that a batch has saved, by their ending; what is in its own folder is its ledger and plan."""
    found: Counter[str] = Counter()
    for path in folder.rglob("*"):
        if path.is_file():
            part = path.relative_to(folder).parts[0]
            kind = "ledger" if part.startswith("batch-") and len(path.relative_to(folder).parts) > 1 else path.suffix
            found[kind] += path.stat().st_size
            found[f"{kind} (files)"] += 1
    return dict(found)


if __name__ == "__main__":
    main()
