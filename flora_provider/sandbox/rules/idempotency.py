"""What a repeated idempotency key means: four of FLORA's contradictory accounts (contract, section 4.1)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flora_provider.sandbox.http.responses import ApiError, ApiResponse
from flora_provider.sandbox.routes.call import Call, KeyCarrier

BAD_REQUEST = 400


@dataclass(frozen=True, slots=True)
class _Entry:
    at: float
    fingerprint: str
    api_response: ApiResponse


class IdempotencyKeys:
    """The keys seen so far.

    A key is good for one call per workspace, method and path. A request that fails does not use its key up
    (account D), unless failures are to be replayed. A run that starts and fails later does.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, str, str], _Entry] = {}
        self.duplicates_refused = 0

    def once(self, call: Call, carrier: KeyCarrier | None, work: Callable[[], ApiResponse]) -> ApiResponse:
        """Do the work of a call, or answer as the mode has it for a key that was used within the window.

        Sets `call.idempotency_key`.
        """
        body = _json_or_none(call) if carrier else None
        key = _key(call, body, carrier)
        settings, now = call.sandbox.settings, call.sandbox.clock.now()
        if not key:
            return work()
        call.idempotency_key = key
        if settings.idempotency == "none":
            return work()
        scope = (_workspace(call, body), call.request.method, call.request.path, key)
        entry = self._entries.get(scope)
        fingerprint = json.dumps(body, sort_keys=True) if body is not None else repr(call.request.content)
        if entry is not None and now - entry.at < settings.idempotency_window:
            return self._repeat(call, entry, fingerprint)
        try:
            api_response = work()
        except ApiError as error:
            api_response = error.api_response()
        if api_response.status < BAD_REQUEST or (settings.idempotency == "replay" and settings.replay_failures):
            self._entries[scope] = _Entry(now, fingerprint, api_response)
        return api_response

    def _repeat(self, call: Call, entry: _Entry, fingerprint: str) -> ApiResponse:
        mode = call.sandbox.settings.idempotency
        if mode == "replay":
            if fingerprint != entry.fingerprint:
                raise ApiError(422, "idempotency_conflict", "Idempotency key already used with a different body.")
            again = copy.deepcopy(entry.api_response)
            again.headers["idempotent-replayed"] = "true"
            return again
        if mode == "current_state":
            return ApiResponse(_current(call, entry.api_response.body))
        self.duplicates_refused += 1
        raise ApiError(409, "idempotency_duplicate", "Duplicate idempotency key.")


def _current(call: Call, original: Any) -> Any:
    run = call.sandbox.state.runs.get(original.get("run_id", "")) if isinstance(original, dict) else None
    if run is None:
        return original
    # Account C speaks of status, progress and outputs; the members the first answer had stay, so both readers agree.
    return {**original, **run.state(call.sandbox.clock.now(), call.root)}


def _json_or_none(call: Call) -> Any:
    try:
        return call.any_json()
    except ApiError:  # multipart or no body; a handler that needs JSON complains itself
        return None


def _key(call: Call, body: Any, carrier: KeyCarrier | None) -> str | None:
    value: Any = call.request.headers.get("idempotency-key") if carrier == "header" else None
    if carrier == "body" and isinstance(body, dict):
        value = body.get("idempotency_key")
    return value if isinstance(value, str) else None


def _workspace(call: Call, body: Any) -> str:
    named = call.path.get("workspace_id") or (body.get("workspace_id") if isinstance(body, dict) else None)
    return named if isinstance(named, str) else call.sandbox.workspace_id
