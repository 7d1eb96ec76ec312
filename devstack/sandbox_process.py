"""The sandboxed FLORA as a process of its own."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from devstack.processes import Part


class SandboxError(Exception):
    """The sandbox did not come up; the message says where its log is."""


class SandboxProcess(Part):
    """`python -m flora_provider.sandbox` on a free port of 127.0.0.1.

    After `start`, `url`, `base_url`, `api_key`, `workspace_id` and `project_id` are those that it announced. The key is
    of its own making, so that it stands in no command line. Two with the same seed give their runs the same ids.
    """

    def __init__(self, env: Mapping[str, str], log: Path, *, seed: int = 0) -> None:
        command = [sys.executable, "-m", "flora_provider.sandbox", "--port", "0", "--seed", str(seed)]
        super().__init__("sandbox", command, env, log, announces=True)

    def start(self) -> "SandboxProcess":
        """Start it and learn its address.

        Raises:
            SandboxError: when it ends without having announced one.
        """
        super().start()
        line = self.announcement()
        if not line:
            raise SandboxError(f"the sandbox did not start, see {self.log}")
        card = json.loads(line)
        self.url: str = card["url"]
        self.base_url: str = card["base_url"]
        self.api_key: str = card["api_key"]
        self.workspace_id: str = card["workspace_id"]
        self.project_id: str = card["project_id"]
        return self

    def stats(self) -> dict[str, Any]:
        """Return what it has counted so far: `runs_started`, `runs_billed`, `usd_billed`, `requests`, …."""
        stats: dict[str, Any] = httpx.get(f"{self.url}/_sandbox/stats").raise_for_status().json()
        return stats

    def refuse_prompt(self, prompt: str) -> None:
        """Let every run of this prompt be ended by moderation, after two seconds."""
        message = "The prompt was refused by moderation."
        behavior = {"error_code": "GENERATION_PROMPT_MODERATED", "error_message": message, "seconds": 2}
        fault = {"route": "/generate", "containing": prompt, "times": None, "behavior": behavior}
        httpx.post(f"{self.url}/_sandbox/faults", json=[fault]).raise_for_status()

    def let_runs_take(self, seconds: Mapping[str, float]) -> None:
        """Decide how long all runs take that a route starts, by the route's template, whatever their models say."""
        faults = [
            {"route": route, "times": None, "behavior": {"seconds": taken, "estimated_seconds": round(taken)}}
            for route, taken in seconds.items()
        ]
        httpx.post(f"{self.url}/_sandbox/faults", json=faults).raise_for_status()

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs that were started, oldest first: `run_id`, `type`, `status`, whether `billed`, …."""
        runs: list[dict[str, Any]] = httpx.get(f"{self.url}/_sandbox/runs").raise_for_status().json()["runs"]
        return runs
