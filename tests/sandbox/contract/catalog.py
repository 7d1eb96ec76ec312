"""Techniques, actions, models, workspaces, projects, feedback."""

from typing import Any, Literal

from pydantic import Field

from tests.sandbox.contract.base import (
    Count,
    Medium,
    Meta,
    Milliseconds,
    OutputType,
    ProjectId,
    Shape,
    TechniqueId,
    Usd,
    WorkspaceId,
    public_id,
)


class TechniqueSlot(Shape):
    id: str
    name: str
    type: OutputType
    description: str = ""
    optional: bool = False
    accepts_element: bool = False
    allow_multiple: bool = False
    specified_aspect_ratio: str = ""
    specified_duration: float = 0


class Technique(Shape):
    technique_id: TechniqueId
    name: str
    run_cost: Usd
    inputs: list[TechniqueSlot]
    outputs: list[TechniqueSlot]
    description: str = ""
    slug: str = ""  # in FLORA's guide, in no schema


class Techniques(Shape):
    techniques: list[Technique]
    meta: Meta


class Multiple(Shape):
    min: float = 0
    max: float = 0


class ActionSlot(Shape):
    name: str
    type: Medium
    optional: bool = False
    multiple: Literal[True] | Multiple = True
    dynamic: bool = False


class ActionValue(Shape):
    label: str
    value: Any
    description: str = ""


class ActionParam(Shape):
    key: str
    type: str
    label: str = ""
    info_tooltip: str = ""
    default_value: Any = None
    available_values: list[ActionValue] = Field([])
    min_number_value: float = 0
    max_number_value: float = 0
    number_step: float = 0


class Action(Shape):
    action_id: str
    name: str
    description: str
    language: Literal["javascript", "python"]
    charged_cost: Usd
    inputs: list[ActionSlot]
    outputs: list[ActionSlot]
    params: list[ActionParam]


class Actions(Shape):
    actions: list[Action]


class ModelOption(Shape):
    label: str
    value: str
    description: str = ""


class ModelProperty(Shape):
    min: float
    max: float
    default: float


class ModelParam(Shape):
    name: str
    type: Literal["string", "string[]", "bool", "int", "int?", "seed", "float", "dict"]
    required: bool
    default: Any = None
    min: float = 0
    max: float = 0
    label: str = ""
    description: str = ""
    options: list[ModelOption] = Field([])
    properties: dict[str, ModelProperty] = Field({})


class Model(Shape):
    model_id: str
    name: str
    provider: str
    type: Medium
    capabilities: list[str]
    estimated_credits: Count
    estimated_seconds: Count
    params: list[ModelParam]
    beta: bool = False


class Models(Shape):
    models: list[Model]


class Workspace(Shape):
    workspace_id: WorkspaceId
    name: str
    role: str
    created_at: Milliseconds | None


class Workspaces(Shape):
    workspaces: list[Workspace]


class Project(Shape):
    project_id: ProjectId
    workspace_id: WorkspaceId
    name: str
    origin: str | None
    created_at: Milliseconds
    last_modified: Milliseconds | None


class Projects(Shape):
    projects: list[Project]
    meta: Meta


class Feedback(Shape):
    feedback_id: public_id("fb")
    received_at: Milliseconds
