"""Serving a file: whole, a part of it, or not at all if the client has it (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import hashlib
import re

from flora_provider.sandbox.http.request import Request
from flora_provider.sandbox.http.responses import ApiResponse

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


def serve(content: bytes, content_type: str, request: Request) -> ApiResponse:
    """Answer a GET or HEAD for a file, as its `Range` and `If-None-Match` ask."""
    etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"content-type": content_type, "etag": etag, "accept-ranges": "bytes"}
    known = request.headers.get("if-none-match", "").strip()
    if known == "*" or etag in re.split(r"\s*,\s*", known.replace("W/", "")):
        return ApiResponse(b"", 304, headers)
    status, body = 200, content
    if request.method == "GET" and request.headers.get("if-range", etag) == etag:
        part = part_of(len(content), request.headers.get("range", ""))
        if part is not None and not part:
            return ApiResponse(b"", 416, {**headers, "content-range": f"bytes */{len(content)}"})
        if part:
            status, body = 206, content[part.start : part.stop]
            headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{len(content)}"
    if request.method == "HEAD":
        headers["content-length"], body = str(len(content)), b""
    return ApiResponse(body, status, headers)


def part_of(length: int, header: str) -> range | None:
    """Return the positions that a `Range` header asks for, none of them if there are none.

    None if it asks for nothing we know, such as several ranges: then the whole is served, as the RFC allows.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, length - int(last)), length)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, length) if last else length)
