"""httpx adapter: request arguments and exception mapping. Used by `client.py` alone."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import IO, Any

import h11
import httpx

from flora_provider import __version__
from flora_provider.api.errors import (
    FloraConnectionError,
    FloraInputError,
    FloraTimeoutError,
    FloraUploadError,
)
from flora_provider.api.http.body import CHUNK, MIN_BYTES_PER_SECOND
from flora_provider.api.http.environment import trusted
from flora_provider.api.http.flow import Request
from flora_provider.api.settings import Settings
from flora_provider.api.text import one_line
from flora_provider.api.urls import host_of

CONNECTIONS = 10  # of one client at most, and as many for files
_OURS: ContextVar[bool] = ContextVar("_OURS", default=False)


def client_arguments(settings: Settings) -> dict[str, Any]:
    """What httpx's client is made with.

    Raises:
        FloraInputError: `verify`, or a variable of the environment, names no CA bundle.
    """
    # Plain http stays on the machine, and so must the key: it goes by no proxy, not even one of the environment.
    may_leave = settings.base_url.startswith("https:")
    return {
        # An attempt as a whole is bounded by our client. Connecting takes two steps, TCP and TLS: should both together
        # not end in time, the request surely did not leave.
        "timeout": httpx.Timeout(settings.timeout, connect=settings.timeout / 2),
        "verify": trusted(settings.verify, environment=may_leave),
        "proxy": settings.proxy if may_leave else None,
        "trust_env": may_leave,
        "headers": {"User-Agent": f"airflow-provider-flora/{__version__}", "Accept-Encoding": "gzip"},
        # Kept longer than any poll interval: httpx's 5 s would reconnect at every poll.
        "limits": httpx.Limits(
            max_connections=2 * CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=120
        ),
        # Nothing that one answer sets is sent along with the next request.
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    }


def request_arguments(request: Request, settings: Settings) -> dict[str, Any]:
    """What httpx's `stream` takes. Credentials are added for paths below the base URL, and for nothing else.

    Args:
        request: ours.
        settings: the base URL and the key.
    """
    headers = dict(request.headers)
    url = request.url
    if request.is_api:
        url = settings.base_url + url
        headers |= {"Authorization": f"Bearer {settings.api_key}", "Accept": "application/json"}
    arguments: dict[str, Any] = {"method": request.method, "url": url, "headers": headers}
    if request.query:
        arguments["params"] = request.query
    if (form := request.form) is not None:
        headers["Content-Type"] = f"multipart/form-data; boundary={form.boundary}"
        arguments["data"] = dict(form.fields)
        arguments["files"] = {form.file_field: (form.file_name, form.file, form.content_type)}
    elif not isinstance(request.body, bytes):
        headers["Content-Length"] = str(request.body.seek(0, os.SEEK_END))
        arguments["content"] = _chunks_of(request.body)
    elif request.body:
        headers["Content-Type"] = "application/json"
        arguments["content"] = request.body
    return arguments


async def _chunks_of(file: IO[bytes]) -> AsyncIterator[bytes]:
    """A file from its start. Reading a small piece from disk blocks the loop less than a thread would."""
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk


def destination(request: Request, settings: Settings) -> str:
    """Where a request goes, as a message may show it."""
    return settings.base_url if request.is_api else host_of(request.url)


def seconds_for(request: Request, settings: Settings) -> float:
    """How long one attempt may take: the timeout, and what the slowest bearable connection needs for a file."""
    file = request.form.file if request.form else request.body
    size = 0 if isinstance(file, bytes) else file.seek(0, os.SEEK_END)
    return settings.timeout + size / MIN_BYTES_PER_SECOND


def fetch_arguments(url: str) -> dict[str, Any]:
    """What httpx's `stream` takes to fetch a file: no credentials; no compression, so that its length is telling."""
    return {"method": "GET", "url": url, "headers": {"Accept-Encoding": "identity"}}


def addresses(found: Sequence[tuple[Any, ...]]) -> list[str]:
    """The addresses in what `getaddrinfo` found."""
    return [str(row[4][0]) for row in found]


@contextmanager
def translated(destination: str) -> Iterator[None]:
    """Turn httpx's failures into ours, in sentences that say what to look at, and keep addresses out of its log.

    Raises:
        FloraConnectionError: no connection, or it broke; `ambiguous` unless the request surely did not leave.
        FloraTimeoutError: no answer in time.
        FloraInputError: this is no address.
        FloraUploadError: the file that is sent grew or shrank meanwhile.
    """
    ours = _OURS.set(True)
    try:
        yield
    except httpx.InvalidURL as error:
        raise FloraInputError(f"an address at {destination} cannot be right: {error}") from None
    except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise FloraTimeoutError(f"{destination} did not accept a connection in time", ambiguous=False) from error
    except (httpx.TimeoutException, TimeoutError) as error:
        raise FloraTimeoutError(f"{destination} did not answer within the timeout") from error
    except httpx.ProxyError as error:
        said = one_line(str(error), 100) or "no"
        raise FloraConnectionError(
            f"the proxy does not lead to {destination}: it said {said}", ambiguous=False
        ) from error
    except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
        raise FloraConnectionError(f"{destination} cannot be reached: {_cause(error)}", ambiguous=False) from error
    except httpx.HTTPError as error:
        raise FloraConnectionError(f"the connection to {destination} broke: {type(error).__name__}") from error
    except h11.LocalProtocolError:  # httpx lets it through: more or fewer bytes came than were announced
        raise FloraUploadError(f"the file changed while it was sent to {destination}", may_retry=True) from None
    except (socket.gaierror, UnicodeError) as error:  # from looking up a name; httpx wraps its own
        raise FloraConnectionError(f"{destination} cannot be reached: {_UNKNOWN_NAME}", ambiguous=False) from error
    finally:
        _OURS.reset(ours)


def _is_not_ours(_record: logging.LogRecord) -> bool:
    return not _OURS.get()


def _without_details(record: logging.LogRecord) -> bool:
    """Leave of a line of ours what happens, such as `send_request_headers.started`; the rest of it holds headers."""
    if _OURS.get():
        record.msg, record.args = record.getMessage().partition(" ")[0], None
    return True


# httpx logs every URL at INFO, whole, and httpcore logs headers at DEBUG, among them the address that a redirect leads
# to: signatures would stand in task logs. Other users' lines stay as they are. A filter does not hold for the loggers
# below its own, so each has one; it stays, however logging is set up later.
logging.getLogger("httpx").addFilter(_is_not_ours)
for _part in ("connection", "http11", "http2", "proxy", "socks"):
    logging.getLogger(f"httpcore.{_part}").addFilter(_without_details)

_UNKNOWN_NAME = "its name is unknown; check the host for typing errors, and that this machine has a network"


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
            reason = getattr(seen, "reason", None) or "handshake failed"  # Python's own code makes some without one
            return f"it does not speak TLS ({reason}); check https or http in the host"
        if isinstance(seen, socket.gaierror):
            return _UNKNOWN_NAME
        seen = seen.__cause__ or seen.__context__
    return "nothing listens there, or no network leads to it; check the host, and the proxy if you need one"
