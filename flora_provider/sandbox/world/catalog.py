"""Models and techniques the sandbox offers (`models.json`, `techniques.json`): ids plausible, prices invented."""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from flora_provider.sandbox.world.runs import MEDIA, Medium, RunInput, RunType

CREDITS_PER_USD = 1000
"""FLORA: 1,000 credits = $1 (contract, 1.5)."""
GATEWAY_CREDITS = 60
"""What a run of a gateway model costs, though its model reports 0."""
MAX_INPUTS = 16
"""Most media of a generation (further ones are ignored) or values of a slot; FLORA publishes no number."""
INPUT_MEDIA: dict[str, Medium] = {**MEDIA, "documentUrl": "text"}
"""What a slot's value is to a run: a document is the text of its address, for the sandbox reads none."""

_SINGLE_INPUTS: dict[str, tuple[str, Medium]] = {"i2i": ("image_url", "image"), "i2v": ("image_url", "image")}
_SEVERAL_INPUTS: dict[str, tuple[str, Medium]] = {
    "is2i": ("image_urls", "image"),
    "i2t": ("image_urls", "image"),
    "v2t": ("video_urls", "video"),
}


# What only the sandbox's models take, so that whoever checks params by the catalog lets it pass.
_BEHAVIOR = {
    "name": "sandbox",
    "type": "dict",
    "required": False,
    "description": "How this run is to behave. Only the sandbox has this parameter.",
}


@dataclass(frozen=True, slots=True)
class Model:
    """A model as `GET /models` shows it; `params` are the contract's P objects.

    Attributes:
        credits: Its estimate; gateway models report 0 and are billed nevertheless (contract, 2.12).
        prices: Factors of the price by the value of a param, e.g. `{"duration": {"10": 2}}`.
        fenced: Its texts come wrapped in Markdown fences (contract, section 9).
    """

    run_type: ClassVar[RunType] = "generation"
    id: str
    name: str
    provider: str
    medium: Medium
    credits: int
    seconds: int
    params: list[dict[str, Any]]
    capabilities: list[str] = field(default_factory=list)
    prices: dict[str, dict[str, float]] = field(default_factory=dict)
    beta: bool = False
    fenced: bool = False

    @property
    def family(self) -> str:
        """Return what it makes of what, e.g. `t2i`."""
        return self.id.split("-", 1)[0]

    def usd(self, params: dict[str, Any]) -> float:
        """Return the quote of a run in USD; a value that is unknown costs what the default does."""
        price = (self.credits or GATEWAY_CREDITS) / CREDITS_PER_USD
        for name, factors in self.prices.items():
            value = params.get(name)
            price *= factors.get(str(value), 1) if isinstance(value, str | int) else 1
        return round(price, 6)

    def output_count(self, params: dict[str, Any]) -> int:
        """Return how many outputs a run has: what `num_images` asks for, where the model has that param, or one."""
        most = next((param["max"] for param in self.params if param["name"] == "num_images"), 1)
        number = params.get("num_images")
        return number if isinstance(number, int) and 1 <= number <= most else 1

    def inputs(self, params: dict[str, Any]) -> tuple[RunInput, ...]:
        """Return the media in `params`; those in a form its family does not take are ignored (contract, 2.2).

        No form passes the source of a `v2v-` model.
        """
        values: list[Any] = []
        name, medium = _SINGLE_INPUTS.get(self.family) or _SEVERAL_INPUTS.get(self.family) or ("", "image")
        if self.family in _SINGLE_INPUTS:
            values = [params.get(name)]
        elif isinstance(several := params.get(name), list):
            values = several[:MAX_INPUTS]
        return tuple(RunInput(name, medium, value) for value in values if isinstance(value, str) and value)

    def to_json(self) -> dict[str, Any]:
        """Return the contract's Model (2.12)."""
        model = {
            "model_id": self.id,
            "name": self.name,
            "provider": self.provider,
            "type": self.medium,
            "capabilities": [self.family, *self.capabilities],
            "estimated_credits": self.credits,
            "estimated_seconds": self.seconds,
            "params": [*self.params, _BEHAVIOR],
        }
        return model | {"beta": True} if self.beta else model


@dataclass(frozen=True, slots=True)
class Technique:
    """A technique as `GET /techniques` shows it; `inputs` and `outputs` are the contract's TechniqueSlots (2.0).

    `archived` ones are in no list and refuse to run, but are found by id or slug. FLORA documents the refusal only.
    """

    run_type: ClassVar[RunType] = "technique"
    id: str
    slug: str
    name: str
    usd_per_run: float
    seconds: int
    description: str
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]  # all of one medium
    archived: bool = False

    @property
    def medium(self) -> Medium:
        """Return what it makes."""
        return MEDIA[self.outputs[0]["type"]]

    def usd(self, _: dict[str, Any]) -> float:
        """Return the quote of a run: flat, whatever the number of outputs (contract, 2.9)."""
        return self.usd_per_run

    def to_json(self) -> dict[str, Any]:
        """Return the contract's Technique, with the extra `slug` that FLORA's guide shows."""
        return {
            "technique_id": self.id,
            "slug": self.slug,
            "name": self.name,
            "description": self.description,
            "run_cost": self.usd_per_run,
            "inputs": self.inputs,
            "outputs": self.outputs,
        }


def _load(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(importlib.resources.files(__package__).joinpath(name).read_bytes())
    return rows


# The first model of a type is the workspace's default.
MODELS = tuple(Model(**row) for row in _load("models.json"))
TECHNIQUES = tuple(Technique(**row) for row in _load("techniques.json"))
TECHNIQUES_BY_NAME = {name: technique for technique in TECHNIQUES for name in (technique.id, technique.slug)}
