"""HTTP responses of FLORA, as flows receive them."""

import json

from flora_provider.api.http.flow import Response


def response(status=200, payload=None, body=None, **headers):
    """Make a Response: `response(200, {"run_id": …})`, `response(429, retry_after=3)`."""
    content = (b"" if payload is None else json.dumps(payload).encode()) if body is None else body
    return Response(status, {name.replace("_", "-"): str(value) for name, value in headers.items()}, content)


def error_response(status, code, message=None, *fields, **headers):
    """An error in FLORA's envelope; `fields` are pairs of a field's name and what is wrong with it."""
    error = {"code": code, "message": f"{code}." if message is None else message}
    if fields:
        error["fields"] = [{"field": name, "message": text} for name, text in fields]
    return response(status, {"error": error}, **headers)
