"""What the event of a task's outlet says about the run: one event per outlet and task, as Airflow makes them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import Asset, AssetAlias
from airflow.providers.common.compat.version_compat import get_base_airflow_version_tuple

from flora_provider.api.urls import redact_urls
from flora_provider.triggers.payload import error_text, sendable

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from flora_provider.api.models import FinishedRun

log = logging.getLogger(__name__)


def add_asset_events(
    task: BaseOperator,
    context: Context,
    run: FinishedRun,
    *,
    request: Mapping[str, Any] | None = None,
    files: Iterable[Any] = (),
) -> None:
    """Describe a finished run in the events of the task's outlets; an `AssetAlias` gets the run as an asset.

    Airflow emits the events when the task succeeds. Call it in a worker, at the end; a second call replaces what the
    first one said. It raises nothing: an event without a description must not cost a task whose run is paid for.

    Args:
        task: whose `outlets` they are.
        context: of the task.
        run: the finished run.
        request: what started it, as XCom `request` has it; None if that is not known.
        files: where its outputs were saved: texts or paths.
    """
    try:
        outlets = task.outlets
        if not outlets:
            return
        extra = event_extra(run, request=request, files=files)
    except Exception as error:  # noqa: BLE001 - whatever it is, the run is paid for
        log.warning("The asset events of run %s say nothing about it: %s", run.get("run_id"), error_text(error))
        return
    for outlet in outlets:
        try:
            _describe(outlet, context, extra, request or {})
        except Exception as error:  # noqa: BLE001 - an outlet that Airflow cannot resolve, or does not answer for
            log.warning("The event of %r says nothing about run %s: %s", outlet, extra["run_id"], error_text(error))


def event_extra(
    run: FinishedRun, *, request: Mapping[str, Any] | None = None, files: Iterable[Any] = ()
) -> dict[str, Any]:
    """What an asset event says about a run, as plain JSON without prompt, output or signed address.

    Always `run_id`, `charged_cost_usd` (None while FLORA has not settled the bill) and `files` (their paths). Where
    known: `kind`, `type`, `model`, `technique`, `action`, `prompt_sha256` (hex, of the prompt in UTF-8) and
    `quoted_cost_usd`.
    """
    request = request or {}
    prompt = request.get("prompt")
    known = {
        "kind": request.get("kind"),
        "type": request.get("type") or _common_type(run),
        "model": request.get("model"),
        "technique": request.get("technique"),
        "action": request.get("action"),
        "prompt_sha256": _sha256(prompt) if isinstance(prompt, str) else None,
        "quoted_cost_usd": request.get("quoted_cost_usd"),
    }
    extra = {
        "run_id": run["run_id"],
        **{name: _redacted(value) for name, value in known.items() if value is not None},
        "charged_cost_usd": run["charged_cost"],
        "files": [_plain_path(str(path)) for path in files],
    }
    ready: dict[str, Any] = sendable(extra)
    return ready


def _describe(outlet: Any, context: Context, extra: dict[str, Any], request: Mapping[str, Any]) -> None:
    """Give the event of one outlet its extra. Outlets of other kinds, such as OpenLineage's, have no event."""
    events: Any = context["outlet_events"]
    if isinstance(outlet, AssetAlias):
        _add_run(events[outlet], extra, request)
    elif isinstance(outlet, Asset) or type(outlet).__name__ in ("AssetNameRef", "AssetUriRef"):
        events[outlet].extra.update(extra)


def _add_run(event: Any, extra: dict[str, Any], request: Mapping[str, Any]) -> None:
    """Add the run's asset to an alias."""
    from flora_provider.assets.flora import run_asset

    # Airflow 2 and 3.0 hash what the event of an alias holds: 2 before it has become JSON, 3.0 afterwards.
    if not hasattr(event, "asset_alias_events"):
        extra = {**extra, "files": tuple(extra["files"])}
    elif get_base_airflow_version_tuple() < (3, 1, 0):
        extra = {**extra, "files": json.dumps(extra["files"])}
    event.add(
        run_asset(extra["run_id"], workspace_id=request.get("workspace_id"), project_id=request.get("project_id")),
        extra=extra,
    )
    events = event.asset_alias_events if hasattr(event, "asset_alias_events") else event.dataset_alias_events
    events[:] = [one for one in events[:-1] if _destination(one) != _destination(events[-1])] + events[-1:]


def _destination(event: Any) -> Any:
    """Which asset an alias' event is about; in Airflow 2, where it is a dict, its URI."""
    return event["dest_dataset_uri"] if isinstance(event, dict) else event.dest_asset_key


def _common_type(run: FinishedRun) -> str | None:
    """What the run has made, if all outputs are of one kind: image, video, audio, text or document."""
    types = {str(output.get("type") or "").removesuffix("Url") for output in run["outputs"]}
    return types.pop() if len(types) == 1 else None


def _redacted(value: Any) -> Any:
    return redact_urls(value) if isinstance(value, str) else value


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain_path(path: str) -> str:
    """A path without a password or a signature; the connection's id, as in `s3://aws_default@bucket/key`, stays."""
    try:
        url = urlsplit(path)
    except ValueError:
        return redact_urls(path)
    return redact_urls(path) if url.password or url.scheme in ("http", "https") else path
