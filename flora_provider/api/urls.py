"""Every rule about addresses, and every redaction of them. Standard library only: DAG files pay for this import."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from flora_provider.api.text import short_repr

DEFAULT_BASE_URL = "https://app.flora.ai/api/v1"
_UNICAST = ipaddress.ip_network("2000::/3")  # all of IPv6 that is routed on the internet
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # how a network without IPv4 sees the internet's IPv4 addresses


def redact_urls(text: str) -> str:
    """Without what its addresses may be signed with: users, queries and fragments."""
    text = re.sub(r"(?<=://)[^\s/?#@]*@", "", text)
    return re.sub(r"(://[^\s?#]*)([?#]\S*[^\s'\".,:;)\]}])?", lambda url: url[1] + ("?…" if url[2] else ""), text)


def without_signatures(value: Any) -> Any:
    """A JSON value without what the addresses in its texts may be signed with."""
    if isinstance(value, str):
        return redact_urls(value)
    if isinstance(value, Mapping):
        return {name: without_signatures(member) for name, member in value.items()}
    return [without_signatures(item) for item in value] if isinstance(value, list | tuple) else value


def canonical_base_url(value: str) -> str:
    """The address under which all paths are found, without a trailing slash.

    Raises:
        ValueError: not an address, or plain HTTP to another machine, or one that carries credentials or a query.
    """
    if not isinstance(value, str):
        raise ValueError(f"the host is {short_repr(value)}: give an address such as {DEFAULT_BASE_URL}")  # noqa: TRY004 - a bad value
    text = value.strip()
    try:
        url = split_address(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise ValueError("the host is not an address such as https://app.flora.ai/api/v1") from None
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("the host carries a user, a query or a fragment: give the plain address only")
    if url.scheme not in ("https", "http") or not host or not text.isprintable() or " " in text:
        raise ValueError(f"the host is {short_repr(text)}: give an address such as {DEFAULT_BASE_URL}")
    if url.scheme == "http" and not is_loopback(host):
        raise ValueError(
            f"the host is {short_repr(text)}: plain http would send the API key in clear over the network; use https "
            "(http is accepted for this machine only, as in http://127.0.0.1:8000/api/v1)"
        )
    netloc = f"[{host}]" if ":" in host else host
    return urlunsplit((url.scheme, f"{netloc}:{port}" if port else netloc, url.path.rstrip("/") or "/api/v1", "", ""))


def split_address(text: str) -> SplitResult:
    """The parts of an address that may lack its scheme, and of an IPv6 address the brackets.

    Raises:
        ValueError: it is none.
    """
    scheme, mark, rest = text.partition("://")
    scheme, rest = (scheme, rest) if mark else ("https", text)
    netloc, slash, path = rest.partition("/")
    with suppress(ValueError):
        netloc = f"[{ipaddress.IPv6Address(netloc)}]"
    return urlsplit(f"{scheme}://{netloc}{slash}{path}")


def project_url(base_url: str, project_id: str | None) -> str:
    """Where FLORA shows a project to a person; empty without one."""
    base = urlsplit(base_url)
    return f"{base.scheme}://{base.netloc}/projects/{project_id}" if project_id else ""


def host_of(url: str) -> str:
    """The host of an address, as a message may show it: the rest may be signed."""
    return urlsplit(url).hostname or "the file's host"


def is_proxy(value: object) -> bool:
    """Whether this is the address of an HTTP proxy."""
    try:
        url = urlsplit(value) if isinstance(value, str) and value.isprintable() and " " not in value else None
        _ = url and url.port  # raises on a port that is none
    except ValueError:
        return False
    return url is not None and url.scheme in ("http", "https") and bool(url.hostname)


def is_public_host(host: str) -> bool:
    """Whether this is a name with a dot that does not end like a number, as `127.1` does, or a public address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not re.fullmatch(r"([\w-]+\.)+[^\W\d_][\w-]*\.?", host):
            return False
    return not is_private_host(host)


def is_private_host(host: str) -> bool:
    """Whether this is a name or an address that surely does not lead to the public internet."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    return is_private_address(name)


def is_private_address(address: str) -> bool:
    """Whether this is the text of an IP address that is not on the public internet; False for a host name."""
    try:
        ip = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        # What translates and tunnels carry an IPv4 address, which is where they lead to.
        translated = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
        ip = ip.ipv4_mapped or ip.sixtofour or translated or ip
    return not ip.is_global or ip.is_multicast or (ip.version == 6 and ip not in _UNICAST)  # noqa: PLR2004 - IPv6


def is_loopback(host: str) -> bool:
    """Whether plain HTTP to this host stays on the machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_to_connect(url: str) -> str | None:
    """The host of an address that may be connected to: https, or http that stays on the machine; None for others.

    An address with a user or a password is none: it would be sent along as credentials.
    """
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # raises on a port that is none
    except ValueError:
        return None
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    return host if safe and host and "@" not in parts.netloc and url.isprintable() else None
