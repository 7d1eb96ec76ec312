"""API key, base URL, timeouts and limits, checked once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flora_provider.api.errors import FloraInputError
from flora_provider.api.text import short_repr
from flora_provider.api.urls import DEFAULT_BASE_URL, canonical_base_url, is_proxy


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
        if problem := _key_problem(self.api_key):
            problems.append(problem)
        for name, value in (("timeout", self.timeout), ("requests_per_second", self.requests_per_second)):
            if value is not None and not (_is_number(value) and 0 < value < float("inf")):
                problems.append(f"{name} is {short_repr(value)}: give a number above zero")
        if not (isinstance(self.max_retries, int) and _is_number(self.max_retries) and 0 <= self.max_retries <= 20):  # noqa: PLR2004
            problems.append(f"max_retries is {short_repr(self.max_retries)}: give a whole number from 0 to 20")
        if not isinstance(self.verify, bool | str) or self.verify == "":
            problems.append(f"verify is {short_repr(self.verify)}: give true, false or the path of a CA bundle")
        if self.proxy is not None and not is_proxy(self.proxy):
            # Not shown: it may hold a password.
            problems.append("proxy is no address: give one such as http://proxy.example.com:3128")
        try:
            object.__setattr__(self, "base_url", canonical_base_url(self.base_url))
        except ValueError as error:
            problems.append(str(error))
        if problems:
            raise FloraInputError(problems)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
        """Fill in `FLORA_API_KEY` and `FLORA_BASE_URL`, as FLORA's SDK does; for scripts, never for connections.

        Args:
            environ: where to look.
            overrides: settings that win over it.

        Raises:
            FloraInputError: there is no key, or a setting cannot be right.
        """
        for name, variable in (("api_key", "FLORA_API_KEY"), ("base_url", "FLORA_BASE_URL")):
            if value := environ.get(variable, "").strip():
                overrides.setdefault(name, value)
        if "api_key" not in overrides:
            raise FloraInputError("FLORA_API_KEY is not set: export it, or pass api_key")
        return cls(**overrides)


def _key_problem(key: object) -> str | None:
    """What is wrong with an API key; the message shows none of it."""
    if not isinstance(key, str) or not key:
        return "the API key is missing: give the one that FLORA's workspace settings show"
    if key.lower().startswith("bearer"):
        return "the API key begins with 'Bearer': give the key alone"
    if key[0] in "'\"`" or key[-1] in "'\"`":
        return "the API key is in quotes: leave them out"
    if not re.fullmatch("[!-~]+", key):
        return "the API key holds spaces, line breaks or other characters that no key has: give it as FLORA shows it"
    return None


def _is_number(value: object) -> bool:
    # An integer may be too large for a float, and so for every clock.
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15)
