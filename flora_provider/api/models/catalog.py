"""What FLORA has: techniques, actions, models, workspaces, projects, and the files you give it."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from flora_provider.api.models.base import FloraModel, Instant, Message, Page, Usd


class TechniqueSlot(FloraModel):
    """An input or an output of a technique; `specified_duration` is in seconds."""

    id: str
    name: str
    type: str
    description: str | None = None
    optional: bool = False
    accepts_element: bool = False
    allow_multiple: bool = False
    specified_aspect_ratio: str | None = None
    specified_duration: float | None = None


class Technique(FloraModel):
    """A technique; `run_cost` is flat per run. Techniques are made in FLORA's app only."""

    IDENTITY: ClassVar[str] = "technique_id"

    technique_id: str
    name: str
    run_cost: Usd
    inputs: tuple[TechniqueSlot, ...]
    outputs: tuple[TechniqueSlot, ...]
    description: str | None = None
    slug: str | None = None


class ActionSlot(FloraModel):
    """An input or an output of an action; `multiple` is True or `{min, max}`, `dynamic` its deprecated mirror."""

    name: str
    type: str
    optional: bool = False
    multiple: bool | dict[str, Any] | None = None
    dynamic: bool = False


class ActionParam(FloraModel):
    """A parameter of an action."""

    key: str
    type: str
    label: str | None = None
    info_tooltip: str | None = None
    default_value: Any = None
    available_values: tuple[dict[str, Any], ...] = ()
    min_number_value: float | None = None
    max_number_value: float | None = None
    number_step: float | None = None


class Action(FloraModel):
    """A prebuilt, deterministic action."""

    action_id: str
    name: str
    description: str = ""
    language: str = ""
    charged_cost: Usd | None = None
    inputs: tuple[ActionSlot, ...] = ()
    outputs: tuple[ActionSlot, ...] = ()
    params: tuple[ActionParam, ...] = ()


class ModelParam(FloraModel):
    """A parameter of a model. FLORA ignores a key or value it does not know, and bills all the same: check before."""

    name: str
    type: str
    required: bool = False
    default: Any = None
    min: float | None = None
    max: float | None = None
    label: str | None = None
    description: str | None = None
    options: tuple[dict[str, Any], ...] = ()
    properties: dict[str, Any] = Field(default_factory=dict)


class Model(FloraModel):
    """A model; `estimated_credits` is in credits, of which 1,000 are one USD, and 0 does not always mean free."""

    IDENTITY: ClassVar[str] = "model_id"

    model_id: str
    name: str
    provider: str = ""
    type: str
    capabilities: tuple[str, ...] = ()
    estimated_credits: int | None = None
    estimated_seconds: float | None = None
    params: tuple[ModelParam, ...] = ()
    beta: bool = False


class Workspace(FloraModel):
    """A workspace of the key; `role` is an open string."""

    workspace_id: str
    name: str
    role: str
    created_at: Instant | None = None


class Project(FloraModel):
    """A project; names are not unique."""

    IDENTITY: ClassVar[str] = "project_id"

    project_id: str
    workspace_id: str
    name: str
    origin: str | None = None
    created_at: Instant
    last_modified: Instant | None = None


class Node(FloraModel):
    """A visible media node of a project's canvas."""

    IDENTITY: ClassVar[str] = "node_id"

    node_id: str
    type: str
    asset_id: str | None = None
    label: str | None = None
    url: str | None = Field(default=None, repr=False)
    width: float | None = None
    height: float | None = None


class AttachedAsset(FloraModel):
    """An asset that was put on a canvas."""

    project_id: str
    asset_id: str
    node_id: str
    canvas_url: str = Field(repr=False)


class Feedback(FloraModel):
    """Feedback that FLORA took."""

    feedback_id: str
    received_at: Instant


class Upload(FloraModel):
    """Where to send a file, as a multipart POST: the form fields first, then the file. Signed: never log it."""

    url: str = Field(repr=False)
    method: str = "POST"
    content_type: str = "multipart/form-data"
    file_field: str = "file"
    form_fields: dict[str, str] = Field(repr=False)


class Asset(FloraModel):
    """A file in FLORA.

    The answers to creating, completing, retrying, getting and listing differ in what they hold; what all or most of
    them hold is declared, the rest is in `model_extra`.

    Attributes:
        asset_id: None only for rows of the list that have none.
        status: `pending_upload`, `ready`, `failed`, or a newer one.
        url: usable as an input of runs once ready.
        upload: only after reserving a signed upload.
        upload_url: the older form of a reservation: PUT the bytes there.
    """

    IDENTITY: ClassVar[str] = "asset_id"
    PENDING: ClassVar[str] = "pending_upload"
    READY: ClassVar[str] = "ready"
    FAILED: ClassVar[str] = "failed"

    asset_id: str | None
    status: str
    workspace_id: str | None = None
    url: str | None = Field(default=None, repr=False)
    uploaded_via: str | None = None
    visibility: str | None = None
    name: str | None = None
    description: str | None = None
    content_type: str | None = None
    upload_content_type: str | None = None
    width: float | None = None
    height: float | None = None
    size_bytes: int | None = None
    created_at: Instant | None = None
    expires_at: Instant | None = None
    failure_message: Message | None = None
    node_id: str | None = None
    project_id: str | None = None
    upload: Upload | None = Field(default=None, repr=False)
    upload_url: str | None = Field(default=None, repr=False)


# Made here, so that pickle finds the classes by name.
_PAGES = (Page[Technique], Page[Model], Page[Project], Page[Node], Page[Asset])
