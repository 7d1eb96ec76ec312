"""Certificates and proxies, from the settings or from the variables of the environment that httpx and ssl read.

A value that cannot be used is named by the setting or variable that holds it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from flora_provider.api.errors import FloraInputError
from flora_provider.api.text import short_repr

_PATH = 1000  # characters of a path that a message shows: who is to mend it needs all of it
_SCHEMES = ("http", "https", "socks5", "socks5h")
# What httpx raises for an address that is none, for SOCKS without its package, and for a pattern of no host.
_REFUSALS = (ImportError, ValueError, httpx.InvalidURL)


def trusted(verify: bool | str, *, environment: bool) -> bool | ssl.SSLContext:
    """What httpx takes as `verify`.

    Args:
        verify: the setting.
        environment: whether `SSL_CERT_FILE`, else `SSL_CERT_DIR`, stand for a `verify` that is True.

    Raises:
        FloraInputError: the setting or the variable names no CA bundle, or `SSLKEYLOGFILE` no file to write to.
    """
    if keys := os.environ.get("SSLKEYLOGFILE"):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).keylog_filename = keys
        except (OSError, ValueError) as error:
            raise FloraInputError(
                f"SSLKEYLOGFILE is {short_repr(keys, _PATH)}, which cannot be written to: {_reason(error)}; unset it"
            ) from None
    if isinstance(verify, str):
        return _bundle("verify", verify, is_folder=os.path.isdir(verify))  # noqa: PTH112 - ssl takes the string
    if verify and environment:
        for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            if value := os.environ.get(variable):
                return _bundle(variable, value, is_folder=variable == "SSL_CERT_DIR")
    return verify


def _bundle(name: str, path: str, *, is_folder: bool) -> ssl.SSLContext:
    try:
        if not is_folder:
            return ssl.create_default_context(cafile=path)
        if not any(map(os.path.isdir, path.split(os.pathsep))):  # ssl would take it, and trust nobody
            raise FileNotFoundError(2, "No such directory")
        return ssl.create_default_context(capath=path)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        remedy = "" if name == "verify" else "; name one that is there, or unset it"
        raise FloraInputError(
            f"{name} is {short_repr(path, _PATH)}, which is no readable CA bundle: {_reason(error)}{remedy}"
        ) from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def usable_proxy(proxy: str | None, *, environment: bool) -> Iterator[None]:
    """Make httpx's client herein, which reads the environment.

    Args:
        proxy: the setting; the environment's are not read where there is one.
        environment: whether they are read at all.

    Raises:
        FloraInputError: the setting or a variable names a proxy that cannot be used, or `NO_PROXY` what is no host.
    """
    read = environment and not proxy
    if read and "*" not in _entries_of("no"):
        # httpx makes a client with these, too, and fails at the first request in a way that blames FLORA's host.
        for name, value in (_variables("https") or _variables("all"))[:1]:
            if not _is_address(value):
                raise FloraInputError(_no_proxy(name, value))
    try:
        yield
    except _REFUSALS:
        # None is to blame for a package that cannot be imported, unless it is that of SOCKS.
        problem = _problem_of_environment() if read else _problem_of("proxy", proxy or "")
        if problem is None:
            raise
        raise FloraInputError(problem) from None


def _problem_of_environment() -> str | None:
    for scheme in ("http", "https", "all"):
        for name, value in _variables(scheme):
            if problem := _problem_of(name, value):
                return problem
    bad = ", ".join(short_repr(entry) for entry in _entries_of("no") if not _is_pattern(entry))
    if not bad:
        return None
    name = next((name for name, _ in _variables("no")), "NO_PROXY")
    return f"{name} holds {bad}, which is no host: give names and addresses, without brackets"


def _problem_of(name: str, value: str) -> str | None:
    return _no_proxy(name, value) if value and not _is_accepted(value) else None


def _variables(scheme: str) -> list[tuple[str, str]]:
    """The variables that name this proxy, each with its value; the one that counts comes first."""
    wanted = f"{scheme}_proxy"
    found = [(name, value) for name, value in os.environ.items() if name.lower() == wanted and value]
    return sorted(found, key=lambda pair: pair[0] != wanted)


def _entries_of(scheme: str) -> list[str]:
    return [entry for _, value in _variables(scheme)[:1] for entry in map(str.strip, value.split(",")) if entry]


def _is_address(value: str) -> bool:
    try:
        url = urlsplit(value if "://" in value else f"http://{value}")
        _ = url.port  # raises on a port that is none
    except ValueError:
        return False
    return url.scheme in _SCHEMES and bool(url.hostname) and value.isprintable() and " " not in value


def _is_accepted(value: str) -> bool:
    """Whether httpx would take this as a proxy's address."""
    try:
        httpx.AsyncHTTPTransport(verify=False, proxy=httpx.Proxy(value if "://" in value else f"http://{value}"))
    except ImportError:  # SOCKS takes a package of its own; what is missing for others, every client misses
        if value.lower().startswith("socks"):
            return False
    except _REFUSALS:
        return False
    return _is_address(value)


def _is_pattern(entry: str) -> bool:
    """Whether httpx would take this as a part of `NO_PROXY`."""
    try:
        httpx.URL(entry if "://" in entry else f"all://*{entry}")
    except _REFUSALS:
        return False
    return True


def _no_proxy(name: str, value: str) -> str:
    seen = "" if "@" in value else f" is {short_repr(value)}, which"  # it may hold a password
    return (
        f"{name}{seen or ' (not shown, for it may hold a password)'} names no proxy that can be used: give http:// or "
        "https:// with a host and a port (SOCKS takes the package socksio), or unset it"
    )
