"""What one call is made of, and the helpers that the endpoints' functions are written with."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeAlias, TypeVar, get_args
from urllib.parse import quote, unquote

from flora_provider.api import validation
from flora_provider.api.errors import FloraAnswerError, FloraInputError
from flora_provider.api.http.flow import Request
from flora_provider.api.models import FloraModel, Page, RunStatus
from flora_provider.api.text import short_repr

T = TypeVar("T")
M = TypeVar("M", bound=FloraModel)

FeedbackKind: TypeAlias = Literal["feature_request", "bug", "technique_request", "missing_capability"]
RunKind: TypeAlias = Literal["generation", "technique", "action"]

PAGE_SIZE = 100  # FLORA's maximum; its default is not published, so a size is always sent


def _page_size(name: str, value: object) -> str | None:
    good = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= PAGE_SIZE
    return None if good else f"{name} is {short_repr(value)}: FLORA gives 1 to {PAGE_SIZE} items a page"


RULES: Mapping[str, validation.Check] = {
    **validation.GENERATION,
    **dict.fromkeys(validation.PREFIXES, validation.identifier),
    **dict.fromkeys(("name", "summary", "detail", "cursor"), validation.non_empty_text),
    **dict.fromkeys(("diagram", "text", "description"), validation.non_empty_text),
    **dict.fromkeys(("node_id", "folder_id"), validation.opaque_id),
    "node_params": validation.mapping,
    **dict.fromkeys(("file_name", "folder"), validation.single_line),
    "technique": validation.slug_or_id,
    "action_id": validation.slug,
    "inputs": validation.mapping,
    "status": validation.one_of(*RunStatus),
    "kind": validation.one_of(*get_args(FeedbackKind)),
    "source": validation.source_url,
    "content_type": validation.content_type,
    "query": validation.any_string,
    "limit": _page_size,
}
"""What a parameter of this name must be, whichever endpoint takes it."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Call(Request, Generic[T]):
    """A request below the base URL, and how to read its answer.

    Attributes:
        body: canonical JSON, so that what was checked is what is sent; empty for none.
        read: from parsed JSON to the answer's type; raises FloraAnswerError.
        takes_key: whether FLORA documents an `Idempotency-Key` for it.
        key_member: the body's member that repeats the key, on the one endpoint that reads it there.
        starts: the kind of run that it starts; None for none, and for nodes of a canvas, which are several.
    """

    body: bytes = b""
    read: Callable[[Any], T]
    takes_key: bool = False
    key_member: str | None = None
    starts: RunKind | None = None

    @property
    def resendable(self) -> bool:
        """Whether sending it twice does no more than sending it once, as by HTTP of every GET, PUT and DELETE."""
        return self.method in ("GET", "PUT", "DELETE") or "Idempotency-Key" in dict(self.headers)

    def with_key(self, key: str) -> Call[T]:
        """The same call with an `Idempotency-Key`.

        Raises:
            FloraInputError: the call takes none, or it cannot be sent as a header.
        """
        if not self.takes_key:
            raise FloraInputError(f"{self} takes no idempotency key")
        validation.raise_problems(validation.problems([("idempotency_key", key, validation.idempotency_key)]))
        body = canonical_json({**json.loads(self.body), self.key_member: key}) if self.key_member else self.body
        return replace(self, headers=(*(dict(self.headers) | {"Idempotency-Key": key}).items(),), body=body)

    def ids(self) -> dict[str, str]:
        """The ids that it sends, by their names, wherever in the request they stand."""
        body = json.loads(self.body) if self.body else {}
        members = {**dict(self.query), **(self.form.fields if self.form else {}), **body}
        segments = self.url.split("/")
        found = {}
        for name, prefix in validation.PREFIXES.items():
            in_path = next((unquote(segment) for segment in segments if segment.startswith(prefix)), None)
            if isinstance(value := members.get(name, in_path), str):
                found[name] = value
        return found


def call_problems(value: object) -> list[str]:
    """What is wrong with this as a call."""
    if isinstance(value, Call):
        return []
    return [f"{short_repr(value)} is no call: make one with a function of flora_provider.api.calls"]


def path(*segments: str) -> str:
    """Segments, percent-encoded."""
    validation.raise_problems(segment_problems(*segments))
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def segment_problems(*segments: object) -> list[str]:
    """What is wrong with the segments of a path; a dot segment would climb out of the API."""
    bad = [it for it in segments if not isinstance(it, str) or it in ("", ".", "..") or not it.isprintable()]
    found = [f"{short_repr(it)} is no path segment" for it in bad]
    return found if segments else ["a path has at least one segment: give some"]


def canonical_json(value: object) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces, UTF-8.

    Raises:
        FloraInputError: it is no JSON value (a date, NaN, a set, …).
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        is_endless = isinstance(error, RecursionError) or "Circular" in str(error)
        problem = str(error) if is_endless else next(_not_json("", value), str(error))
        raise FloraInputError(f"this cannot be sent as JSON: {problem}") from None


def _not_json(where: str, value: object) -> Iterator[str]:
    """What JSON or UTF-8 cannot say in a value, with its path."""
    if isinstance(value, str):
        if half := re.search("[\ud800-\udfff]", value):
            yield (
                f"{where or 'the text'} holds half a surrogate pair ({value[half.start() :][:40]!a}), which is no "
                "character, such as half of an emoji that was cut: remove it"
            )
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from _not_json(f"a name in {where}".removesuffix(" in "), name)
            yield from _not_json(f"{where}.{name}".removeprefix("."), member)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _not_json(f"{where}[{index}]", item)
    elif not isinstance(value, int | float | None) or (isinstance(value, float) and not math.isfinite(value)):
        yield f"{where or 'the value'} is {short_repr(value)}: use plain strings, finite numbers, lists and dicts"


