"""The rows of a batch: what each asks for, all of them checked before the first is sent. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from flora_provider.api import validation
from flora_provider.api.calls.base import canonical_json
from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import FloraModel
from flora_provider.batch.problems import Problems
from flora_provider.batch.strict_json import strict_json
from flora_provider.catalog.messages import nearest, safe_repr
from flora_provider.catalog.model_params import resolve_params
from flora_provider.catalog.values import is_list
from flora_provider.reuse.key import reuse_key

FIELDS = ("type", "prompt", "model", "model_params", "workspace_id", "project_id", "callback_url")
"""The columns of a row."""
MEMBER = "model_params."
"""What the name of a column begins with that sets one parameter of the model, as in `model_params.seed`."""
MAX_ROWS = 100_000

_MAX_DEPTH = 100  # of the JSON of a parameter
_REQUIRED = ("type", "prompt")
_RULES: Mapping[str, validation.Check] = {
    name: validation.GENERATION["params" if name == "model_params" else name] for name in FIELDS
}


@dataclass(frozen=True, slots=True)
class Row:
    """One generation that is asked for.

    Attributes:
        number: from 1, in the input.
        fields: by the names of `FIELDS`, the row's own and the defaults; what is absent is left out. JSON: what FLORA's
            client returned (a run, an output, an asset) has become a dict, and is not resolved to its address yet.
        identity: 32 hexadecimal digits, by the content of the row and its position among equal ones. Whatever else is
            in the input does not count, nor what signs an address.
    """

    number: int
    fields: Mapping[str, Any]
    identity: str


def rows_of(requests: Iterable[object], defaults: Mapping[str, Any], problems: Problems) -> list[Row]:
    """Read and check all rows, and return those that are sound.

    Args:
        requests: a dict each, with the columns `FIELDS` and `model_params.<name>`. None and the empty text count as
            absent. `model_params` may be a text that is a JSON object; a parameter of None counts as absent.
        defaults: the same, for what rows leave out; `model_params` are merged parameter by parameter.
        problems: takes what is wrong, by row; also if there are no rows, or more than 100,000.

    Raises:
        FloraInputError: the requests are no list.
    """
    common, problems_of_defaults = _checked(defaults)
    for problem in problems_of_defaults:
        problems.add(f"defaults: {problem}", is_of_source=False)
    rows: list[Row] = []
    equal: Counter[str] = Counter()
    number = 0
    for number, request in enumerate(_some(requests, problems), 1):
        fields, found = _checked(request)
        merged = _merged(common or {}, fields or {})
        if fields is not None:
            found += [_missing(name, request) for name in _REQUIRED if name not in merged]
        for problem in found:
            problems.add(problem, number)
        if not found and not problems_of_defaults:
            content = _content_key(merged)
            rows.append(Row(number, merged, _identity(content, equal[content])))
            equal[content] += 1
    if not number:
        problems.add("requests is empty: give at least one row")
    return rows


def _some(requests: object, problems: Problems) -> Iterator[object]:
    """The requests; of too many, no more than are allowed."""
    if isinstance(requests, str | bytes | Mapping) or not isinstance(requests, Iterable):
        raise FloraInputError(f"requests is {safe_repr(requests)}: give a list of dicts of {', '.join(FIELDS)}")
    rest = iter(requests)
    yield from islice(rest, MAX_ROWS)
    if any(True for _ in rest):
        problems.add(f"requests has more than {MAX_ROWS:,} rows: make several batches of them")


def _checked(request: object) -> tuple[dict[str, Any] | None, list[str]]:
    """What a row, or the defaults, say, None if that cannot be read; and what is wrong with it."""
    if not isinstance(request, Mapping) or not all(isinstance(name, str) for name in request):
        return None, [f"it is {safe_repr(request)}: give a dict of {', '.join(FIELDS)}"]
    try:
        fields, found = _fields(request)
    except RecursionError:
        return None, ["model_params is nested too deeply, or holds itself: give plain lists and dicts"]
    refused = {name: problem for name, value in fields.items() if (problem := _RULES[name](name, value))}
    return fields, [*found, *refused.values(), *_unusable({name: fields[name] for name in fields.keys() - refused})]


def _fields(request: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The columns that are there, with the parameters of the model in one dict."""
    fields: dict[str, Any] = {}
    members: dict[str, Any] = {}
    found: list[str] = []
    for name, value in request.items():
        member = name.removeprefix(MEMBER)
        if name not in _RULES and (member in (name, "")):
            found.append(_unknown(name))
        elif value is None or (isinstance(value, str) and not value):
            continue  # it counts as absent
        elif name in _RULES:
            fields[name] = value
        else:
            members[member] = value
    params, problems = _params(fields.pop("model_params", {}))
    found += problems
    found += [f"{MEMBER}{name} and model_params both say {name}: give one" for name in params if name in members]
    if params or members:
        fields["model_params"] = {name: _plain(value) for name, value in {**params, **members}.items()}
    return fields, found


