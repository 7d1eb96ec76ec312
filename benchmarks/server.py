"""The sandbox in a process of its own, which starts runs when told and remembers when each request came.

One command a line on stdin, one JSON answer a line on stdout:

    start N A B  start N runs of A to B seconds at once, and count requests from here on
    limit R      answer 429 beyond R requests per second
    report       what came in since the start
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections import Counter
from http import HTTPStatus
from typing import Any

import httpx

from benchmarks.processes import say
from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.http.delivery import DeliveredResponse
from flora_provider.sandbox.http.request import Request
from flora_provider.sandbox.server import SandboxServer
from flora_provider.sandbox.settings import Settings

LATENCY_MS = 30.0
ON_ITS_WAY = 0.05  # seconds after a 429 has left in which requests come in that were sent before it arrived


class RecordingSandbox(Sandbox):
    """A sandbox that remembers for each request when it came, its answer's status and `retry-after` in seconds."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.record: list[tuple[float, int, float]] = []

    def answer(self, request: Request) -> DeliveredResponse:
        """Answer, and remember."""
        came, answer = time.monotonic(), super().answer(request)
        headers = answer.response.headers
        self.record.append((came, answer.response.status, float(headers.get("retry-after", 0))))
        return answer

    def start_run(self, url: str, *, seconds: float, estimated_seconds: int) -> dict[str, Any]:
        """Start a run that takes so long, as anybody would."""
        behavior = {"seconds": seconds, "estimated_seconds": estimated_seconds}
        scope = {"workspace_id": self.workspace_id, "project_id": self.project_id}
        body = {"type": "image", "prompt": "a fern", **scope, "params": {"sandbox": behavior}}
        headers = {"Authorization": f"Bearer {self.api_key}"}
        answer = self.handle(httpx.Request("POST", f"{url}/generate", json=body, headers=headers)).json()
        run = self.state.runs[answer["run_id"]]
        return {"run_id": run.run_id, "started_at": run.created_at, **behavior}

    def start_runs(self, url: str, count: int, *between: float) -> list[dict[str, Any]]:
        """Start runs whose estimates are right within 30 %; the same ones for the same count."""
        rng = random.Random(count)
        behaviors = []
        for _ in range(count):
            seconds = rng.uniform(*between)
            behaviors.append((seconds, round(seconds * rng.uniform(0.7, 1.3))))
        return [self.start_run(url, seconds=seconds, estimated_seconds=about) for seconds, about in behaviors]

    def report(self) -> dict[str, Any]:
        """What came in, of all that `record` holds."""
        record = list(self.record)
        by_second = Counter(int(came) for came, _, _ in record)
        return {
            "requests": len(record),
            "refused": sum(status == HTTPStatus.TOO_MANY_REQUESTS for _, status, _ in record),
            "too_early": too_early(record),
            "busiest_second": max(by_second.values(), default=0),
        }


def too_early(record: list[tuple[float, int, float]]) -> int:
    """How many requests came although a 429 had asked for silence, and had surely arrived."""
    early, arrived, allowed = 0, float("inf"), float("-inf")
    for came, status, retry_after in record:
        early += arrived < came < allowed
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            left = came + LATENCY_MS / 1000
            arrived, allowed = left + ON_ITS_WAY, left + retry_after
    return early


def main() -> None:
    """Serve until stdin ends."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    sandbox = RecordingSandbox(Settings(latency_ms=LATENCY_MS))
    with SandboxServer(sandbox) as server:
        ended = sandbox.start_run(server.base_url, seconds=0.0, estimated_seconds=0)
        scope = {"workspace_id": sandbox.workspace_id, "project_id": sandbox.project_id}
        say({"base_url": server.base_url, "api_key": sandbox.api_key, "warm_up": ended, **scope})
        connections, cpu, wall = 0, 0.0, 0.0
        for line in sys.stdin:
            command, *arguments = line.split()
            if command == "start":
                count, *between = arguments
                say(sandbox.start_runs(server.base_url, int(count), *map(float, between)))
                sandbox.record.clear()
                connections, cpu, wall = sandbox.connections, time.process_time(), time.monotonic()
            elif command == "limit":
                sandbox.settings.update({"requests_per_second": float(arguments[0])})
                say(None)
            else:
                # How much of one processor it took, of which it can have one.
                busy = (time.process_time() - cpu) / (time.monotonic() - wall)
                say({**sandbox.report(), "connections": sandbox.connections - connections, "busy": busy})


if __name__ == "__main__":
    main()
