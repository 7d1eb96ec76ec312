"""What FLORA says of runs: their states, outputs and histories, and what it posts to a callback address."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, NotRequired, TypeAlias, TypedDict

from pydantic import AliasChoices, Discriminator, Field, Tag, model_validator

from flora_provider.api.models.base import FloraModel, Instant, Message, Page, Usd
from flora_provider.api.text import bounded


class RunStatus(StrEnum):
    """The four states FLORA documents. A status that is none of these stays a plain string, and is not the end."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"

    @staticmethod
    def is_terminal(status: str) -> bool:
        """Whether a run in this state will not change any more."""
        return status in (RunStatus.COMPLETED, RunStatus.FAILED)


class TextOutput(FloraModel):
    """A text that a run wrote. FLORA sends it in a member named `url`; it is no link."""

    output_id: str
    type: str
    text: str = Field(validation_alias=AliasChoices("url", "text"), repr=False)

    @model_validator(mode="before")
    @classmethod
    def _say_it_once(cls, data: Any) -> Any:
        both = isinstance(data, Mapping) and data.keys() >= {"url", "text"}
        return {name: value for name, value in data.items() if name != "text"} if both else data

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"output_id": self.output_id, "type": self.type, "text": self.text}


class FileOutput(FloraModel):
    """A file that a run made.

    Attributes:
        type: `imageUrl`, `videoUrl`, `audioUrl`, `documentUrl`, or a newer one.
        url: where to fetch it, without credentials. Not permanent. Keep its query string whole.
    """

    output_id: str
    type: str
    url: str = Field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"output_id": self.output_id, "type": self.type, "url": self.url}


class FinishedRun(TypedDict):
    """A finished run as plain JSON: what tasks return and pass on.

    Attributes:
        run_id: `run_…`.
        status: `completed` or `failed`.
        outputs: each with `run_id`, `output_id`, `type`, and either `text` or `url`.
        charged_cost: the bill in USD; None while FLORA has not settled it.
        created_at, started_at, completed_at: ISO 8601; None where FLORA gave none.
        files: where a task has saved the outputs, members of `flora_provider.files.SavedFile`.
        manifest: the path of the manifest beside them, for `flora_provider.files.read_manifest`.
        reused_from: the entry of the build cache that the run was taken from, if it was.
        moderated: of a run with another seed (`on_moderated`), the runs that moderation has refused before: their
            `run_id`, `seed`, `code` and `charged_cost_usd`.
    """

    run_id: str
    status: str
    outputs: list[dict[str, Any]]
    charged_cost: float | None
    created_at: str | None
    started_at: str | None
    completed_at: str | None
    files: NotRequired[list[dict[str, Any]]]
    manifest: NotRequired[str]
    reused_from: NotRequired[str]
    moderated: NotRequired[list[dict[str, Any]]]


def _iso(at: Instant | None) -> str | None:
    return None if at is None else at.isoformat()


def _output_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return "text" if kind == "text" else "file"


RunOutput: TypeAlias = Annotated[
    Annotated[TextOutput, Tag("text")] | Annotated[FileOutput, Tag("file")], Discriminator(_output_kind)
]


class ModelRef(FloraModel):
    """The model of a run; its id is None where FLORA does not say which."""

    model_id: str | None = None


class TechniqueRef(FloraModel):
    """The technique of a run."""

    technique_id: str | None = None
    name: str | None = None


class ActionRef(FloraModel):
    """The action of a run."""

    action_id: str | None = None


class Started(FloraModel):
    """A run that was accepted. It has no status.

    Only `run_id` is required, although FLORA always sends more: a run that is billed must not be lost to the rest.

    Attributes:
        type: `generation`, `technique` or `action`.
        charged_cost: a quote; the bill can differ both ways.
        estimated_seconds: seconds, None when FLORA cannot tell.
        poll_url: of the run's state. Not followed: `get_run` knows the way, and this may lead the key elsewhere.
        project_id: the project the run belongs to; None for a technique started by `POST /runs/technique`.
    """

    run_id: str
    type: str | None = None
    charged_cost: Usd | None = None
    estimated_seconds: float | None = None
    poll_url: str | None = Field(default=None, repr=False)
    project_id: str | None = None
    model: ModelRef | None = None
    technique: TechniqueRef | None = None
    action: ActionRef | None = None