def _params(value: Any) -> tuple[dict[str, Any], list[str]]:
    """The parameters of the model that are not None."""
    if isinstance(value, str):
        try:
            parsed = strict_json(value)
        except ValueError as error:
            return {}, [f"model_params is {safe_repr(value)}, which is no JSON object ({error}): write {{…}}"]
        if not isinstance(parsed, dict):
            return {}, [f"model_params is {safe_repr(value)}: give a JSON object, {{…}}"]
        value = parsed
    if problem := _RULES["model_params"]("model_params", value):
        return {}, [problem]
    return {name: member for name, member in value.items() if member is not None}, []


def _unusable(fields: Mapping[str, Any]) -> list[str]:
    """What cannot be sent: a run without outputs as a picture, half a character, a number that is none, a date."""
    found: list[str] = []
    for check, value in ((resolve_params, fields.get("model_params")), (canonical_json, fields)):
        try:
            check(value)
        except FloraInputError as error:
            found += error.problems
    return found


def _plain(value: Any, depth: int = 0) -> Any:
    """A value in JSON's own types, where it has any; RecursionError if whoever walks through it would raise it."""
    if depth > _MAX_DEPTH:
        raise RecursionError
    if isinstance(value, FloraModel):
        value = value.to_dict() if hasattr(value, "to_dict") else value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {name: _plain(member, depth + 1) for name, member in value.items()}
    return [_plain(item, depth + 1) for item in value] if is_list(value) else value


def _merged(common: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The row's own, and the defaults for what it leaves out."""
    merged = {**common, **fields}
    if "model_params" in common and "model_params" in fields:
        merged["model_params"] = {**common["model_params"], **fields["model_params"]}
    return merged


def _missing(name: str, request: Any) -> str:
    value = request.get(name)
    return f"{name} is {'missing' if value is None else safe_repr(value)}: give it in the row, or in defaults"


@lru_cache(maxsize=200)
def _unknown(name: str) -> str:
    names = (*FIELDS, f"{MEMBER}<name>")
    known = nearest(name, names)
    if "did you mean" in known:
        known = f"{known} The columns are {', '.join(names)}"
    return f"column {safe_repr(name)} is unknown: {known}"


def _content_key(fields: Mapping[str, Any]) -> str:
    """Equal for equal rows, by the rule of the build cache: media count by content, or by address without signature."""
    # Flat, for a dict of parameters that looks like an asset or an output is none; and an empty parameter may stand
    # against a default, but would count as absent.
    params = {f"{MEMBER}{name}": value for name, value in fields.get("model_params", {}).items()}
    empty = [name for name, value in params.items() if value in ("", [], {})]
    rest = {name: value for name, value in fields.items() if name != "model_params"}
    return reuse_key({**rest, **params, "empty": [[name, params[name]] for name in sorted(empty)]})


def _identity(content: str, position: int) -> str:
    return hashlib.sha256(f"{content} {position}".encode()).hexdigest()[:32]
