"""What can be known to be wrong before a request is sent.

Each check takes a value and returns None, or one sentence that names the value and the remedy. The operators apply
them when a DAG is parsed (to literal values) and `calls/` when a request is built, so a rule is written once.
Standard library only: every DAG file pays for this import at every parse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from flora_provider.api.errors import FloraInputError
from flora_provider.api.text import is_rendered_none, short_repr
from flora_provider.api.urls import host_to_connect, is_loopback, is_public_host

Check: TypeAlias = Callable[[str, Any], str | None]

MEDIA_TYPES = ("image", "video", "audio", "text")
PREFIXES = {
    "workspace_id": "ws_",
    "project_id": "prj_",
    "technique_id": "tech_",
    "run_id": "run_",
    "asset_id": "asset_",
}
WHERE = {
    "workspace_id": "list_workspaces() names yours, and so does the connection's Test button",
    "project_id": "calls.list_projects() or hook.iter_projects() names yours, and so does its address in FLORA",
    "technique_id": "calls.list_techniques() or hook.iter_techniques() names them",
    "run_id": "it is what starting the run returned, and its operator's XCom `run_id`",
    "asset_id": "it is what uploading an asset returned",
}


def identifier(name: str, value: object) -> str | None:
    """FLORA's ids start with a prefix of their kind and hold no white space (FLORA's OpenAPI patterns)."""
    prefix = PREFIXES[name]
    if isinstance(value, str) and value.isprintable() and re.fullmatch(rf"{prefix}\S+", value):
        return None
    return f"{name} is {short_repr(value)}, but such an id starts with {prefix!r}: {WHERE[name]}"


def opaque_id(name: str, value: object) -> str | None:
    """An id of no fixed form, such as a node's `n3`."""
    if _is_word(value):
        return None
    return f"{name} is {short_repr(value)}: give the id as FLORA gave it"


def run_id(name: str, value: object) -> str | None:
    """A run's id, and not what a task returns that has waited for the run."""
    if isinstance(value, Mapping):
        return f"{name} is a finished run, for which its task has waited already; its id alone is XCom `run_id`"
    return identifier("run_id", value)


def boolean(name: str, value: object) -> str | None:
    """True or False; every text would count as true."""
    return None if isinstance(value, bool) else f"{name} is {short_repr(value)}: give True or False"


def media_type(name: str, value: object) -> str | None:
    """The four kinds of output; not a model family such as `t2i`."""
    return one_of(*MEDIA_TYPES)(name, value)


def non_empty_text(name: str, value: object) -> str | None:
    """Something to read."""
    if isinstance(value, str) and value.strip() and not is_rendered_none(value):
        return None
    return f"{name} is {short_repr(value)}: give a text that is not empty"


def single_line(name: str, value: object) -> str | None:
    """A text without line breaks and the like, which would end a form's header, and of characters that have bytes."""
    if isinstance(value, str) and not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", value):
        return non_empty_text(name, value)
    return f"{name} is {short_repr(value)}: give a text of one line, without control characters"


def any_string(name: str, value: object) -> str | None:
    """A text that may be empty."""
    return None if isinstance(value, str) else f"{name} is {short_repr(value)}: give a string"


def slug(name: str, value: object) -> str | None:
    """A model's or an action's id such as `t2i-flux-2-pro`; a display name has spaces and is refused by FLORA."""
    if _is_word(value):
        return None
    lister = "list_actions()" if name.startswith("action") else "list_models()"
    return f"{name} is {short_repr(value)}: give an id as {lister} shows it, not a display name"


def slug_or_id(name: str, value: object) -> str | None:
    """A technique's `tech_…` id or its slug such as `cctv-cam`."""
    if _is_word(value):
        return None
    return f"{name} is {short_repr(value)}: give the technique's tech_… id or its slug; {WHERE['technique_id']}"


def _is_word(value: object) -> bool:
    whole = isinstance(value, str) and value.isprintable() and re.fullmatch(r"[^\s/]+", value)
    return bool(whole) and not is_rendered_none(value)


def one_of(*choices: str) -> Check:
    """One of FLORA's own words."""

    def check(name: str, value: object) -> str | None:
        return None if value in choices else f"{name} is {short_repr(value)}: use one of {', '.join(choices)}"

    return check


def optional(check: Check) -> Check:
    """The same, or None."""
    return lambda name, value: None if value is None else check(name, value)


def mapping(name: str, value: object) -> str | None:
    """A dict with string keys."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return None
    return f"{name} is {short_repr(value)}: give a dict with string keys"


def sequence(name: str, value: object) -> str | None:
    """A list or a tuple, of whatever."""
    return None if isinstance(value, list | tuple) else f"{name} is {short_repr(value)}: give a list"


def number(name: str, value: object) -> str | None:
    """A finite number."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf"):
        return None
    return f"{name} is {short_repr(value)}: give a finite number"


