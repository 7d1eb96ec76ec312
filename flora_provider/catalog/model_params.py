"""The `model_params` of a generation against `GET /models`: FLORA ignores what it does not know, and bills it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import Model, ModelParam
from flora_provider.api.text import short_repr
from flora_provider.api.validation import MEDIA_TYPES
from flora_provider.catalog import param_checks as checks
from flora_provider.catalog.messages import label, nearest, safe_repr
from flora_provider.catalog.values import Kind, address_problem, as_input, is_list, is_result, kind_of

_MAX_DEPTH = 20  # of lists within lists
_MEDIA_PARAM = re.compile("(image|video|audio)_urls?")
# The one form in which a family of models takes its media; None for none. FLORA's catalog does not declare them.
_MEDIA_OF_FAMILY: Mapping[str, str | None] = {
    **dict.fromkeys(("i2i", "i2v"), "image_url"),
    **dict.fromkeys(("is2i", "i2t"), "image_urls"),
    "v2t": "video_urls",
    "v2v": None,
}
_TYPES: Mapping[str, checks.TypeCheck] = {
    "string": checks.a_string,
    "string[]": checks.strings,
    "bool": checks.a_boolean,
    "int": checks.an_integer,
    "int?": checks.or_none(checks.an_integer),
    "seed": checks.or_none(checks.an_integer),
    "float": checks.a_number,
    "dict": checks.a_mapping,
}


def resolve_params(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters with every output, run and asset replaced by its address or text, at the top and in lists.

    Raises:
        FloraInputError: with all values that cannot be resolved, such as a run with several outputs.
    """
    if params is None:
        return {}
    if problem := checks.a_mapping("model_params", params):
        raise FloraInputError([problem])
    found: list[str] = []
    resolved = {key: _resolve(label("model_params", key), value, _kind(key), found) for key, value in params.items()}
    if found:
        raise FloraInputError(found)
    return resolved


def _kind(key: str) -> Kind | None:
    return kind_of(key.partition("_")[0]) if _MEDIA_PARAM.fullmatch(key) else None


def _resolve(name: str, value: Any, kind: Kind | None, found: list[str], depth: int = 0) -> Any:
    if is_list(value):
        if depth < _MAX_DEPTH:
            return [_resolve(f"{name}[{n}]", it, kind, found, depth + 1) for n, it in enumerate(value)]
        found.append(f"{name[:100]}… is nested too deeply: give at most {_MAX_DEPTH} lists within each other")
    elif is_result(value) or (kind is not None and isinstance(value, str)):
        try:
            read = as_input(value, name=name, kind=kind)
            if kind is None or read.kind in (None, kind):
                return read.value
            found.append(f"{name} is {read.kind}, but it takes {kind}: give the address or the output of such a one")
        except FloraInputError as error:
            found += error.problems
    return value


def param_problems(
    models: Iterable[Model],
    *,
    type: str,  # noqa: A002 - FLORA's own name for it
    model: str | None,
    params: Mapping[str, Any] | None,
    allowed: Collection[str] = (),
) -> list[str]:
    """What is wrong with a generation, as far as the catalog tells.

    Args:
        models: all of `GET /models`; of every type, so that a model of another one is known as such.
        type: what is to be made.
        model: an endpoint's id; None for the workspace's default, which is not known: then a parameter is refused that
            no model of the type has.
        params: as `resolve_params` returns them.
        allowed: names of parameters that are not checked, whatever the catalog says of them.

    Returns:
        One sentence each.
    """
    rows = list(models)
    if not rows:
        return []
    if problem := checks.a_mapping("model_params", {} if params is None else params):
        return [problem]
    if model is None:
        return _unknown_to_all([row for row in rows if row.type == type], type, params or {}, allowed)
    names = [row.model_id for row in rows]
    same = [row for row in rows if row.model_id == model]
    if not same:
        return [_unknown_model(model, rows, names)]
    # Of several rows for one model, one that allows the request suffices.
    return checks.fewest(_type_problems(row, type, rows) + _row_problems(row, params or {}, allowed) for row in same)


def _unknown_to_all(
    models: Iterable[Model], wanted: object, params: Mapping[str, Any], allowed: Collection[str]
) -> list[str]:
    """What no model of a type takes."""
    rows = list(models)
    if not all("params" in row.model_fields_set for row in rows):
        return []
    names = [param.name for row in rows for param in row.params]
    unknown = [key for key in params if key not in {*names, *allowed} and not _MEDIA_PARAM.fullmatch(key)]
    return [f"model_params.{key[:80]} is unknown to all {wanted} models: {_ignored(key, names)}" for key in unknown]


def _ignored(key: str, names: Iterable[str]) -> str:
    known = nearest(key, names) or "there is none"
    return (
        f"FLORA would ignore it, and bill: {known} (or name it in allow_model_params, if FLORA takes it all the same)"
    )


