"""Send a call and read its answer, as a flow. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from flora_provider.api import errors, validation
from flora_provider.api.calls.base import Call, call_problems
from flora_provider.api.http.flow import Flow, FlowContext, Response, Send
from flora_provider.api.http.retrying import Retries
from flora_provider.api.models.base import parse_json
from flora_provider.api.text import bounded, one_line, short_repr

T = TypeVar("T")

_MAX_FIELDS = 20  # of an error that are shown

_BY_STATUS: Mapping[int, type[errors.FloraStatusError]] = {
    401: errors.FloraAuthenticationError,
    402: errors.FloraPaymentError,
    403: errors.FloraPermissionError,
    404: errors.FloraNotFoundError,
    408: errors.FloraServerError,
    409: errors.FloraConflictError,
    429: errors.FloraRateLimitError,
}


def send_call(call: Call[T], context: FlowContext) -> Flow[T]:
    """Send a call, again where that is safe and useful, and read its answer.

    Every resend repeats the same bytes and the same key. Each is logged with reason, wait and `request-id`.

    Args:
        call: what to send and how to read the answer.
        context: whose policy says how often and how long.

    Raises:
        FloraInputError: this is no call.
        FloraConnectionError, FloraStatusError: the last failure, when no retry may or did help.
        FloraAnswerError: FLORA accepted it, but the answer cannot be read. Not retried.
    """
    validation.raise_problems(call_problems(call))
    retries = Retries(context, what=call, resendable=call.resendable)
    while True:
        try:
            return read(call, (yield Send(call)), now=context.clock())
        except errors.FloraError as failure:
            pause = retries.pause(failure)
        yield pause


def read(call: Call[T], response: Response, *, now: float) -> T:
    """The answer as the call reads it.

    Raises:
        FloraStatusError: FLORA answered with an error.
        FloraAnswerError: the body of a success is not what the API promises.
    """
    if not response.ok:
        raise status_error(response, now=now, call=call)
    try:
        return call.read(parse_json(response.body))
    except errors.FloraAnswerError as error:
        raise errors.FloraAnswerError(f"{call}: {error}", request_id=_request_id(response)) from None


def status_error(response: Response, *, now: float, call: Call[Any]) -> errors.FloraStatusError:
    """An error answer as an exception; its body may be FLORA's envelope, HTML of a proxy, or anything."""
    error = _envelope(response.body)
    code = one_line(error.get("code"), 100) or None
    kind = _BY_STATUS.get(response.status)
    if kind is None:
        kind = errors.FloraServerError if response.status >= 500 else errors.FloraRequestError  # noqa: PLR2004 - HTTP
    if kind is errors.FloraConflictError and code == "idempotency_duplicate":
        kind = errors.FloraDuplicateError
    fields = _fields(error.get("fields"))
    return kind(
        one_line(error.get("message"), 1000) or ("it gave no reason" if code else _without_envelope(response)),
        status=response.status,
        code=code,
        fields=fields,
        request_id=_request_id(response),
        retry_after=response.retry_after(now),
        should_retry={"true": True, "false": False}.get(response.headers.get("x-should-retry", "").lower()),
        replayed=response.headers.get("idempotent-replayed", "").lower() == "true",
        hint=_hint(call, response.status, code, f"{error.get('message')} {fields}"),
    )


# What FLORA's ids are of, in words and as the names of members.
_ID_WORDS = re.compile("workspace|project|technique|asset", re.IGNORECASE)
# An id in a path, which no word of FLORA's own paths looks like, or a slug.
_ID_IN_PATH = re.compile("/[a-z]+_|^/(techniques|actions)/")


def _hint(call: Call[Any], status: int, code: str | None, said: str) -> str:
    """What to do about a path that leads nowhere, and about ids that FLORA refuses or cannot read; else nothing."""
    endpoint = f"address has no endpoint {call}: check the path, and base_url (the connection's host)"
    # FLORA's errors have a code. Without one, somebody else has answered, or FLORA's own host outside of its API.
    if status == 404 and (not code or not (call.ids() or _ID_IN_PATH.search(call.url))):  # noqa: PLR2004 - HTTP
        return f"This {endpoint}"
    if status == 402 and (workspace := call.ids().get("workspace_id")):  # noqa: PLR2004 - HTTP
        return f"Nothing was started. Top up the credits of workspace {short_repr(workspace)}, then try again"
    if status in (400, 422) and _ID_WORDS.search(bounded(said)):
        because = "Sent were"
    elif status == 404 and _ID_WORDS.search(bounded(said)):  # noqa: PLR2004 - HTTP
        because = f"{errors.FloraNotFoundError.remedy}. Sent were"
    elif status == 404 and call.body and not _ID_IN_PATH.search(call.url):  # noqa: PLR2004 - HTTP
        return f"{errors.FloraNotFoundError.remedy}; or this {endpoint}"
    elif status == 500 and code == "unknown_error":  # noqa: PLR2004 - HTTP
        because = "FLORA answers so to ids that it cannot read, too. Sent were"
    else:
        return ""
    sent = call.ids()
    remedies = [f"{name}: {validation.WHERE[name]}" for name in sent]
    named = " and ".join(f"{name} {short_repr(value)}" for name, value in sent.items())
    where = "from the call or the task or, where it names none, from the connection's extra"
    return f"{because} {named}, which come {where} ({'; '.join(remedies)})" if sent else ""


def _envelope(body: bytes) -> Mapping[str, Any]:
    try:
        parsed = parse_json(body)
    except errors.FloraAnswerError:
        return {}
    error = parsed.get("error") if isinstance(parsed, dict) else None
    if isinstance(error, str):  # not FLORA's form, but that of many a proxy
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _request_id(response: Response) -> str | None:
    return one_line(response.headers.get("request-id"), 100) or None


def _fields(value: object) -> list[errors.FieldError]:
    rows = value if isinstance(value, list) else []
    return [
        errors.FieldError(one_line(row.get("field"), 100), one_line(row.get("message"), 300))
        for row in rows[:_MAX_FIELDS]
        if isinstance(row, dict)
    ]


def _without_envelope(response: Response) -> str:
    kind = one_line(response.headers.get("content-type", "").split(";")[0], 80) or "no content type"
    if 300 <= response.status < 400:  # noqa: PLR2004 - the HTTP redirect class
        return (
            "a redirect, which is not followed with the API key: give the address it leads to as base_url "
            "(the connection's host)"
        )
    return f"the body is no error of FLORA's ({kind}): a proxy may stand between, or the host is not FLORA's"
