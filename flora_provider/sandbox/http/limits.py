"""How large a request's body may be. FLORA publishes no such limits; these keep the sandbox's memory bounded."""

from __future__ import annotations

from flora_provider.sandbox.http.responses import ApiError

MIB = 1024 * 1024
MAX_JSON = MIB
"""50,000 words of prompt are a third of it."""
MAX_CANVAS = 8 * MIB
"""A canvas definition with all the nodes and edges that a canvas may have takes some 3 MiB."""
MAX_FORM = 6 * MIB
"""`POST /assets`: a file of 4 MiB (contract, 2.15) with its fields, and one a little too large, which is told so."""
MAX_UPLOAD = 64 * MIB
"""Signed uploads, which are kept in memory: a minute of video; and the controls, whose scripts hold any text."""


def max_body(path: str) -> int:
    """Return how many bytes a request to this path may bring."""
    if path.startswith(("/_storage/", "/_sandbox/")):
        return MAX_UPLOAD
    if path.endswith("/canvas/definition"):
        return MAX_CANVAS
    return MAX_FORM if path == "/api/v1/assets" else MAX_JSON


def require_size(path: str, content: bytes) -> None:
    """Refuse a body over the limit with a 413."""
    if len(content) > (limit := max_body(path)):
        raise ApiError(413, "payload_too_large", f"The body is too large; at most {limit} bytes are accepted here.")