def non_negative_int(name: str, value: object) -> str | None:
    """How many; maybe none."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return None
    return f"{name} is {short_repr(value)}: give a whole number, 0 or more"


def seconds(name: str, value: object) -> str | None:
    """Seconds, as a number; maybe none."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return None
    return f"{name} is {short_repr(value)}: give seconds, 0 or more"


def usd(name: str, value: object) -> str | None:
    """An amount of money, also as the text that a template renders to; maybe none."""
    try:
        amount = float(value) if isinstance(value, str) else value
    except ValueError:
        amount = None
    if seconds(name, amount) is None:
        return None
    return f"{name} is {short_repr(value)}: give an amount in USD, 0 or more"


def positive(name: str, value: object) -> str | None:
    """Seconds, as a number or a timedelta, above zero."""
    length = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds(name, length) is None and length != 0:
        return None
    return f"{name} is {short_repr(value)}: give seconds above zero, or a timedelta"


def duration(name: str, value: object) -> str | None:
    """Seconds, as a number or a timedelta; maybe none."""
    if seconds(name, value.total_seconds() if isinstance(value, timedelta) else value) is None:
        return None
    return f"{name} is {short_repr(value)}: give seconds, 0 or more, or a timedelta"


def idempotency_key(name: str, value: object) -> str | None:
    """A header value: printable ASCII without spaces; FLORA publishes no maximum, so we keep to 255."""
    if isinstance(value, str) and re.fullmatch(r"[!-~]{1,255}", value) and not is_rendered_none(value):
        return None
    return f"{name} is {short_repr(value)}: give 1 to 255 printable ASCII characters without spaces"


def callback_url(name: str, value: object) -> str | None:
    """HTTPS on a public host: FLORA refuses the rest at registration (FLORA's docs)."""
    return _public(name, value, "FLORA calls back only to https:// on a public host")


def source_url(name: str, value: object) -> str | None:
    """HTTPS on a public host: FLORA fetches from nowhere else (FLORA's docs)."""
    return _public(name, value, "FLORA fetches only https:// from a public host; upload a local file as a file")


def input_address(name: str, value: object) -> str | None:
    """What a run can fetch: as `source_url`, and a sandbox's files on this machine, too."""
    if isinstance(value, str) and is_loopback(host_to_connect(value) or ""):
        return None
    return source_url(name, value)


def media(name: str, value: object) -> str | None:
    """What a run can fetch, or the id of an element, which looks like nothing in particular."""
    return None if _is_word(value) else input_address(name, value)


def content_type(name: str, value: object) -> str | None:
    """A media type without parameters."""
    if isinstance(value, str) and re.fullmatch(r"[\w.+-]+/[\w.+-]+", value, re.ASCII):
        return None
    return f"{name} is {short_repr(value)}: give a media type such as image/png"


def _public(name: str, value: object, remedy: str) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"\S+", value) and is_public_host(host_to_connect(value) or ""):
        return None
    # The value may carry a token of the user's own, so only its scheme and host are shown.
    seen = re.match(r"([\w+.-]+://)(?:[^\s/?#]*@)?([^\s/?#]*)", value) if isinstance(value, str) else None
    return f"{name} is {f'{seen[1]}{seen[2]}/…' if seen else 'no address'}: {remedy}"


def problems(fields: Iterable[tuple[str, object, Check]]) -> list[str]:
    """All that is wrong with these values, in their order."""
    return [problem for name, value, check in fields if (problem := check(name, value))]


def raise_problems(found: list[str]) -> None:
    """Raise all problems at once.

    Raises:
        FloraInputError: there is at least one.
    """
    if found:
        raise FloraInputError(found)


# The members of a generation, in the order in which FLORA documents them.
GENERATION: Mapping[str, Check] = {
    "type": media_type,
    "prompt": non_empty_text,
    "workspace_id": identifier,
    "project_id": identifier,
    "model": slug,
    "params": mapping,
    "callback_url": callback_url,
}


# `C:/` is a path, and `file:/` an address.
_ONE_SLASH = re.compile(r"(?!file:)([A-Za-z][A-Za-z0-9]+):/(?!/)(.*)", re.DOTALL)


def no_missing_slash(name: str, value: object) -> str | None:
    """Refuse `s3:/bucket`, which would be a folder `s3:` of this machine."""
    if isinstance(value, str) and (address := _ONE_SLASH.match(value)):
        meant = f"{address[1]}://{address[2]}"
        return f"{name} is {short_repr(value)}, which is no path and no address: did you mean {short_repr(meant)}?"
    return None
