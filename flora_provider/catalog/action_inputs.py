"""The inputs and params of an action: the rows that FLORA takes, and what is wrong with them by the definition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import Action, ActionParam, ActionSlot
from flora_provider.catalog import param_checks as checks
from flora_provider.catalog.addresses import kind_of_address
from flora_provider.catalog.messages import label, nearest, plain_number, safe_repr
from flora_provider.catalog.values import Kind, address_problem, as_input, is_list, is_result, kind_of

_TAKEN = ("image", "video", "audio", "text")  # the kinds of an item; the set is closed
_TYPES: Mapping[str, checks.TypeCheck] = {
    **dict.fromkeys(("number", "float"), checks.a_number),
    **dict.fromkeys(("integer", "int"), checks.an_integer),
    **dict.fromkeys(("boolean", "bool"), checks.a_boolean),
    **dict.fromkeys(("string", "text", "color"), checks.a_string),
    **dict.fromkeys(("vector", "range"), checks.a_mapping),
}


def action_inputs(
    definition: Action | None, inputs: object, params: Mapping[str, Any] | None
) -> tuple[list[dict[str, str]], list[str]]:
    """The items of `action_rows`, none if one cannot be read, and all that is wrong with the inputs and the params."""
    try:
        rows = action_rows(inputs, definition)
    except FloraInputError as error:
        known = [] if definition is None else _param_problems(definition, params)
        return [], [*error.problems, *known]
    return rows, action_problems(definition, rows, params)


def action_rows(inputs: object, definition: Action | None = None) -> list[dict[str, str]]:
    """The items `{type, url or text, name?}` of an action.

    Args:
        inputs: one value, a list of values, or a dict from a slot's name to a value or a list of values. Each is a
            text, an address, an output of a finished run, a run, an asset, or such an item.
        definition: tells the kind of an address whose ending tells none; None if it could not be had.

    Raises:
        FloraInputError: with all values that cannot be an input.
    """
    found: list[str] = []
    slots = definition.inputs if definition else ()
    rows: list[dict[str, str]] = []
    for name, slot_name, value in _values(inputs):
        fitting = [slot for slot in slots if slot.name == slot_name] if slot_name else slots
        kinds = [kind for kind in dict.fromkeys(kind_of(slot.type) for slot in fitting) if kind]
        try:
            row = _row(name, value, kinds)
        except FloraInputError as error:
            found += error.problems
            continue
        item_name = slot_name or _item_name(value)
        rows.append(row | ({"name": item_name} if item_name else {}))
    if found:
        raise FloraInputError(found)
    return rows


def _item_name(value: object) -> str | None:
    """The slot that an item `{type, url or text, name}` names itself; an asset's or an output's name is none."""
    is_item = isinstance(value, Mapping) and value.keys() <= {"type", "url", "text", "name"}
    name = value.get("name") if is_item and isinstance(value, Mapping) else None
    return name if isinstance(name, str) else None


def _values(inputs: object) -> Iterable[tuple[str, str | None, object]]:
    """Every value, with its label for messages and the name of its slot."""
    if inputs is None:
        return
    if isinstance(inputs, Mapping) and not is_result(inputs):
        if problem := checks.a_mapping("inputs", inputs):
            raise FloraInputError(problem)
        for key, value in inputs.items():
            if is_list(value):
                yield from ((f"{label('inputs', key)}[{n}]", key, it) for n, it in enumerate(value))
            else:
                yield label("inputs", key), key, value
    elif is_list(inputs):
        yield from ((f"inputs[{n}]", None, it) for n, it in enumerate(inputs))
    else:
        yield "inputs", None, inputs


def _row(name: str, value: object, kinds: Sequence[Kind]) -> dict[str, str]:
    """One item; `kinds` are those that its slot, or any slot, takes."""
    wanted: Kind | None = kinds[0] if len(kinds) == 1 else None
    if isinstance(value, str) and wanted is None and (not kinds or "text" not in kinds):
        wanted = "image"  # so that a run's id is refused; an item of type text can still say it
    read = as_input(value, name=name, kind=wanted)
    kind = read.kind or _guess(read.value, kinds)
    if kind is None:
        raise FloraInputError(
            f"{name} is {safe_repr(read.value)}, whose address does not tell what it is: give "
            "{'type': 'image', 'url': …} (or video, audio)"
        )
    if kind not in _TAKEN:
        raise FloraInputError(f"{name} is {kind}, which actions do not take: give {', '.join(_TAKEN)}")
    if kind == "text":
        return {"type": kind, "text": read.value}
    if problem := address_problem(name, read.value):
        raise FloraInputError(problem)
    return {"type": kind, "url": read.value}


def _guess(text: str, kinds: Sequence[Kind]) -> Kind | None:
    """The kind of a plain text, by the slots that there are and by its address."""
    if len(kinds) == 1:
        return kinds[0]
    if "://" not in text or " " in text.strip():
        return "text" if not kinds or "text" in kinds else kinds[0]
    guessed, media = kind_of_address(text), [kind for kind in kinds if kind != "text"]
    if guessed in media or (guessed and not kinds):
        return guessed
    return media[0] if len(media) == 1 else None


def action_problems(
    definition: Action | None, rows: Iterable[Mapping[str, Any]], params: Mapping[str, Any] | None
) -> list[str]:
    """What is wrong with the items and the params of an action, as far as its definition tells; None tells nothing.

    Args:
        definition: of the action.
        rows: as `action_rows` returns them.
        params: of the action, by their keys.
    """
    if definition is None:
        return []
    found = _slot_problems(definition.inputs, list(rows)) if "inputs" in definition.model_fields_set else []
    return found + _param_problems(definition, params)


def _slot_problems(slots: Sequence[ActionSlot], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each item goes into the slot that it names, else into the first of its kind that has room."""
    taken: Counter[str] = Counter()
    found = []
    for row in rows:
        name, kind = row.get("name"), row.get("type")
        named = [slot for slot in slots if slot.name == name] if name else slots
        fitting = [slot for slot in named if kind_of(slot.type) in (None, kind)]
        slot = next((slot for slot in fitting if taken[slot.name] < _bounds(slot)[1]), None)
        what = label("inputs", str(name)) if name else f"inputs: {kind}"
        if slot is not None:
            taken[slot.name] += 1
        elif not named:
            remedy = nearest(str(name), [slot.name for slot in slots]) if name else "the action takes no inputs"
            found.append(f"{what} is unknown to the action: {remedy or 'it takes no inputs'}")
        elif not fitting:
            takes = ", ".join(f"{slot.name} ({slot.type})" for slot in named)
            found.append(f"{what} is {kind}, but the action takes {takes}: give such a one")
        else:
            most = plain_number(sum(_bounds(slot)[1] for slot in fitting))
            found.append(f"{what} has too many values: the action takes at most {most} here; leave the others out")
    for slot in slots:
        least = _bounds(slot)[0]
        if taken[slot.name] < least:
            found.append(
                f"inputs.{slot.name} has {taken[slot.name]} values of type {slot.type}: the action needs "
                f"{plain_number(least)} or more; give them"
            )
            taken[slot.name] = int(least)  # said once, also where the catalog names the slot twice
    return list(dict.fromkeys(found))


