"""A batch of 10,000 rows: what it costs a worker and the triggerer, each step in a process of its own.

Each process takes a small batch first, so that what is loaded at first use, the price of a process, is not counted.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.processes import started

ROWS, WARM_UP = 10_000, 20
IN_FLIGHT = 200  # runs at once; with more, the sandbox would be what the batch waits for
SECONDS = 1.0  # that each run takes
COLUMNS = (
    *("step", "memory, MB", "CPU per row, ms", "a turn of the loop p50 / p99 / max, ms of CPU"),
    *("loop lag p50 / p99 / max, ms", "most that Airflow keeps of it, KB"),
)
STEPS = {
    "plan": "a worker checks and plans the rows",
    "run": "the triggerer starts and awaits them",
    "save": "a worker saves their files",
}


def measure(rows: int = ROWS) -> dict[str, Any]:
    """What each step took, by its name, and the `summary` of the batch."""
    with (
        tempfile.TemporaryDirectory(prefix="flora-bench-") as folder,
        started("benchmarks.server") as flora,
        started("benchmarks.batch_steps") as planning,
        started("benchmarks.batch_steps") as triggerer,
        started("benchmarks.batch_steps") as saving,
    ):
        card = flora.heard()
        for process in (planning, triggerer, saving):
            process.ask(json.dumps(card))
        found: dict[str, Any] = {}
        for count in (min(WARM_UP, rows), rows):
            source = _write_rows(Path(folder) / f"{count}.jsonl", count)
            job = {"requests": str(source), "save_outputs_to": f"{folder}/{count}", "max_in_flight": IN_FLIGHT}
            found["plan"] = planning.ask(json.dumps({"step": "plan", **job}))
            found["run"] = triggerer.ask(json.dumps({"step": "run", "trigger": found["plan"].pop("trigger")}))
            found["save"] = saving.ask(json.dumps({"step": "save", **job, "event": found["run"].pop("event")}))
        return {"count": rows, "summary": found["save"].pop("summary"), **found}


def table_rows(result: dict[str, Any]) -> Iterable[list[str]]:
    """What a batch took, a line for each step."""
    for step, title in STEPS.items():
        found = result[step]
        loop = [" / ".join(f"{ms:.1f}" for ms in found.get(name, ())) for name in ("held", "loop_lag")]
        cpu = f"{found['cpu'] / result['count'] * 1000:.2f}"
        yield [title, f"{found['memory'] / 1e6:.1f}", cpu, *loop, f"{found['kept'] / 1000:.1f}"]


def _write_rows(path: Path, count: int) -> Path:
    params = {"sandbox": {"seconds": SECONDS, "estimated_seconds": round(SECONDS)}}
    rows = ({"type": "image", "prompt": f"A fern, number {number}", "model_params": params} for number in range(count))
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
