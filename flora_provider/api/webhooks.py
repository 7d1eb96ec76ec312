"""Is this callback FLORA's, and what does it say. Pure: the web server that took it, and the clock, are yours.

    event = unwrap(request.body, request.headers, secret, now=time.time())

Answer a `FloraWebhookError` with 400 and everything else with 200 at once: FLORA waits ten seconds and tries four
times. It delivers at least once, so de-duplicate on `event.id`; and take an event as a hint to fetch the run, for it
carries no outputs, and may never come.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from flora_provider.api import validation
from flora_provider.api.errors import FloraAnswerError, FloraInputError, FloraWebhookError
from flora_provider.api.models import WebhookEvent
from flora_provider.api.models.base import parse_json
from flora_provider.api.text import short_repr

# What web servers make of a request's headers: names to values, or pairs of both (ASGI's are bytes).
Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]] | str | bytes

HEADER = "Flora-Signature"
_MAX_DIGITS = 15  # of a unix time; more would not be one
_MAX_SECONDS = 10**_MAX_DIGITS


def verify(body: bytes, headers: Headers | None, secret: str, *, now: float, tolerance: float = 300.0) -> None:
    """Check that FLORA signed this callback, not long ago.

    Args:
        body: the raw bytes as received; JSON that was parsed and written again has another signature.
        headers: of the request, names in any case; or the value of `Flora-Signature`, None if there is none.
        secret: the workspace's `whsec_…`, whole.
        now: unix seconds.
        tolerance: seconds that the signature may be older or newer than `now`; 0 for any age.

    Raises:
        FloraWebhookError: it is not FLORA's, or too old or too new. While a secret is being replaced, a signature by
            any of FLORA's secrets will do.
        FloraInputError: there is no secret, the body is no bytes, the headers are none, or a number is none.
    """
    validation.raise_problems(_problems(body, secret, now, tolerance))
    sent_at, signatures = _parts(_header(headers))
    expected = hmac.new(secret.encode(), f"{sent_at}.".encode() + body, hashlib.sha256).hexdigest().encode()
    if not any(hmac.compare_digest(expected, signature.encode(errors="replace")) for signature in signatures):
        raise FloraWebhookError(
            f"the {HEADER} does not fit the body: not FLORA's, or another workspace's secret, or not the raw bytes"
        )
    if tolerance and not abs(now - int(sent_at)) <= tolerance:  # so that NaN bounds, too
        raise FloraWebhookError(
            f"the callback was signed at {sent_at}, more than {tolerance:g} s from now: a replay, or a wrong clock"
        )


def unwrap(body: bytes, headers: Headers | None, secret: str, *, now: float, tolerance: float = 300.0) -> WebhookEvent:
    """Verify a callback and read it; arguments as for `verify`.

    Raises:
        FloraWebhookError: it is not FLORA's, or cannot be read.
        FloraInputError: as `verify`.
    """
    verify(body, headers, secret, now=now, tolerance=tolerance)
    try:
        return WebhookEvent.read(parse_json(body))
    except FloraAnswerError as error:
        raise FloraWebhookError(f"FLORA signed this callback, but it cannot be read: {error}") from None


def _problems(body: object, secret: object, now: object, tolerance: object) -> list[str]:
    """What is wrong with what the caller gives, rather than with what came in. The secret is not shown."""
    found = []
    if not secret:
        found.append("the webhook's secret is empty: FLORA shows it once, together with the API key")
    elif not isinstance(secret, str) or not secret.isprintable():
        found.append("the webhook's secret is no text of one line: give FLORA's whsec_… as it was shown")
    if not isinstance(body, bytes):
        found.append(f"the body is of type {type(body).__name__}: give the raw bytes of the request")
    found += [
        f"{name} is {short_repr(value)}: give seconds as a number"
        for name, value in (("now", now), ("tolerance", tolerance))
        if not isinstance(value, float | int)
        or isinstance(value, bool)
        or (isinstance(value, int) and abs(value) > _MAX_SECONDS)
    ]
    return found


def _header(headers: object) -> str:
    """The value of FLORA's header.

    Raises:
        FloraWebhookError: there is none.
        FloraInputError: these are no headers.
    """
    if isinstance(headers, str | bytes):
        return _text(headers)
    try:
        pairs: Any = headers.items() if hasattr(headers, "items") else headers  # http.server's are no Mapping
        named = () if pairs is None else pairs
        found = [value for name, value in named if _text(name).strip().lower() == HEADER.lower()]
    except (TypeError, ValueError):
        raise FloraInputError(
            f"the headers are of type {type(headers).__name__}: give the request's, by name, or the value of {HEADER}"
        ) from None
    if not found or found[0] is None:
        raise FloraWebhookError(f"the callback has no {HEADER} header, so it is not FLORA's")
    if not isinstance(found[0], str | bytes):
        raise FloraWebhookError(f"the {HEADER} header is of type {type(found[0]).__name__}, so it is not FLORA's")
    return _text(found[0])


def _text(value: object) -> str:
    """A header as text; whatever else stands in its place is no text of FLORA's."""
    return value.decode("latin-1") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def _parts(header: str) -> tuple[str, list[str]]:
    """The last numeric `t` and every `v1`, as FLORA's SDK reads them."""
    pairs = [(name.strip(), value.strip()) for name, _, value in (part.partition("=") for part in header.split(","))]
    times = [v for n, v in pairs if n == "t" and v.isascii() and v.isdecimal() and len(v) <= _MAX_DIGITS]
    signatures = [value for name, value in pairs if name == "v1"]
    if not times or not signatures:
        raise FloraWebhookError(f"the {HEADER} header cannot be read: FLORA's looks like t=1750000000,v1=…")
    return times[-1], signatures
