"""FLORA's prebuilt actions: the 40 ids of SDK 0.11.0 with their params (contract, appendix A)."""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import dataclass
from typing import Any, ClassVar

from flora_provider.sandbox.world.runs import Medium, RunType


@dataclass(frozen=True, slots=True)
class Action:
    """A prebuilt action, which takes one medium and makes another."""

    run_type: ClassVar[RunType] = "action"
    id: str
    takes: Medium
    medium: Medium
    params: dict[str, list[str]]  # each with the values it may have; none where any will do
    usd: ClassVar[float] = 0.0

    @property
    def name(self) -> str:
        """Display name."""
        return self.id.removesuffix("-browser").replace("-", " ").capitalize()

    @property
    def base_id(self) -> str:
        """Id without `-browser`: FLORA's older ids for the same."""
        return base_id(self.id)

    @property
    def seconds(self) -> int:
        """Estimated duration: a browser's work is quick, a video's is not."""
        return 8 if "video" in (self.takes, self.medium) else 2

    def check_params(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """Return the problems of `params`: values FLORA lists and these are not; unknown keys are let pass."""
        wrong = [
            name for name, allowed in self.params.items() if allowed and name in params and params[name] not in allowed
        ]
        return [(f"params.{name}", f"Expected one of {', '.join(self.params[name])}.") for name in wrong]

    def to_json(self) -> dict[str, Any]:
        """Return the contract's Action (2.11)."""
        many = self.id.startswith(("stitch", "concat", "side-by-side", "overlay"))
        slot: dict[str, Any] = {"name": "input", "type": self.takes}
        return {
            "action_id": self.id,
            "name": self.name,
            "description": f"Makes {self.medium} from {self.takes}.",
            "language": "javascript" if self.id.endswith("-browser") else "python",
            "charged_cost": 0,
            "inputs": [{**slot, "multiple": True} if many else slot],
            "outputs": [{"name": "output", "type": self.medium}],
            "params": [_param(name, values) for name, values in self.params.items()],
        }


def _param(name: str, values: list[str]) -> dict[str, Any]:
    label = name.replace("_", " ").capitalize()
    if not values:
        return {"key": name, "type": "any", "label": label}
    available = [{"label": value, "value": value} for value in values]
    return {"key": name, "type": "enum", "label": label, "default_value": values[0], "available_values": available}


_LISTED = json.loads(importlib.resources.files(__package__).joinpath("actions.json").read_bytes())
ACTIONS = {action["id"]: Action(**action) for action in _LISTED}


def base_id(action_id: str) -> str:
    """Return an action's id without `-browser`."""
    return action_id.removesuffix("-browser")


def known_action(action_id: str) -> str:
    """Accept the id of an action."""
    if action_id not in ACTIONS:
        raise ValueError(f"Unknown action {action_id!r}.")
    return action_id
