"""A request as both ways into the sandbox bring it: an httpx client in the same process, or ASGI on a port."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl

import httpx


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Not httpx's own class, whose making takes longer than all else that a poll costs here."""

    method: str
    root: str  # scheme, host and port the client used
    path: str  # decoded
    raw_path: str  # path and query as they were sent
    headers: dict[str, str]  # names in lower case
    content: bytes

    @classmethod
    def from_httpx(cls, request: httpx.Request) -> Self:
        """Take over a request for `httpx.MockTransport`."""
        url = request.url
        root = f"{url.scheme}://{url.netloc.decode()}"
        headers = {name.lower(): value for name, value in request.headers.items()}
        return cls(request.method, root, url.path, url.raw_path.decode(), headers, request.content)

    @classmethod
    def from_asgi(cls, scope: MutableMapping[str, Any], content: bytes) -> Self:
        """Take over a request that came through a port."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        raw_path = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            raw_path += "?" + scope["query_string"].decode("latin-1")
        root = f"http://{headers.get('host', '127.0.0.1')}"
        return cls(scope["method"], root, scope["path"], raw_path, headers, content)

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query; an empty value counts as absent, and of several the last one counts."""
        return dict(parse_qsl(self.raw_path.partition("?")[2]))
