"""The inputs of a technique against its definition, and the two forms in which FLORA's routes take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import Technique, TechniqueSlot
from flora_provider.api.validation import media
from flora_provider.catalog.addresses import kind_of_address
from flora_provider.catalog.messages import label, nearest, safe_repr
from flora_provider.catalog.param_checks import a_mapping
from flora_provider.catalog.values import InputValue, address_problem, as_input, is_list, kind_of

_NESTED_TYPES = {"text": "text", "image": "imageUrl", "video": "videoUrl"}


def technique_inputs(
    definition: Technique | None, inputs: Mapping[str, Any] | None
) -> tuple[dict[str, str], list[str]]:
    """The value of each slot by its id, and all that is wrong with them.

    Args:
        definition: of the technique; None if it could not be had: then values are read, and not checked.
        inputs: by the id or the name of the slot; each a text, an address, an output of a run, a run, or an asset.
    """
    if problem := a_mapping("inputs", {} if inputs is None else inputs):
        return {}, [problem]
    values: dict[str, str] = {}
    used: dict[str, str] = {}
    problems: list[str] = []
    for key, value in (inputs or {}).items():
        slot = None
        if definition is not None:
            slot, problem = _find_slot(definition.inputs, key)
            if slot is None:
                problems.append(problem)
                continue
            if slot.id in used:
                problems.append(
                    f"{label('inputs', key)} and {label('inputs', used[slot.id])} are the same slot: give one of them"
                )
                continue
            used[slot.id] = key
        if (slot is None or not slot.optional) or not _is_empty(value):
            try:
                values[slot.id if slot else key] = _read(slot, key, value)
            except FloraInputError as error:
                problems += error.problems
    for slot in definition.inputs if definition else ():
        if not slot.optional and slot.id not in used:
            used[slot.id] = slot.id
            problems.append(f"inputs.{slot.id} is missing: give {_what(slot)}")
    return values, problems


def nested_rows(definition: Technique | None, values: Mapping[str, Any]) -> tuple[list[dict[str, str]], list[str]]:
    """The `[{id, type, value}]` of `POST /techniques/{technique}/runs`, and all that is wrong with them.

    Args:
        definition: of the technique; None if it could not be had.
        values: of `technique_inputs`. Without a definition the inputs themselves, whose types may be known.
    """
    slots = {slot.id: slot for slot in definition.inputs} if definition else {}
    rows: list[dict[str, str]] = []
    problems: list[str] = []
    for key, value in values.items():
        try:
            read = as_input(value, name=label("inputs", key))
        except FloraInputError as error:
            problems += error.problems
            continue
        kind = kind_of(slots[key].type) if key in slots else None
        kind = kind or read.kind or kind_of_address(read.value) or ("image" if "://" in read.value else "text")
        if kind in _NESTED_TYPES:
            rows.append({"id": key, "type": _NESTED_TYPES[kind], "value": read.value})
        else:
            problems.append(
                f"{label('inputs', key)} is {kind}, which FLORA's route for a slug or a callback_url cannot send: "
                "name the technique by its tech_… id, without callback_url"
            )
    return rows, problems


def _find_slot(slots: Iterable[TechniqueSlot], key: str) -> tuple[TechniqueSlot | None, str]:
    all_slots = list(slots)
    name = label("inputs", key)
    if by_id := [slot for slot in all_slots if slot.id == key]:
        return by_id[0], ""
    for fold in (str, lambda it: it.strip().casefold()):
        fitting = {slot.id: slot for slot in all_slots if fold(slot.name) == fold(key)}
        if len(fitting) == 1:
            return next(iter(fitting.values())), ""
        if fitting:
            return None, f"{name} is the name of several slots: give the id of one, {', '.join(fitting)}"
    names = [it for slot in all_slots for it in (slot.id, slot.name)]
    return None, f"{name} is unknown to the technique: {nearest(key, names) or 'it takes no inputs'}"


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _what(slot: TechniqueSlot) -> str:
    kind = kind_of(slot.type)
    what = f"{'an' if kind in ('image', 'audio') else 'a'} {kind}" if kind else "a value"
    return f"{what} ({safe_repr(slot.name)})" if slot.name not in ("", slot.id) else what


def _read(slot: TechniqueSlot | None, key: str, value: object) -> str:
    name = label("inputs", key)
    if is_list(value):
        several = slot is None or slot.allow_multiple
        raise FloraInputError(
            f"{name} is a list: several values would start several runs: map the task (.expand), one value each"
            if several
            else f"{name} is a list, but the slot takes one value: give one of them"
        )
    kind = kind_of(slot.type) if slot else None
    read = as_input(value, name=name, kind=kind)
    if problem := _problem(name, slot, kind, read):
        raise FloraInputError(problem)
    return read.value


def _problem(name: str, slot: TechniqueSlot | None, kind: str | None, read: InputValue) -> str | None:
    if not read.value.strip():
        return f"{name} is empty, which FLORA refuses: give a value{', or leave it out' if slot is None else ''}"
    if slot is None or kind is None:
        return None
    if read.kind is not None and read.kind != kind:
        return f"{name} is {read.kind}, but the slot takes {kind}: give {_what(slot)}"
    if kind == "text":
        return None
    if slot.accepts_element and "://" not in read.value:
        return (
            None if media(name, read.value) is None else f"{name} is {safe_repr(read.value)}: give an id or an address"
        )
    return address_problem(name, read.value)
