"""A run: fixed when it starts, and from then on a pure function of time."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from flora_provider.sandbox.world.run_behavior import RunBehavior

RunType = Literal["generation", "technique", "action"]
Medium = Literal["image", "video", "audio", "text"]

OUTPUT_TYPES: dict[Medium, str] = {"image": "imageUrl", "video": "videoUrl", "audio": "audioUrl", "text": "text"}
MEDIA: dict[str, Medium] = {output_type: medium for medium, output_type in OUTPUT_TYPES.items()}
SUFFIXES: dict[Medium, str] = {"image": "png", "video": "mp4", "audio": "wav", "text": "txt"}

PENDING_SHARE = 0.1
"""Share of a run's time it spends `pending`."""


@dataclass(frozen=True, slots=True)
class RunInput:
    """What a run was given beside its prompt."""

    name: str  # the slot of a technique, or the member of `params`
    medium: Medium
    value: str  # a text itself, or where a file is


@dataclass(frozen=True, slots=True)
class RunOutput:
    """What a run puts out."""

    output_id: str
    medium: Medium
    text: str = ""  # what a text says


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What was asked for when a run was started."""

    prompt: str  # shown in its media
    workspace_id: str  # billed
    project_id: str  # where it is listed
    params: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[RunInput, ...] = ()
    callback_url: str = ""
    nested: bool = False  # started by `POST /techniques/{id}/runs`, thus served by that route only
    idempotency_key: str | None = None  # as honoured by the route
    history: int = 1  # runs that its files are made of, its own included


@dataclass(frozen=True, slots=True)
class Run:
    """One run."""

    run_id: str
    run_type: RunType
    subject: str  # id of its model, technique or action
    name: str  # display name of the same
    request: RunRequest
    created_at: float  # unix seconds
    seconds: float  # `inf` if it never ends
    estimated_seconds: int | None
    quote: float  # USD announced at the start
    settled: float  # USD charged on completion, 0 if it fails
    behavior: RunBehavior
    outputs: tuple[RunOutput, ...]

    @property
    def is_billed(self) -> bool:
        """Whether this run costs money: a started run does, unless it ends failed (contract, 7.5)."""
        return self.behavior.error_code is None

    def is_visible(self, now: float) -> bool:
        """Whether FLORA admits to the run yet (see `RunBehavior.hidden_for`)."""
        return now >= self.created_at + self.behavior.hidden_for

    def is_listed(self, now: float) -> bool:
        """Whether the history lists show it yet (see `RunBehavior.listed_after`)."""
        return now >= self.created_at + max(self.behavior.hidden_for, self.behavior.listed_after)

    def status(self, now: float) -> str:
        """Return `pending`, `running`, `completed` or `failed`."""
        elapsed = now - self.created_at
        if elapsed >= self.seconds:
            return "completed" if self.behavior.error_code is None else "failed"
        return "running" if elapsed >= self._pending_seconds else "pending"

    @property
    def _pending_seconds(self) -> float:
        return PENDING_SHARE * (self.seconds if math.isfinite(self.seconds) else 10.0)

    def state(self, now: float, root: str) -> dict[str, Any]:
        """Return the contract's RunState as of `now`, with URLs under `root`."""
        status = self.status(now)
        state: dict[str, Any] = {
            "run_id": self.run_id,
            "status": status,
            "progress": self._progress(status, now),
            "created_at": _milliseconds(self.created_at),
            "poll_url": self.poll_url(root),
        }
        if status != "pending":
            state["started_at"] = _milliseconds(self.created_at + self._pending_seconds)
        if status in ("completed", "failed"):
            state["completed_at"] = _milliseconds(self.created_at + self.seconds)
        if status == "completed":
            state["outputs"] = [self._output(output, root) for output in self.outputs]
            if now >= self.created_at + self.seconds + self.behavior.cost_lag:
                state["charged_cost"] = self.settled
        if status == "failed":
            state["error_code"] = self.behavior.error_code
            if self.behavior.error_message is not None:
                state["error_message"] = self.behavior.error_message
        return state

    def _progress(self, status: str, now: float) -> int:
        if status != "running":
            return 0 if status == "pending" else 100
        # Coarse on purpose (contract, 1.5): steps of 10 %, and never 100 before the end.
        pending = self._pending_seconds
        share = (now - self.created_at - pending) / (self.seconds - pending) if math.isfinite(self.seconds) else 1.0
        return min(90, math.floor(share * 10) * 10)

    def poll_url(self, root: str) -> str:
        """Return where to poll this run (contract, 7.3)."""
        if self.request.nested:
            return f"{root}/api/v1/techniques/{self.subject}/runs/{self.run_id}"
        return f"{root}/api/v1/runs/{self.run_id}"

    def _output(self, output: RunOutput, root: str) -> dict[str, str]:
        return {
            "output_id": output.output_id,
            "type": self.behavior.output_type or OUTPUT_TYPES[output.medium],
            "url": output.text if output.medium == "text" else f"{root}{self.media_path(output)}",
        }

    def media_path(self, output: RunOutput) -> str:
        """Return path and query of an output's file.

        The query is part of the address (contract, section 9: "keep it whole"): the store refuses a URL without it,
        and a client that logs it whole has not redacted a thing that looks like a secret.
        """
        signature = hashlib.blake2b(f"{self.run_id}/{output.output_id}".encode(), digest_size=12).hexdigest()
        return f"/media/{self.run_id}/{output.output_id}.{SUFFIXES[output.medium]}?sig={signature}"

    def output_of(self, file_name: str) -> int | None:
        """Return which output a file of this name is, counted from 0; None if there is none, or it is a text."""
        names = [f"{output.output_id}.{SUFFIXES[output.medium]}" for output in self.outputs]
        is_file = file_name in names and not file_name.endswith(SUFFIXES["text"])
        return names.index(file_name) if is_file else None

    def started(self, root: str) -> dict[str, Any]:
        """Return the contract's RunStarted: the answer to the call that started the run; it has no status."""
        answer: dict[str, Any] = {
            "run_id": self.run_id,
            "type": self.run_type,
            "charged_cost": self.quote,
            "estimated_seconds": self.estimated_seconds,
            "poll_url": self.poll_url(root),
        }
        if self.run_type == "technique":
            return answer | {"technique": {"technique_id": self.subject, "name": self.name}}
        kind = "model" if self.run_type == "generation" else "action"
        return answer | {"project_id": self.request.project_id, kind: {f"{kind}_id": self.subject}}

    def row(self, now: float, root: str) -> dict[str, Any]:
        """Return the run as a row of its history list: GenerationItem or TechniqueRunItem."""
        row = self.state(now, root) | {"project_id": self.request.project_id, "workspace_id": self.request.workspace_id}
        if self.run_type == "technique":
            technique = {"technique_id": self.subject, "name": self.name}
            return row | {"technique_run_id": self.run_id, "technique": technique}
        model_id = self.subject if self.run_type == "generation" else None
        return row | {"generation_id": self.run_id, "model": {"model_id": model_id}}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