def _unknown_model(model: object, rows: Iterable[Model], ids: list[str]) -> str:
    known = {row.name.casefold(): row.model_id for row in rows if isinstance(row.name, str)}
    remedy = "list_models() names those that there are"
    if isinstance(model, str):
        by_name = known.get(model.strip().casefold())
        remedy = f"its id is {by_name!r}" if by_name else nearest(model, ids)
    return f"model is {safe_repr(model)}, which FLORA's catalog does not have: {remedy}"


def _type_problems(model: Model, wanted: str, rows: Iterable[Model]) -> list[str]:
    if model.type == wanted or model.type not in MEDIA_TYPES or wanted not in MEDIA_TYPES:
        return []
    others = [row.model_id for row in rows if row.type == wanted][:3]
    such = f", such as {', '.join(others)}" if others else ""
    problem = (
        f"model {model.model_id} makes {model.type}, but type is {short_repr(wanted)}: set type={model.type!r}, "
        f"or take a model that makes {short_repr(wanted)}{such}"
    )
    return [problem]


def _row_problems(model: Model, params: Mapping[str, Any], allowed: Collection[str]) -> list[str]:
    rows: dict[str, list[ModelParam]] = {}
    for row in model.params:
        rows.setdefault(row.name, []).append(row)
    found: list[str] = []
    for key, value in params.items():
        if key in allowed:
            continue
        if key in rows:
            found += checks.fewest(_value_problems(row, value) for row in rows[key])
        elif _MEDIA_PARAM.fullmatch(key):
            found += _media_problems(model.model_id, key, value)
        elif "params" in model.model_fields_set:
            names = [*rows, *([media] if (media := _MEDIA_OF_FAMILY.get(_family(model.model_id))) else [])]
            known = nearest(key, names) or "it has none"
            found.append(
                f"{label('model_params', key)} is unknown to {model.model_id}: FLORA ignores it, and bills: {known} "
                "(or allow this name, if FLORA takes it all the same)"
            )
    for key, same in rows.items():
        if all(row.required for row in same) and key not in params and key not in allowed:
            default = same[0].default
            such = "" if default is None else f", such as its default {safe_repr(default)}"
            found.append(f"model_params.{key} is missing: {model.model_id} requires it; give it{such}")
    source = _MEDIA_OF_FAMILY.get(_family(model.model_id))
    if source and not {source, *filter(_MEDIA_PARAM.fullmatch, params)} & {*params, *allowed}:
        found.append(f"model_params.{source} is missing: {model.model_id} works on it; give it")
    return found


def _value_problems(param: ModelParam, value: Any) -> list[str]:
    name = f"model_params.{param.name}"
    if _is_default(param, value):
        return []
    if problem := _TYPES.get(param.type, checks.anything)(name, value):
        is_option = isinstance(value, str) and any(option.get("value") == value for option in param.options)
        return [] if is_option and param.type == "string" else [problem]
    if value is None or param.type == "dict":
        return checks.member_problems(name, value, param.properties) if isinstance(value, Mapping) else []
    items = list(enumerate(value)) if param.type == "string[]" else [(None, value)]
    found = []
    for index, item in items:
        label = name if index is None else f"{name}[{index}]"
        problem = checks.range_problem(label, item, param.min, param.max)
        found.append(problem or checks.option_problem(label, item, param.options))
    return [problem for problem in found if problem]


def _is_default(param: ModelParam, value: Any) -> bool:
    """Whether this is the catalog's own default, which is good whatever else the catalog says."""
    if "default" not in param.model_fields_set or not isinstance(value, str | int | float | None):
        return False
    return type(value) is type(param.default) and bool(value == param.default)


def _family(model_id: str) -> str:
    return model_id.partition("-")[0]


def _media_problems(model_id: str, key: str, value: Any) -> list[str]:
    """What is wrong with media that the catalog does not declare: the wrong form is ignored, and billed."""
    family, name = _family(model_id), f"model_params.{key}"
    takes_none = family.startswith("t2")
    wanted = _MEDIA_OF_FAMILY.get(family, None if takes_none else key)
    if wanted is None:
        why = "has no parameter for its source: run it in FLORA's app" if family == "v2v" else "takes no media"
        return [f"{name} would be ignored: {model_id} {why}; leave it out, or take a model of a family that takes it"]
    if key != wanted:
        form = "a list of addresses" if wanted.endswith("s") else "one address"
        return [f"{name} would be ignored: {model_id} takes {wanted} ({form}); give model_params.{wanted}"]
    if not key.endswith("s"):
        if is_list(value):
            return [f"{name} is a list, but {model_id} takes one address: give one of them"]
        return [problem] if (problem := address_problem(name, value)) else []
    if not is_list(value) or not value:
        return [f"{name} is {safe_repr(value)}, but {model_id} takes a list: give a list of one or more addresses"]
    return [problem for n, it in enumerate(value) if (problem := address_problem(f"{name}[{n}]", it))]
