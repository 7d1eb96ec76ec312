"""The sandbox's own controls under `/_sandbox`; they need no key and count in no statistic."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from flora_provider.sandbox.faults.faults import Fault
from flora_provider.sandbox.http.responses import ApiResponse
from flora_provider.sandbox.http.validation import Body, Number, check
from flora_provider.sandbox.routes.call import Call, Route


class _Advance(Body):
    advance: Annotated[Number, Field(ge=0, allow_inf_nan=False)]


def _get_stats(call: Call) -> ApiResponse:
    return ApiResponse(call.sandbox.stats())


def _list_runs(call: Call) -> ApiResponse:
    """Return all runs, oldest first, with what FLORA never shows: prompt and idempotency key."""
    now = call.sandbox.clock.now()
    rows = [
        {
            "run_id": run.run_id,
            "type": run.run_type,
            "subject": run.subject,
            "prompt": run.request.prompt,
            "project_id": run.request.project_id,
            "idempotency_key": run.request.idempotency_key,
            "created_at": round(run.created_at * 1000),
            "status": run.status(now),
            "billed": run.is_billed,
        }
        for run in call.sandbox.state.runs.values()
    ]
    return ApiResponse({"runs": rows})


def _list_faults(call: Call) -> ApiResponse:
    """Return the scripted faults and how often each was applied."""
    return ApiResponse({"faults": call.sandbox.faults.to_json()})


def _add_faults(call: Call) -> ApiResponse:
    """Script one fault, or an array of them."""
    body = call.any_json(any_text=True)
    call.sandbox.faults.add(*[check(Fault, item) for item in (body if isinstance(body, list) else [body])])
    return _list_faults(call)


def _clear_faults(call: Call) -> ApiResponse:
    call.sandbox.faults.clear()
    return _list_faults(call)


def _advance_clock(call: Call) -> ApiResponse:
    """Move the clock by `{"advance": seconds}`."""
    call.sandbox.clock.advance(call.json(_Advance).advance)
    return ApiResponse({"now": call.sandbox.clock.now()})


def _list_webhooks(call: Call) -> ApiResponse:
    """Return the deliveries of webhooks, newest first, with their attempts."""
    return ApiResponse({"webhooks": [delivery.to_json() for delivery in call.sandbox.webhooks.newest_first()]})


def _change_settings(call: Call) -> ApiResponse:
    """Change settings; the answer is the settings that took effect."""
    call.sandbox.settings.update(call.any_json())
    return ApiResponse(call.any_json())


ROUTES = [
    Route("GET", "/stats", _get_stats, prefix="/_sandbox"),
    Route("GET", "/runs", _list_runs, prefix="/_sandbox"),
    Route("GET", "/faults", _list_faults, prefix="/_sandbox"),
    Route("POST", "/faults", _add_faults, prefix="/_sandbox"),
    Route("DELETE", "/faults", _clear_faults, prefix="/_sandbox"),
    Route("GET", "/webhooks", _list_webhooks, prefix="/_sandbox"),
    Route("POST", "/clock", _advance_clock, prefix="/_sandbox"),
    Route("POST", "/settings", _change_settings, prefix="/_sandbox"),
]