def _bounds(slot: ActionSlot) -> tuple[float, float]:
    """How many values a slot takes, at least and at most; `optional` does not count where `multiple` is a dict."""
    several = slot.multiple if slot.multiple is not None else slot.dynamic
    if not isinstance(several, Mapping):
        return (0 if slot.optional else 1), (float("inf") if several else 1)
    low, high = checks.bound(several.get("min")), checks.bound(several.get("max"))
    least = 1 if low is None else low
    most = float("inf") if high is None else high
    return (least, most) if least <= most else (0, float("inf"))


def _param_problems(definition: Action, params: Mapping[str, Any] | None) -> list[str]:
    if problem := checks.a_mapping("action_params", {} if params is None else params):
        return [problem]
    if "params" not in definition.model_fields_set:
        return []
    found = []
    for key, value in (params or {}).items():
        same = [row for row in definition.params if row.key == key]
        if same:
            found += checks.fewest(_value_problems(row, value) for row in same)
        else:
            known = nearest(key, [row.key for row in definition.params]) or "it has none"
            found.append(f"{label('action_params', key)} is unknown to {definition.action_id}: {known}")
    return found


def _value_problems(param: ActionParam, value: Any) -> list[str]:
    name, default = f"action_params.{param.key}", param.default_value
    if isinstance(value, str | int | float) and type(value) is type(default) and value == default:
        return []
    if problem := _TYPES.get(param.type, checks.anything)(name, value):
        return [problem]
    if isinstance(value, Mapping):
        members = (checks.a_number(label(name, key), it) for key, it in value.items())
        is_numeric = param.type in ("vector", "range")
        unknown = checks.member_problems(name, value, dict.fromkeys(default) if isinstance(default, Mapping) else {})
        return unknown + ([problem for problem in members if problem] if is_numeric else [])
    problem = checks.range_problem(name, value, param.min_number_value, param.max_number_value)
    problem = problem or checks.option_problem(name, value, param.available_values, strict=True)
    return [problem] if problem else []