class Run(FloraModel):
    """The state of a run. Only `run_id` and `status` are required, as in `Started`.

    Attributes:
        status: decide on nothing else; a failed run also shows `progress` 100 and a `completed_at`.
        progress: 0 to 100, coarse and not linear.
        charged_cost: the bill once completed; None while FLORA has not settled it (it may lag by a minute).
        error_code: of a failed run; an open string.
        poll_url: as in `Started`.
        raw: FLORA's own JSON of a run that has ended, else empty.
    """

    IDENTITY: ClassVar[str] = "run_id"

    run_id: str
    status: RunStatus | str = Field(union_mode="left_to_right")
    progress: float = 0.0
    created_at: Instant | None = None
    started_at: Instant | None = None
    completed_at: Instant | None = None
    charged_cost: Usd | None = None
    error_code: str | None = None
    error_message: str | None = None
    poll_url: str | None = Field(default=None, repr=False)
    outputs: tuple[RunOutput, ...] = Field(default=(), repr=False)
    raw: dict[str, Any] = Field(default_factory=dict, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _keep_raw(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        status, kept = data.get("status"), data.get("raw")
        if not (isinstance(status, str) and RunStatus.is_terminal(status)):
            return {**data, "raw": {}}
        ours = isinstance(kept, Mapping) and (kept.get("run_id"), kept.get("status")) == (data.get("run_id"), status)
        # Why it failed goes into errors, events and logs, and is bounded. `raw` has all of it, also when it comes back.
        said = {name: data.get(name) for name in ("error_code", "error_message")}
        short = {name: bounded(text) for name, text in said.items() if isinstance(text, str)}
        return {**data, **short, "raw": kept if ours else dict(data)}

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended, well or badly."""
        return RunStatus.is_terminal(self.status)

    def to_dict(self) -> FinishedRun:
        """The finished run as plain JSON, as it goes to XCom: money as a number, times as ISO 8601 text."""
        return {
            "run_id": self.run_id,
            "status": str(self.status),
            # Each names its run, so that one of them can be passed on alone, to a mapped task say.
            "outputs": [{"run_id": self.run_id, **output.to_dict()} for output in self.outputs],
            "charged_cost": None if self.charged_cost is None else float(self.charged_cost),
            "created_at": _iso(self.created_at),
            "started_at": _iso(self.started_at),
            "completed_at": _iso(self.completed_at),
        }


class Generation(Run):
    """A row of the generation history. It shows neither prompt nor params nor idempotency key."""

    generation_id: str
    project_id: str
    workspace_id: str
    model: ModelRef | None = None

    @property
    def model_id(self) -> str | None:
        """The endpoint that made it; None when FLORA does not say."""
        return self.model.model_id if self.model else None


class TechniqueRun(Run):
    """A row of the technique run history."""

    technique_run_id: str
    project_id: str
    workspace_id: str
    technique: TechniqueRef

    @property
    def technique_id(self) -> str | None:
        """The technique that made it; None when FLORA does not say."""
        return self.technique.technique_id


class WebhookRun(FloraModel):
    """The run a callback is about. It carries no outputs and no cost: fetch the run."""

    run_id: str
    run_type: str
    status: str
    workspace_id: str | None = None
    error_code: Message | None = None
    error_message: Message | None = None


class WebhookEvent(FloraModel):
    """A verified callback.

    Attributes:
        id: `whd_…`; FLORA delivers at least once, so de-duplicate on it.
        type: `run.completed`, `run.failed`, or a newer one.
        api_version: the dated contract of the payload.
    """

    id: str
    type: str
    api_version: str | None = None
    created_at: Instant
    data: WebhookRun


_PAGES = (Page[Generation], Page[TechniqueRun])  # made here, so that pickle finds the classes by name
