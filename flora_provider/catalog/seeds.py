"""Which parameter of a model is its seed, by FLORA's catalog, and which seed another run is to have. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from flora_provider.api.errors import FloraError
from flora_provider.api.http.flow import Flow, FlowContext
from flora_provider.api.models import Model, ModelParam
from flora_provider.catalog.lookup import checked, model_lookup
from flora_provider.catalog.messages import safe_repr
from flora_provider.catalog.param_checks import bound

_LARGEST = 2**31 - 1  # where the catalog names no bound; a provider that reads 32 bits takes it
_LARGEST_EXACT = 2**53 - 1  # as a JSON number that every reader takes as it is
_MAX_EXAMPLES = 3  # models that a message names


@dataclass(frozen=True, slots=True)
class SeedParam:
    """The seed of a model.

    Attributes:
        name: of the parameter.
        low, high: the least and the greatest seed.
    """

    name: str
    low: int
    high: int

    def derive(self, key: str, used: Collection[object]) -> int | None:
        """The seed of a key: always the same, and none of the used ones; None if there is no other."""
        count = self.high - self.low + 1
        first = int.from_bytes(hashlib.sha256(key.encode()).digest()) % count
        candidates = (self.low + (first + step) % count for step in range(min(count, len(used) + 1)))
        return next((seed for seed in candidates if seed not in used), None)


def find_seed(
    model_id: str | None, context: FlowContext, account: tuple[str, str]
) -> Flow[tuple[SeedParam | None, list[str]]]:
    """The seed of a model, and no problem; or None, and why it has none.

    Args:
        model_id: None for the workspace's default, which is not known.
        context: the client's.
        account: the connection, as `lookup.account_of` names it.

    Raises:
        FloraError: the catalog could not be had; a retry asks again.
    """
    if model_id is None:
        problem = "on_moderated is 'new_seed', which needs the seed of a model, and none is named: give model an id"
        return None, [problem]

    def judge(models: tuple[Model, ...] | None) -> tuple[SeedParam | None, list[str]]:
        if models is None:
            raise FloraError(
                f"on_moderated is 'new_seed', and FLORA's catalog, which has the seed of model {model_id}, could not "
                "be read: nothing was started"
            )
        seed = seed_of_model(models, model_id)
        return seed, [] if seed else [_no_seed(models, model_id)]

    return (yield from checked(model_lookup(), judge, context, account))


def seed_of_model(models: Iterable[Model], model_id: str) -> SeedParam | None:
    """The seed of a model; None if the catalog shows none."""
    params = [param for model in models if model.model_id == model_id for param in model.params if _is_seed(param)]
    return SeedParam(params[0].name, *_range(params[0])) if params else None


def _is_seed(param: ModelParam) -> bool:
    return param.type == "seed" or (param.name == "seed" and param.type in ("int", "int?") and not param.options)


def _range(param: ModelParam) -> tuple[int, int]:
    """The seeds to choose from. A negative one, which may stand for a random one, only where all are."""
    least, most = bound(param.min), bound(param.max)
    high = _LARGEST if most is None else math.floor(min(most, _LARGEST_EXACT))
    low = -_LARGEST_EXACT if least is None else math.ceil(max(least, -_LARGEST_EXACT))
    if high >= 0:
        low = max(low, 0)
    if most is None:
        high = max(high, min(low + _LARGEST, _LARGEST_EXACT))
    return (low, high) if low <= high else (0, _LARGEST)  # a catalog that contradicts itself rules nothing out


def _no_seed(models: Iterable[Model], model_id: str) -> str:
    having = dict.fromkeys(model.model_id for model in models if any(map(_is_seed, model.params)))
    examples = ", ".join(list(having)[:_MAX_EXAMPLES])
    such = f", such as {examples}" if examples else ""
    return (
        f"on_moderated is 'new_seed', but FLORA's catalog shows no seed of model {safe_repr(model_id)}: choose one "
        f"that has a seed{such}, or leave on_moderated out"
    )
