"""The sandbox's own controls under `/_sandbox`; they need no key and count in no statistic."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from flora_provider.sandbox.faults.faults import Fault, check_list
from flora_provider.sandbox.http.responses import ApiResponse, invalid
from flora_provider.sandbox.http.validation import Body, Flag, Number, check
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.world.clock import unix_seconds


class _ClockChange(Body):
    advance: Annotated[Number, Field(ge=0)] = 0.0
    to: Annotated[Any, AfterValidator(unix_seconds)] = 0.0
    freeze: Flag = False


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
    if isinstance(body, list):
        call.sandbox.faults.add(*check_list(body), where="faults")
    else:
        call.sandbox.faults.add(check(Fault, body))
    return _list_faults(call)


def _clear_faults(call: Call) -> ApiResponse:
    call.sandbox.faults.clear()
    return _list_faults(call)


def _get_clock(call: Call) -> ApiResponse:
    clock = call.sandbox.clock
    return ApiResponse({"now": clock.now(), "frozen": clock.is_frozen})


def _change_clock(call: Call) -> ApiResponse:
    """Move the clock by `{"advance": seconds}` or `{"to": time}`, or stop it or let it go on by `{"freeze": bool}`."""
    change, clock = call.json(_ClockChange), call.sandbox.clock
    if len(change.model_fields_set) != 1:
        raise invalid(("body", "Expected one of advance, to, freeze."))
    (name,) = change.model_fields_set
    try:
        if name == "advance":
            clock.advance(change.advance)
        elif name == "to":
            clock.move_to(change.to)
        elif change.freeze:
            clock.freeze()
        else:
            clock.resume()
    except ValueError as error:
        raise invalid((name, str(error))) from None
    return _get_clock(call)


def _get_settings(call: Call) -> ApiResponse:
    call.sandbox.credits.settle()
    return ApiResponse(asdict(call.sandbox.settings))


def _list_webhooks(call: Call) -> ApiResponse:
    """Return the deliveries of webhooks, newest first, with their attempts."""
    return ApiResponse({"webhooks": [delivery.to_json() for delivery in call.sandbox.webhooks.newest_first()]})


def _change_settings(call: Call) -> ApiResponse:
    """Change settings; the answer is the settings that took effect, e.g. the new key that `{"api_key": null}` makes."""
    sandbox, changes = call.sandbox, call.any_json()
    sandbox.credits.settle()  # what has ended is paid from the old credits
    sandbox.settings.update(changes)
    sandbox.settings.api_key = sandbox.settings.api_key or sandbox.state.new_id("sk_test")
    sandbox.settings.webhook_secret = sandbox.settings.webhook_secret or sandbox.state.new_id("whsec")
    return ApiResponse({name: getattr(sandbox.settings, name) for name in changes})


ROUTES = [
    Route("GET", "/stats", _get_stats, prefix="/_sandbox"),
    Route("GET", "/runs", _list_runs, prefix="/_sandbox"),
    Route("GET", "/faults", _list_faults, prefix="/_sandbox"),
    Route("POST", "/faults", _add_faults, prefix="/_sandbox"),
    Route("DELETE", "/faults", _clear_faults, prefix="/_sandbox"),
    Route("GET", "/clock", _get_clock, prefix="/_sandbox"),
    Route("POST", "/clock", _change_clock, prefix="/_sandbox"),
    Route("GET", "/settings", _get_settings, prefix="/_sandbox"),
    Route("GET", "/webhooks", _list_webhooks, prefix="/_sandbox"),
    Route("POST", "/settings", _change_settings, prefix="/_sandbox"),
]
