"""How an answer travels: whole and at once, or late, cut off, trickled, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Literal

import httpx

from flora_provider.sandbox.http.responses import EncodedResponse

Delivery = Literal["refuse", "drop", "cut", "trickle"]
"""What happens to the connection.

`refuse` raises a ConnectError behind `httpx.MockTransport`. On a port it closes idle connections and the port itself,
controls included, for the `seconds` of the fault; which call a fault affects is known only once a request was read, so
there it cannot be limited to some calls. While the clock stands still, only the process itself can move it and so open
the port again. `drop` resets the connection instead of responding, `cut` closes it in the middle of the body, `trickle`
sends the body byte by byte.
"""


@dataclass(slots=True)
class DeliveredResponse:
    """A response and how it travels."""

    response: EncodedResponse
    delay: float = 0.0
    """Seconds until its first byte; between any two bytes for `trickle`."""
    delivery: Delivery | None = None

    def through_mock(self, request: httpx.Request) -> httpx.Response:
        """Return or raise what an httpx client sees behind `httpx.MockTransport`; no time passes."""
        if self.delivery == "refuse":
            raise httpx.ConnectError("The sandbox refused the connection.", request=request)
        if self.delivery == "drop":
            raise httpx.ReadError("The sandbox reset the connection.", request=request)
        limit = request.extensions.get("timeout", {}).get("read")
        if limit is not None and self.delay > limit:
            raise httpx.ReadTimeout("The sandbox took its time.", request=request)
        status, headers, content = self.response.status, self.response.headers, self.response.content
        if self.delivery == "cut":
            return httpx.Response(status, headers=headers, stream=_CutStream(content, request))
        if "content-encoding" not in headers:
            return httpx.Response(status, headers=headers, content=content)
        # httpx would decode it here; as a stream the client does, as far as it wants to.
        headers = {**headers, "content-length": str(len(content))}
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))


class _CutStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, content: bytes, request: httpx.Request) -> None:
        self._half = content[: len(content) // 2]
        self._error = httpx.RemoteProtocolError("The sandbox closed the connection mid-body.", request=request)

    def __iter__(self) -> Iterator[bytes]:
        yield self._half
        raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._half
        raise self._error
