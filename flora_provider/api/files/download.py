"""Fetch a file that a run made, as a flow: whole, without credentials, and from public hosts only."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO
from urllib.parse import urljoin

from flora_provider.api import validation
from flora_provider.api.calls.assets import binary_file
from flora_provider.api.errors import FloraConnectionError, FloraDownloadError, FloraError
from flora_provider.api.http.flow import Fetch, Flow, FlowContext, Resolve, Response
from flora_provider.api.http.retry_policy import status_passes
from flora_provider.api.http.retrying import Retries
from flora_provider.api.urls import host_to_connect, is_private_address, is_private_host

MAX_BYTES = 2 * 1024**3
MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
EXPIRED = frozenset({401, 403, 404, 410})
"""Statuses with which a host refuses an address that may have expired."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that arrived whole.

    Attributes:
        size: bytes, at least 1.
        content_type: what its host calls it, lower case and without parameters. Trust it, not the address's suffix.
    """

    size: int
    content_type: str


def download(
    url: str,
    file: IO[bytes],
    context: FlowContext,
    *,
    max_bytes: int = MAX_BYTES,
    referrer: str | None = None,
) -> Flow[Downloaded]:
    """Fetch a file. A failure that may pass starts it again from its first byte.

    Addresses are https, or http of this machine. Redirects are followed by hand, at most three, and never from a
    public address to a private one. (A name that changes between our look and the connection is not caught.)

    Args:
        url: such as an output's.
        file: seekable, open for writing; what it holds is replaced.
        context: the client's.
        max_bytes: the most that is written. Default 2 GiB.
        referrer: the address that told us `url`, such as the client's `base_url`. If that is public, `url` must be
            too. None to trust `url`.

    Raises:
        FloraInputError: an argument is of another type.
        FloraDownloadError: its host refused, it came empty, short or too large, or its address is not to be followed.
            Only hosts are named, for the rest of an address may be signed.
        FloraConnectionError: it did not arrive, and no retry helped.
    """
    validation.raise_problems(
        validation.problems(
            [
                ("url", url, validation.any_string),
                ("file", file, binary_file),
                ("max_bytes", max_bytes, validation.non_negative_int),
                ("came_from", referrer, validation.optional(validation.any_string)),
            ]
        )
    )
    retries = Retries(context, what="Download", resendable=True)
    while True:
        try:
            return (yield from _once(url, file, max_bytes=max_bytes, clock=context.clock, referrer=referrer))
        except FloraError as failure:
            pause = retries.pause(failure)
        yield pause


def _once(
    url: str, file: IO[bytes], *, max_bytes: int, clock: Callable[[], float], referrer: str | None
) -> Flow[Downloaded]:
    for _ in range(1 + MAX_REDIRECTS):
        host = yield from _permitted(url, referrer)
        response: Response = yield Fetch(url, file, max_bytes)
        location = response.headers.get("location")
        if response.status not in _REDIRECTS or not location:
            return _whole(response, file, host, now=clock())
        referrer, url = url, _joined(url, location)
    raise FloraDownloadError(f"{host} redirects more than {MAX_REDIRECTS} times: no file was reached")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:  # brackets that hold no IPv6 address
        return location


def _permitted(url: str, referrer: str | None) -> Flow[str]:
    """The address's host, if we may connect to it."""
    host = host_to_connect(url)
    if host is None:
        raise FloraDownloadError(
            "the file's address is none that is followed: only https:// is (and http:// of this machine), "
            "without a user or a password"
        )
    origin = host_to_connect(referrer) if referrer else None
    if origin and origin != host and (yield from _is_private(host)) and not (yield from _is_private(origin)):
        raise FloraDownloadError(
            f"{origin} leads to {host}, which is inside a private network: a public address must not reach into one"
        )
    return host


def _is_private(host: str) -> Flow[bool]:
    if is_private_host(host):
        return True
    try:
        addresses: list[str] = yield Resolve(host)
    except FloraConnectionError:
        # Behind an HTTP proxy names may be known to the proxy alone; elsewhere the connection will fail by itself.
        return False
    return any(is_private_address(address) for address in addresses)


def _whole(response: Response, file: IO[bytes], host: str, *, now: float) -> Downloaded:
    """The file, if all of it came.

    Raises:
        FloraDownloadError: it did not.
    """
    if response.status != HTTPStatus.OK:  # a part (206) was not asked for
        remedy = ": its address may have expired; get the run again for a fresh one" * (response.status in EXPIRED)
        raise FloraDownloadError(
            f"{host} answered {response.status}{remedy}",
            status=response.status,
            may_retry=status_passes(response.status),
            retry_after=response.retry_after(now),
        )
    size = file.seek(0, os.SEEK_END)
    # What was announced is the compressed length, where a host compresses although we ask it not to.
    content_length = None if "content-encoding" in response.headers else response.content_length
    if content_length is not None and size != content_length:
        raise FloraDownloadError(f"{host} sent {size} bytes of {content_length}", may_retry=True)
    if size == 0:
        raise FloraDownloadError(f"{host} sent an empty file", may_retry=True)
    content_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
    return Downloaded(size, content_type or "application/octet-stream")
