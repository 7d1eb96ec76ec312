"""What FLORA posts to a callback address."""

from __future__ import annotations

from flora_provider.api.models.base import FloraModel, Instant, Message


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
