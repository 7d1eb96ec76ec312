"""Flows and their effects.

A flow (after httpx's `auth_flow`) is a generator that yields effects and is sent their results; `FloraClient.run` and
`AsyncFloraClient.run` are the two short loops that execute it. So every rule about retries, polling and starting a run
is written once, for sync and async, and is tested in microseconds without network, clock or mocks.

    Send(request)   -> Response
    Sleep(seconds)  -> None
    Fetch(...)      -> Response without a body, which went into the file if it was a success
    Resolve(host)   -> the host's addresses

What goes wrong with an effect is raised at the yield: FloraConnectionError, FloraAnswerError for an answer that has no
bounds, FloraDownloadError for a file that is too large.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TypeAlias, TypeVar

from flora_provider.api.http.retry_policy import RetryPolicy, retry_after

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body: `fields` first, then one file, streamed from disk.

    Attributes:
        boundary: the same for every resend, so that the bytes are; and nothing that the file's author could foresee.
    """

    fields: Mapping[str, str] = field(repr=False)
    file_field: str
    file_name: str
    content_type: str
    file: IO[bytes]
    boundary: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Request:
    """One HTTP request, in the bytes that every resend repeats.

    Attributes:
        method: GET, POST, PUT.
        url: a path below the base URL (`/runs/run_1`, segments percent-encoded), or a whole URL elsewhere.
            Credentials are sent with the former and never with the latter.
        query: name and value pairs.
        body: JSON bytes, or a file's content streamed from disk; empty for none.
        form: a multipart body instead.
        headers: besides those every request has.
    """

    method: str
    url: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | IO[bytes] = b""
    form: Form | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def is_api(self) -> bool:
        """Whether it goes below the base URL, with the key, rather than elsewhere, without."""
        return self.url.startswith("/")

    def __repr__(self) -> str:
        """Method and path; neither query nor foreign URLs, for either may hold a signature."""
        return f"{self.method} {self.url if self.is_api else '(file storage)'}"


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer; header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        """Any 2xx: FLORA's success codes vary by endpoint and age."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the HTTP success class

    def retry_after(self, now: float) -> float | None:
        """Seconds that it asks us to stay away; `now` in unix seconds."""
        return retry_after(self.headers, status=self.status, now=now)

    @property
    def content_length(self) -> int | None:
        """How many bytes its body was said to have on the way; None when that was not said."""
        text = self.headers.get("content-length", "")
        return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request, and get its Response."""

    request: Request


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let `seconds` pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fetch:
    """Send a GET without credentials and stream a success's body into `file`, at most `max_bytes`."""

    url: str = field(repr=False)
    file: IO[bytes]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Resolve:
    """Look up a host name, and get its addresses as strings."""

    host: str


Effect: TypeAlias = Send | Sleep | Fetch | Resolve
Observer: TypeAlias = Callable[[Request, Response | None], None]
"""Called with each request to the API when its attempt is over, resends included: its answer, or None without one.

It must neither raise nor block, and is called in the thread of the event loop that sends.
"""
Flow: TypeAlias = Generator[Effect, Any, T]


@dataclass(slots=True)
class FlowContext:
    """Retry policy, clocks and random source of a flow; `client.context` is a client's.

    Attributes:
        policy: how often and how long each request is tried.
        clock: unix seconds.
        random: random numbers in [0, 1), for jitter and for keys.
        monotonic: seconds of a monotonic clock; None to take `clock`.
    """

    policy: RetryPolicy
    clock: Callable[[], float]
    random: Callable[[], float]
    monotonic: Callable[[], float] | None = None

    def steady(self) -> float:
        """Seconds to measure durations with: they do not jump when somebody sets the time."""
        return (self.monotonic or self.clock)()
