"""FLORA's prebuilt actions (`actions.json`): the 40 ids of SDK 0.11.0 with their params (contract, appendix A)."""

from __future__ import annotations

import importlib.resources
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BaseModel, Field, create_model

from flora_provider.sandbox.http.validation import Body, Flag, Integer, Number, find_problems
from flora_provider.sandbox.world.runs import Medium, RunInput, RunType

Problem = tuple[str, str]  # a member of the request, and what is wrong with it

MAX_TEXT = 10_000
"""Longest text of a param; FLORA publishes no number."""


class _Range(Body):
    min: Number
    max: Number


_VECTORS = {
    axes: create_model("Vector", __base__=Body, **cast("Any", dict.fromkeys(axes, (Number, ...))))
    for axes in ("xy", "xyz")
}
_TYPES: dict[str, Any] = {
    "boolean": Flag,
    "integer": Integer,
    "number": Number,
    "range": _Range,
    "string": Annotated[str, Field(max_length=MAX_TEXT)],
    "color": Annotated[str, Field(pattern=r"^#([0-9a-fA-F]{3}){1,2}$")],
}


@dataclass(frozen=True, slots=True)
class Action:
    """A prebuilt action; `inputs`, `outputs` and `params` are the contract's Slots and Params (2.11).

    `old_ids` are those of FLORA's older list, which are accepted still, but not listed (contract, section 11).
    """

    run_type: ClassVar[RunType] = "action"
    action_id: str
    name: str
    description: str
    language: Literal["javascript", "python"]
    seconds: int
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    params: list[dict[str, Any]]
    old_ids: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Id, as the other subjects of runs have it."""
        return self.action_id

    @property
    def base_id(self) -> str:
        """Id without `-browser`, by which effects know it."""
        return base_id(self.id)

    @property
    def medium(self) -> Medium:
        """Return what it makes."""
        medium: Medium = self.outputs[0]["type"]
        return medium

    def usd(self, _: dict[str, Any]) -> float:
        """Return the quote of a run: actions cost nothing (contract, 2.10)."""
        return 0.0

    def check_params(self, params: dict[str, Any]) -> list[Problem]:
        """Return the problems of `params`; unknown keys are let pass, for the map is open (contract, 1.5)."""
        return find_problems(_PARAMS[self.id], params, "params")

    def assign(self, items: Sequence[RunInput]) -> tuple[tuple[RunInput, ...], list[Problem]]:
        """Put each item into a slot: the one it names, or else the first of its medium that has room.

        FLORA does not say how items find their slots. Returns the items under their slots' names, and the problems.
        """
        taken: Counter[str] = Counter()
        found, problems = [], []
        for number, item in enumerate(items):
            fitting = [slot for slot in self.inputs if slot["type"] == item.medium]
            named = [slot for slot in fitting if slot["name"] == item.name]
            slot = next((slot for slot in named or fitting if taken[slot["name"]] < _bounds(slot)[1]), None)
            if slot is not None:
                taken[slot["name"]] += 1
                found.append(RunInput(slot["name"], item.medium, item.value))
            else:
                wanted = ", ".join(f"{slot['name']} ({slot['type']})" for slot in self.inputs)
                problems.append((f"inputs[{number}]", f"No slot for another {item.medium}; {self.id} takes {wanted}."))
        for slot in self.inputs:
            name, least = slot["name"], _bounds(slot)[0]
            if taken[name] < least:
                problems.append(
                    ("inputs", f"Slot {name} takes {least:g} or more of type {slot['type']}; got {taken[name]}.")
                )
        return tuple(found), problems

    def to_json(self) -> dict[str, Any]:
        """Return the contract's Action (2.11)."""
        return {
            "action_id": self.id,
            "name": self.name,
            "description": self.description,
            "language": self.language,
            "charged_cost": 0,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "params": self.params,
        }


def _bounds(slot: dict[str, Any]) -> tuple[float, float]:
    """Return how many values a slot takes at least and at most (contract, 2.11)."""
    multiple = slot.get("multiple")
    if isinstance(multiple, dict):
        return multiple.get("min", 1), multiple.get("max", float("inf"))
    return 0 if slot.get("optional") else 1, float("inf") if multiple else 1


def _type(param: dict[str, Any]) -> Any:
    """Return what pydantic makes of a Param."""
    if param["type"] == "enum":
        return Literal[tuple(value["value"] for value in param["available_values"])]
    if param["type"] == "vector":
        return _VECTORS["".join(param["default_value"])]
    limits = Field(ge=param.get("min_number_value"), le=param.get("max_number_value"))
    return Annotated[_TYPES[param["type"]], limits] if "min_number_value" in param else _TYPES[param["type"]]


def _params(action: Action) -> type[BaseModel]:
    members = {param["key"]: (_type(param), None) for param in action.params}
    return create_model(action.id, **cast("Any", members))


_LISTED = json.loads(importlib.resources.files(__package__).joinpath("actions.json").read_bytes())
ACTIONS = {row["action_id"]: Action(**row) for row in _LISTED}
_OLD_IDS = {old_id: action.id for action in ACTIONS.values() for old_id in action.old_ids}
_PARAMS = {action.id: _params(action) for action in ACTIONS.values()}


def base_id(action_id: str) -> str:
    """Return an action's id without `-browser`."""
    return action_id.removesuffix("-browser")


def known_action(action_id: str) -> str:
    """Accept the id of an action and return it; for an old one, that of the action it is today."""
    if (current := _OLD_IDS.get(action_id, action_id)) not in ACTIONS:
        raise ValueError(f"Unknown action {action_id!r}.")
    return current
