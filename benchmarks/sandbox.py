"""What 100,000 runs cost the sandbox: memory, and time for a page of their history."""

from __future__ import annotations

import json
import time
from statistics import median
from typing import Any

import psutil

from benchmarks.processes import say, started
from flora_provider.sandbox import Sandbox
from flora_provider.sandbox.http.request import Request

ROOT = "http://flora.test"
MANY, FEW = 100_000, 100
PAGES = 200  # read one after the other, to take the median of


def measure() -> dict[str, float]:
    """Bytes that the runs take, and seconds for a page of each history: few runs, many, and the oldest of the many."""
    with started("benchmarks.sandbox") as process:
        measured: dict[str, float] = process.heard()
        return measured


def main() -> None:
    """Measure, in a process that has done nothing else."""
    few = _sandbox_with(FEW)
    before = psutil.Process().memory_info().rss
    many = _sandbox_with(MANY)
    memory = psutil.Process().memory_info().rss - before
    cursor, newest = "", _page(many)
    for _ in range(MANY // FEW - 1):
        cursor = _page(many, cursor)["meta"]["next_cursor"]
    pages = {"few": _seconds(few, ""), "many": _seconds(many, ""), "oldest": _seconds(many, cursor)}
    say({"memory": memory, "rows": len(newest["generations"]), **pages})


def _sandbox_with(count: int) -> Sandbox:
    """Return a sandbox with so many completed runs, started as anybody starts them."""
    sandbox = Sandbox()
    body = {"type": "image", "workspace_id": sandbox.workspace_id, "project_id": sandbox.project_id}
    for number in range(count):
        content = json.dumps({**body, "prompt": f"A fern, number {number}"}).encode()
        headers = {"authorization": f"Bearer {sandbox.api_key}", "idempotency-key": f"fern-{number}"}
        sandbox.answer(Request("POST", ROOT, "/api/v1/generate", "/api/v1/generate", headers, content))
    sandbox.clock.advance(3600)
    return sandbox


def _page(sandbox: Sandbox, cursor: str = "") -> dict[str, Any]:
    path = "/api/v1/generations"
    headers = {"authorization": f"Bearer {sandbox.api_key}"}
    request = Request("GET", ROOT, path, f"{path}?limit={FEW}&cursor={cursor}", headers, b"")
    page: dict[str, Any] = json.loads(sandbox.answer(request).response.content)
    return page


def _seconds(sandbox: Sandbox, cursor: str) -> float:
    taken = []
    for _ in range(PAGES):
        began = time.perf_counter()
        _page(sandbox, cursor)
        taken.append(time.perf_counter() - began)
    return median(taken)


if __name__ == "__main__":
    main()
