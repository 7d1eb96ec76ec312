"""What a handler returns or raises: a response, or an error in FLORA's envelope."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class EncodedResponse:
    """A response as it is sent; `content-length` is added where it is missing."""

    status: int
    headers: dict[str, str]
    content: bytes


@dataclass(slots=True)
class ApiResponse:
    """A response before it is encoded: a JSON value, or `bytes` for a file and for what only looks like JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self) -> EncodedResponse:
        """Return the response as it is sent."""
        if isinstance(self.body, bytes):
            return EncodedResponse(self.status, self.headers, self.body)
        # Half a surrogate pair is no UTF-8, but FLORA may well send one as JSON's escape: so does this.
        text = json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))
        headers = {"content-type": "application/json", **self.headers}
        return EncodedResponse(self.status, headers, text.encode(errors="backslashreplace"))


@dataclass(eq=False)
class ApiError(Exception):
    """A request FLORA does not carry out (contract, section 3); `fields` are problems as `(field, message)`."""

    status: int
    code: str
    message: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def api_response(self) -> ApiResponse:
        """Return the envelope `{"error": {"code", "message", "fields"?}}`."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.fields:
            error["fields"] = [{"field": name, "message": message} for name, message in self.fields]
        return ApiResponse({"error": error}, self.status, self.headers)


def invalid(*problems: tuple[str, str]) -> ApiError:
    """Return the 400 that lists every problem of a request at once."""
    message = "; ".join(f"{name}: {problem}" for name, problem in problems)
    return ApiError(400, "input_validation_error", message, list(problems))


def not_found(what: str) -> ApiError:
    """Return the 404 for what does not exist or is not this key's; FLORA keeps the two indistinguishable."""
    return ApiError(404, "not_found", f"{what} not found.")
