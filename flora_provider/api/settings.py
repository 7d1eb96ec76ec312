"""How to reach FLORA: the key, the address, and the manners. Checked once, here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from flora_provider.api.checks import is_loopback, shown
from flora_provider.api.errors import FloraInputError

DEFAULT_BASE_URL = "https://app.flora.ai/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to reach FLORA.

    Attributes:
        api_key: the secret; never shown. Its prefix is not checked, for FLORA has issued several kinds.
        base_url: `https://app.flora.ai/api/v1` unless given; without a path, `/api/v1` is added, and without a scheme
            `https://`. Plain `http://` is accepted for a loopback address only, for the key travels in every request.
        timeout: seconds that one attempt may take, headers and body, half of them for connecting; sending a file adds
            what a slow line needs for it. Default 60, as FLORA's SDK.
        max_retries: how often one call is sent again after a failure that may pass. Default 4.
        requests_per_second: the most that one process sends; None for no limit. FLORA publishes no limit of its own.
        verify: check TLS certificates; False, or the path of a CA bundle. Default True.
        proxy: address of an HTTP proxy; None for the one that `HTTPS_PROXY` and `NO_PROXY` name, if any. Plain http
            stays on the machine, and goes by no proxy.

    Raises:
        FloraInputError: anything of this cannot be right; the message never shows the key.
    """

    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    timeout: float = 60.0
    max_retries: int = 4
    requests_per_second: float | None = None
    verify: bool | str = True
    proxy: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work, and give the address its canonical form."""
        problems = []
        if not isinstance(self.api_key, str) or not re.fullmatch("[!-~]+", self.api_key):
            problems.append("the API key is missing, or holds spaces or other characters that no key has")
        for name, value in (("timeout", self.timeout), ("requests_per_second", self.requests_per_second)):
            if value is not None and not (_is_number(value) and 0 < value < float("inf")):
                problems.append(f"{name} is {shown(value)}: give a number above zero")
        if not (isinstance(self.max_retries, int) and _is_number(self.max_retries) and 0 <= self.max_retries <= 20):  # noqa: PLR2004
            problems.append(f"max_retries is {shown(self.max_retries)}: give a whole number from 0 to 20")
        if not isinstance(self.verify, bool | str) or self.verify == "":
            problems.append(f"verify is {shown(self.verify)}: give true, false or the path of a CA bundle")
        if self.proxy is not None and not _is_proxy(self.proxy):
            # Not shown: it may hold a password.
            problems.append("proxy is no address: give one such as http://proxy.example.com:3128")
        try:
            object.__setattr__(self, "base_url", canonical_base_url(self.base_url))
        except FloraInputError as error:
            problems += error.problems
        if problems:
            raise FloraInputError(problems)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, **given: Any) -> Settings:
        """Fill in `FLORA_API_KEY` and `FLORA_BASE_URL`, as FLORA's SDK does; for scripts, never for connections.

        Args:
            environ: where to look.
            given: settings that win over it.

        Raises:
            FloraInputError: there is no key, or a setting cannot be right.
        """
        for name, variable in (("api_key", "FLORA_API_KEY"), ("base_url", "FLORA_BASE_URL")):
            if value := environ.get(variable, "").strip():
                given.setdefault(name, value)
        if "api_key" not in given:
            raise FloraInputError("FLORA_API_KEY is not set: export it, or pass api_key")
        return cls(**given)


def canonical_base_url(value: str) -> str:
    """The address under which all paths are found, without a trailing slash.

    Raises:
        FloraInputError: not an address, or plain HTTP to another machine, or one that carries credentials or a query.
    """
    if not isinstance(value, str):
        raise FloraInputError(f"the host is {shown(value)}: give an address such as {DEFAULT_BASE_URL}")
    text = value.strip()
    try:
        url = split_address(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise FloraInputError("the host is not an address such as https://app.flora.ai/api/v1") from None
    if url.username or url.password or url.query or url.fragment:
        raise FloraInputError("the host carries a user, a query or a fragment: give the plain address only")
    if url.scheme not in ("https", "http") or not host or not text.isprintable() or " " in text:
        raise FloraInputError(f"the host is {shown(text)}: give an address such as {DEFAULT_BASE_URL}")
    if url.scheme == "http" and not is_loopback(host):
        raise FloraInputError(
            f"the host is {shown(text)}: plain http would send the API key in clear over the network; use https "
            "(http is accepted for this machine only, as in http://127.0.0.1:8000/api/v1)"
        )
    place = f"[{host}]" if ":" in host else host
    return urlunsplit((url.scheme, f"{place}:{port}" if port else place, url.path.rstrip("/") or "/api/v1", "", ""))


def split_address(text: str) -> SplitResult:
    """The parts of an address that may lack its scheme, and of an IPv6 address the brackets.

    Raises:
        ValueError: it is none.
    """
    scheme, mark, rest = text.partition("://")
    scheme, rest = (scheme, rest) if mark else ("https", text)
    place, slash, path = rest.partition("/")
    with suppress(ValueError):
        place = f"[{IPv6Address(place)}]"
    return urlsplit(f"{scheme}://{place}{slash}{path}")


def _is_proxy(value: object) -> bool:
    try:
        url = urlsplit(value) if isinstance(value, str) and value.isprintable() and " " not in value else None
        _ = url and url.port  # raises on a port that is none
    except ValueError:
        return False
    return url is not None and url.scheme in ("http", "https") and bool(url.hostname)


def _is_number(value: object) -> bool:
    # An integer may be too large for a float, and so for every clock.
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15)
