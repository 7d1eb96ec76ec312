"""Bodies, forms and queries as pydantic models: closed, and all problems reported at once."""

from __future__ import annotations

import functools
import ipaddress
import reprlib
from typing import Annotated, Any, TypeVar

import httpx
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    Strict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)

from flora_provider.sandbox.http.responses import invalid

T = TypeVar("T")

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""The hosts of this machine: the only ones that webhooks are sent to, for the sandbox reaches no network."""
MAX_PORT = 65535
CLOSED = ConfigDict(extra="forbid")
"""Unknown members are problems (contract, section 1.5, "Strictness of requests")."""


class Body(BaseModel):
    """A closed object. A member that may be absent, but not null, has a default of its own type."""

    model_config = CLOSED


class Query(BaseModel):
    """The parameters of a query; unknown ones are ignored."""


def check(cls: type[T], data: Any, *where: str, root: str = "") -> T:
    """Build a model or dataclass from JSON, or refuse it with a 400 that names all its problems.

    Args:
        cls: What to build.
        data: What came in.
        where: Names that lead to `data` in the request, for complaints, e.g. `params`, `sandbox`.
        root: Address of this sandbox, for a `MediaUrl`.
    """
    try:
        value: T = _adapter(cls).validate_python(data, context=root)  # type: ignore[arg-type] # types are hashable
    except ValidationError as error:
        raise invalid(*_problems(error, where)) from None
    return value


def find_problems(cls: type, data: Any, *where: str, root: str = "") -> list[tuple[str, str]]:
    """Return what is wrong with `data`, as `(field, message)`; the arguments are those of `check`."""
    try:
        _adapter(cls).validate_python(data, context=root)
    except ValidationError as error:
        return _problems(error, where)
    return []


@functools.cache  # an adapter takes a thousand times longer to make than to use
def _adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


_short = reprlib.Repr()  # what came in may be huge, and nested too deeply for repr()
_short.maxstring = _short.maxother = 200

_MESSAGES = {
    "missing": "Required",
    "extra_forbidden": "Unrecognized member.",
    "unexpected_keyword_argument": "Unrecognized member.",  # the same, of a dataclass
    "string_too_short": "Must not be empty.",
    **dict.fromkeys(("model_type", "dataclass_type", "dict_type"), "Expected an object."),
}


def _problems(error: ValidationError, where: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    problems = []
    for item in error.errors():
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*where, *item["loc"]))
        message = _MESSAGES.get(item["type"]) or str(item.get("ctx", {}).get("error", ""))
        message = message or f"{item['msg'].replace('Input should be', 'Expected')}; got {_short.repr(item['input'])}."
        problems.append((path.lstrip(".") or "body", message))
    return problems


def _public_id(prefix: str) -> AfterValidator:
    """Accept an id with this prefix (contract, section 1.4: no blanks in it)."""

    def check_prefix(value: str) -> str:
        if not value.startswith(prefix) or value == prefix or any(map(str.isspace, value)):
            raise ValueError(f'Expected an id that starts with "{prefix}"; got {value!r}.')
        return value

    return AfterValidator(check_prefix)


def _public_https(value: str) -> str:
    """Accept an HTTPS URL whose host is not this machine's or a private network's, as far as its spelling tells."""
    scheme, host = _scheme_and_host(value)
    if scheme != "https" or not host:
        raise ValueError(f"Expected a public https URL; got {_short.repr(value)}.")
    if _is_private(host):
        raise ValueError(f"Host {host} is not public.")
    return value


def _scheme_and_host(value: str) -> tuple[str, str]:
    """Return both as the client that calls it reads them, or blanks where it could not."""
    try:
        url = httpx.URL(value)
    except (httpx.InvalidURL, ValueError):  # ValueError: a name that IDNA does not know
        return "", ""
    return (url.scheme, url.host) if url.port is None or 0 < url.port <= MAX_PORT else ("", "")


def _is_private(host: str) -> bool:
    host = host.rstrip(".")
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def _callback_url(value: str) -> str:
    """Accept what FLORA calls back, and a receiver of this machine, which FLORA refuses."""
    scheme, host = _scheme_and_host(value)
    is_loopback = value.isascii() and scheme in ("http", "https") and host in LOOPBACK
    return value if is_loopback else _public_https(value)


def _header_text(value: str) -> str:
    if not (value.isascii() and value.isprintable() and value.strip()):
        raise ValueError(f"must be text that fits into a header; got {value!r}")
    return value


def media_url(value: str, info: ValidationInfo) -> str:
    """Accept a public HTTPS URL or one of this sandbox's media."""
    # Over plain http only the sandbox's own media count as FLORA's: the output of one run feeds the next.
    return value if value.startswith(f"{info.context}/media/") else _public_https(value)


AnyText = InstanceOf[str]
"""Any `str`; pydantic's own type accepts no half surrogate pairs."""
Text = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Strict()]  # Python takes a bool for a number; JSON does not
Integer = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
WorkspaceId = Annotated[str, _public_id("ws_")]
ProjectId = Annotated[str, _public_id("prj_")]
TechniqueId = Annotated[str, _public_id("tech_")]
RunId = Annotated[str, _public_id("run_")]
AssetId = Annotated[str, _public_id("asset_")]
CallbackUrl = Annotated[str, AfterValidator(_callback_url)]
HeaderText = Annotated[str, AfterValidator(_header_text)]
MediaUrl = Annotated[str, AfterValidator(media_url)]
