"""What the shapes of all answers are made of, and that of an error."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def public_id(prefix):
    return Annotated[str, Field(pattern=rf"^{prefix}_\S+$")]


WorkspaceId, ProjectId, RunId = public_id("ws"), public_id("prj"), public_id("run")
AssetId, TechniqueId = public_id("asset"), public_id("tech")
Url = Annotated[str, Field(pattern=r"^https?://")]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Milliseconds = Annotated[float, Field(gt=1e12, lt=1e14)]
Iso = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")]
Medium = Literal["image", "video", "audio", "text"]
OutputType = Literal["imageUrl", "videoUrl", "audioUrl", "text", "documentUrl"]
Status = Literal["pending", "running", "completed", "failed"]


class ErrorField(Shape):
    field: str
    message: str


class ErrorBody(Shape):
    code: Literal[
        "unauthorized", "invalid_api_key", "forbidden", "invalid_json", "input_validation_error", "not_found",
        "insufficient_credits", "idempotency_duplicate", "idempotency_conflict", "conflict", "rate_limited",
        "unknown_error", "internal_error", "service_unavailable", "payload_too_large", "paid_plan_required",
    ]  # fmt: skip
    message: Annotated[str, Field(min_length=1)]
    fields: list[ErrorField] = Field([])


class Error(Shape):
    error: ErrorBody


class Meta(Shape):
    next_cursor: str | None
    total_estimate: Count | None = None