def query_of(**parameters: Any) -> tuple[tuple[str, str], ...]:
    """The parameters that are not None, as text."""
    some = drop_none(**parameters)
    # By way of JSON, which refuses text that has no UTF-8, and takes an enum for its value.
    values = json.loads(canonical_json(some))
    return tuple((name, str(values[name])) for name in some)


def drop_none(**members: Any) -> dict[str, Any]:
    """The members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def get(read: Callable[[Any], T], *segments: str, **query: Any) -> Call[T]:
    """A GET below the base URL; a query parameter that is None is left out."""
    return Call(method="GET", url=path(*segments), query=query_of(**query), read=read)


def post(read: Callable[[Any], T], *segments: str, payload: Mapping[str, Any]) -> Call[T]:
    """A JSON POST that takes a key."""
    return send_json("POST", read, *segments, payload=payload, takes_key=True)


def send_json(
    method: str, read: Callable[[Any], T], *segments: str, payload: Mapping[str, Any], takes_key: bool
) -> Call[T]:
    """A call with a JSON body."""
    return Call(method=method, url=path(*segments), body=canonical_json(payload), read=read, takes_key=takes_key)


def request(
    method: str,
    *segments: str,
    query: Mapping[str, str] | None = None,
    payload: Mapping[str, Any] | None = None,
    takes_key: bool = False,
) -> Call[Any]:
    """Any other endpoint; the answer is its parsed JSON.

        client.send(calls.request("GET", "projects", "prj_1", "comments"))

    Args:
        method: GET, POST, PUT, PATCH or DELETE.
        segments: of the path below the base URL, not yet percent-encoded.
        query: its parameters.
        payload: JSON members of the body; None for no body.
        takes_key: whether FLORA documents an `Idempotency-Key` for it. Without a key a POST or PATCH is not resent
            after a failure that leaves open whether FLORA acted on it.
    """
    verb = method.upper() if isinstance(method, str) else method
    found = segment_problems(*segments)
    found += validation.problems(
        [
            ("method", verb, validation.one_of("GET", "POST", "PUT", "PATCH", "DELETE")),
            ("query", query, validation.optional(validation.mapping)),
            ("payload", payload, validation.optional(validation.mapping)),
        ]
    )
    parameters = query if isinstance(query, Mapping) else {}
    found += validation.problems((f"query.{name}", value, validation.any_string) for name, value in parameters.items())
    validation.raise_problems(found)
    return Call(
        method=verb,
        url=path(*segments),
        query=query_of(**parameters),
        body=b"" if payload is None else canonical_json(payload),
        read=lambda data: data,
        takes_key=takes_key,
    )


def members(data: Any, name: str) -> list[Any]:
    """The list that an answer holds under this name."""
    rows = data.get(name) if isinstance(data, Mapping) else None
    if not isinstance(rows, list):
        raise FloraAnswerError(f"FLORA's answer holds no list {name!r}")
    return rows


def everything(name: str, model: type[M]) -> Callable[[Any], tuple[M, ...]]:
    """How to read a list that is not paged."""
    return lambda data: tuple(model.read(row) for row in members(data, name))


def page(name: str, model: type[M]) -> Callable[[Any], Page[M]]:
    """How to read one page of a list; the page knows what its rows are, so that a dump of it can be read again."""
    kind: type[Page[M]] = Page[model]  # type: ignore[valid-type]  # a class that is made when this runs

    def read(data: Any) -> Page[M]:
        rows = members(data, name)
        meta = data["meta"] if isinstance(data.get("meta"), Mapping) else {}
        return kind.read(
            {member: value for member, value in data.items() if member != name}
            | {"items": tuple(model.read(row) for row in rows)}
            | {member: meta.get(member) for member in ("next_cursor", "total_estimate")}
        )

    return read


def required(**values: object) -> list[str]:
    """What is wrong with these parameters, each judged by its name."""
    return validation.problems((name, value, RULES[name]) for name, value in values.items())


def optional(**values: object) -> list[str]:
    """The same; None is left out."""
    return required(**drop_none(**values))


def row_problems(
    name: str,
    row: object,
    members: Mapping[str, validation.Check],
    *,
    needed: Iterable[str] = (),
    closed: bool = True,
) -> list[str]:
    """What is wrong with a row that may have these members and, if it is `closed`, no others."""
    if not isinstance(row, Mapping):
        return [f"{name} is {short_repr(row)}: give a dict of {', '.join(members)}"]
    asked = [(member, check) for member, check in members.items() if member in row or member in needed]
    found = validation.problems((f"{name}.{member}", row.get(member), check) for member, check in asked)
    unknown = sorted(set(row) - set(members), key=str) if closed else []
    return found + ([f"{name} has the unknown members {unknown}: remove them"] if unknown else [])


def paged(
    name: str,
    model: type[M],
    *segments: str,
    limit: int,
    cursor: str | None,
    query: Mapping[str, str | None] = MappingProxyType({}),
    found: Iterable[str] = (),
) -> Call[Page[M]]:
    """A GET of one page of a list, with its query checked; `found` is wrong besides."""
    validation.raise_problems([*found, *optional(**query), *required(limit=limit), *optional(cursor=cursor)])
    return get(page(name, model), *segments, **query, limit=limit, cursor=cursor)


def as_list(rows: object) -> list[Any]:
    """The rows; whatever else was given becomes one row, to be taken or refused as one."""
    return list(rows) if isinstance(rows, Iterable) and not isinstance(rows, str | Mapping) else [rows]
