"""Checks of request bodies and queries: closed, and all problems reported at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flora_provider.sandbox.http.responses import invalid

_PAGE_SIZES = {str(number) for number in range(1, 101)}

Check = Callable[[Any], str | None]
"""Says what is wrong with a value, or returns None."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member a body or query may have.

    Attributes:
        check: What its value must be.
        required: Whether its absence is a problem.
    """

    check: Check
    required: bool = False


def text(value: Any) -> str | None:
    """Accept a string that is not empty."""
    if not isinstance(value, str):
        return "Expected a string."
    return None if value else "Must not be empty."


def mapping(value: Any) -> str | None:
    """Accept a JSON object."""
    return None if isinstance(value, dict) else "Expected an object."


def filled_list(value: Any) -> str | None:
    """Accept a JSON array with at least one item."""
    return None if isinstance(value, list) and value else "Expected an array with at least one item."


def texts(value: Any) -> str | None:
    """Accept an array of strings."""
    right = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return None if right else "Expected an array of strings."


def one_of(*allowed: str) -> Check:
    """Accept one of a few words."""

    def check(value: Any) -> str | None:
        return None if value in allowed else f"Expected one of {', '.join(allowed)}; got {value!r}."

    return check


def public_id(prefix: str) -> Check:
    """Accept an id with this prefix (contract, section 1.4: no blanks in it)."""

    def check(value: Any) -> str | None:
        right = (
            isinstance(value, str) and value.startswith(prefix) and value != prefix and not any(map(str.isspace, value))
        )
        return None if right else f'Expected an id that starts with "{prefix}"; got {value!r}.'

    return check


def page_size(value: str) -> str | None:
    """Accept a page size of 1 to 100 (contract, section 5)."""
    right = value in _PAGE_SIZES
    return None if right else f"Expected an integer from 1 to 100; got {value!r}."


def public_https(value: Any) -> str | None:
    """Accept an HTTPS URL whose host is not this machine's or a private network's, as far as its spelling tells."""
    if not isinstance(value, str):
        return "Expected a URL."
    try:
        parts = urlsplit(value)
        scheme, host = parts.scheme, parts.hostname
    except ValueError:  # e.g. half an IPv6 address
        scheme, host = "", None
    if scheme != "https" or not host:
        return f"Expected a public https URL; got {value!r}."
    return f"Host {host} is not public." if _is_private(host) else None


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def check_path_id(name: str, value: str, prefix: str) -> None:
    """Refuse a malformed id in a path with a 400 that names the prefix."""
    if problem := public_id(prefix)(value):
        raise invalid((name, problem))


def check_members(values: Mapping[str, Any], members: Mapping[str, Member], where: str = "") -> list[tuple[str, str]]:
    """Return every problem of `values`: what is missing, what is unknown and what is wrong.

    Args:
        values: The object to look at.
        members: What it may have; nothing else is allowed (contract, section 1.5, "Strictness of requests").
        where: Prefix of the reported field names, e.g. `inputs[0].`.
    """
    problems = [(f"{where}{name}", "Required") for name, m in members.items() if m.required and name not in values]
    for name, value in values.items():
        if name not in members:
            problems.append((f"{where}{name}", "Unrecognized member."))
        elif problem := members[name].check(value):
            problems.append((f"{where}{name}", problem))
    return problems
