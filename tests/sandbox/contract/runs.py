"""Runs and their histories."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tests.sandbox.contract.base import (
    Count,
    Meta,
    Milliseconds,
    OutputType,
    ProjectId,
    RunId,
    Shape,
    Status,
    TechniqueId,
    Url,
    Usd,
    WorkspaceId,
)


class Output(Shape):
    output_id: str
    type: OutputType
    url: str

    @model_validator(mode="after")
    def media_are_addresses(self):
        assert self.type == "text" or self.url.startswith(("http://", "https://"))
        return self


class ModelRef(Shape):
    model_id: str


class TechniqueRef(Shape):
    technique_id: TechniqueId
    name: str


class ActionRef(Shape):
    action_id: str


class RunStarted(Shape):
    run_id: RunId
    type: Literal["generation", "technique", "action"]
    charged_cost: Usd
    estimated_seconds: Count | None
    poll_url: Url | None = None
    project_id: ProjectId | None = None
    model: ModelRef | None = None
    technique: TechniqueRef | None = None
    action: ActionRef | None = None


class RunState(Shape):
    run_id: RunId
    status: Status
    progress: Annotated[float, Field(ge=0, le=100)]
    created_at: Milliseconds
    started_at: Milliseconds = 0
    completed_at: Milliseconds = 0
    charged_cost: Usd = 0
    error_code: str = ""
    error_message: str = ""
    outputs: list[Output] = Field([])
    poll_url: Url = ""

    @model_validator(mode="after")
    def members_fit_the_status(self):
        present = self.model_fields_set
        assert (self.status == "failed") == ("error_code" in present)
        assert (self.status == "completed") == ("outputs" in present)
        assert (self.status in ("completed", "failed")) == ("completed_at" in present)
        assert self.status == "pending" or self.created_at <= self.started_at
        assert "completed_at" not in present or self.started_at <= self.completed_at
        assert self.status not in ("completed", "failed") or self.progress == 100
        return self


class NullableModelRef(Shape):
    model_id: str | None


class GenerationItem(RunState):
    generation_id: RunId
    project_id: ProjectId
    workspace_id: WorkspaceId
    model: NullableModelRef | None = None


class TechniqueRunItem(RunState):
    technique_run_id: RunId
    project_id: ProjectId
    workspace_id: WorkspaceId
    technique: TechniqueRef


class Generations(Shape):
    generations: list[GenerationItem]
    meta: Meta


class TechniqueRuns(Shape):
    technique_runs: list[TechniqueRunItem]
    meta: Meta
