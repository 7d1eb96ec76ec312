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
PAGES = 200  # of each, read in turn, to take the median of


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
    cursor = ""
    for _ in range(MANY // FEW - 1):
        cursor = _page(many, cursor)["meta"]["next_cursor"]
    pages = {"few": (few, ""), "many": (many, ""), "oldest": (many, cursor)}
    taken: dict[str, list[float]] = {name: [] for name in pages}
    # In turn: whatever else the machine does then concerns all of them.
    for _ in range(PAGES):
        for name, (sandbox, at) in pages.items():
            began = time.perf_counter()
            _page(sandbox, at)
            taken[name].append(time.perf_counter() - began)
    say({"memory": memory} | {name: median(seconds) for name, seconds in taken.items()})


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


if __name__ == "__main__":
    main()
