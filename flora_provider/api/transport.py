"""Between our words and httpx's: requests out, answers and failures in. Used by `client.py` alone."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import httpx

from flora_provider import __version__
from flora_provider.api.errors import (
    FloraAnswerError,
    FloraConnectionError,
    FloraDownloadError,
    FloraTimeoutError,
)
from flora_provider.api.plan import Request, Response
from flora_provider.api.settings import Settings

MAX_ANSWER = 16 * 1024 * 1024  # bytes, decompressed; FLORA's largest page is far below
MAX_ERROR = 64 * 1024  # bytes of an error's body that are read at all
CHUNK = 64 * 1024


def client_arguments(settings: Settings) -> dict[str, Any]:
    """What both of httpx's clients are made with."""
    return {
        "timeout": settings.timeout,
        "verify": settings.verify,
        "proxy": settings.proxy,
        "headers": {"User-Agent": f"airflow-provider-flora/{__version__}", "Accept-Encoding": "gzip"},
        # Kept longer than any poll interval: httpx's 5 s would reconnect at every poll.
        "limits": httpx.Limits(max_connections=10, max_keepalive_connections=10, keepalive_expiry=120),
    }


def request_arguments(request: Request, settings: Settings) -> dict[str, Any]:
    """What httpx's `stream` takes. Credentials are added for paths below the base URL, and for nothing else."""
    headers = dict(request.headers)
    url = request.target
    if url.startswith("/"):
        url = settings.base_url + url
        headers |= {"Authorization": f"Bearer {settings.api_key}", "Accept": "application/json"}
    arguments: dict[str, Any] = {"method": request.method, "url": url, "headers": headers}
    if request.query:
        arguments["params"] = request.query
    if request.form is not None:
        form = request.form
        form.file.seek(0)
        arguments["data"] = dict(form.fields)
        arguments["files"] = {form.file_field: (form.file_name, form.file, form.content_type)}
    elif request.body is not None:
        arguments["content"] = request.body
    return arguments


class Arriving:
    """An answer while it arrives: bounded in bytes and in time, whatever the server sends."""

    def __init__(self, answer: httpx.Response, *, seconds: float) -> None:
        self._answer = answer
        self._until = time.monotonic() + seconds
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> bool:
        """Take a chunk; False when no more is needed.

        Raises:
            FloraAnswerError: a success larger than any of FLORA's.
            FloraTimeoutError: it trickles in too slowly.
        """
        self._parts.append(chunk)
        self._size += len(chunk)
        if time.monotonic() > self._until:
            raise FloraTimeoutError("FLORA's answer did not arrive whole within the timeout")
        if not self._answer.is_success:
            return self._size < MAX_ERROR
        if self._size > MAX_ANSWER:
            raise FloraAnswerError(f"FLORA's answer is larger than {MAX_ANSWER // 2**20} MB, so it is not FLORA's")
        return True

    def whole(self) -> Response:
        """The answer, once all of it is there."""
        return response(self._answer, b"".join(self._parts))


def fetch_arguments(url: str) -> dict[str, Any]:
    """What httpx's `stream` takes to fetch a file: no credentials; no compression, so that its length is telling."""
    return {"method": "GET", "url": url, "headers": {"Accept-Encoding": "identity"}}


def addresses(found: Sequence[tuple[Any, ...]]) -> list[str]:
    """The addresses in what `getaddrinfo` found."""
    return [str(row[4][0]) for row in found]


def response(answer: httpx.Response, body: bytes = b"") -> Response:
    """Httpx's response in our words."""
    return Response(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body)


class FileArriving:
    """A file while it arrives, written to disk chunk by chunk, bounded in bytes."""

    def __init__(self, file: IO[bytes], *, max_bytes: int) -> None:
        self._file = file
        self._left = max_bytes
        self._max = max_bytes
        file.seek(0)
        file.truncate()

    def add(self, chunk: bytes) -> None:
        """Write a chunk.

        Raises:
            FloraDownloadError: the file is larger than allowed.
        """
        self._left -= len(chunk)
        if self._left < 0:
            raise FloraDownloadError(f"the file is larger than {self._max} bytes: raise max_bytes if that is right")
        self._file.write(chunk)


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn httpx's failures into ours, in sentences that say what to look at.

    Raises:
        FloraConnectionError: no connection, or it broke; `ambiguous` unless the request surely did not leave.
        FloraTimeoutError: no answer in time.
    """
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise FloraTimeoutError(f"{place} did not accept a connection in time", ambiguous=False) from error
    except (httpx.TimeoutException, TimeoutError) as error:
        raise FloraTimeoutError(f"{place} did not answer within the timeout") from error
    except (httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
        raise FloraConnectionError(f"{place} cannot be reached: {_cause(error)}", ambiguous=False) from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise FloraConnectionError(f"the connection to {place} broke: {type(error).__name__}") from error


def _cause(error: BaseException) -> str:
    """The sentence for the innermost failure that means something to a person."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return (
                f"its TLS certificate is not trusted ({seen.verify_message}); "
                "set `verify` to your CA bundle's path if a company proxy signs it"
            )
        if isinstance(seen, ssl.SSLError):
            return f"it does not speak TLS ({seen.reason or 'handshake failed'}); check https or http in the host"
        if isinstance(seen, socket.gaierror):
            return "its name is unknown; check the host for typing errors, and that this machine has a network"
        seen = seen.__cause__ or seen.__context__
    text = str(error).lower()
    if "ssl" in text or "tls" in text or "certificate" in text:
        return f"TLS failed ({error})"
    if "name or service" in text or "nodename" in text or "name resolution" in text:
        return "its name is unknown; check the host for typing errors, and that this machine has a network"
    return "nothing listens there, or no network leads to it; check the host, and the proxy if you need one"
