"""What a run is to cost by FLORA's catalog, before FLORA quotes a price, which it does once the run is started. Pure.

The catalog's price of a model is that of its default params: several images, or a longer video, cost more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from flora_provider.api.errors import FloraError
from flora_provider.api.models import Model

T = TypeVar("T")

_CREDITS_PER_USD = 1000


def price_of_model(models: Iterable[Model], model_id: str | None) -> float | None:
    """USD for one run of a model; None if the catalog does not say.

    FLORA says 0 of models that it bills nevertheless (measured), so 0 says nothing.
    """
    estimate = next((model.estimated_credits for model in models if model.model_id == model_id), None)
    return estimate / _CREDITS_PER_USD if estimate else None


def require(definition: T | None, subject: str) -> T:
    """What the catalog says, which a price is read from.

    Raises:
        FloraError: the catalog could not be had; a retry asks again.
    """
    if definition is None:
        raise FloraError(
            f"max_cost_usd is set, and FLORA's catalog, which has the price of {subject}, could not be read: nothing "
            "was started"
        )
    return definition


def price_problems(price: float | None, limit: float, *, subject: str) -> list[str]:
    """Why a run may not be started under this limit, both in USD; nothing if it may.

    Args:
        price: None if it is not known, and so might pass any limit.
        limit: `max_cost_usd`.
        subject: what is to be run, such as `model t2i-flux-2-pro`.
    """
    if price is None:
        found = f"FLORA's catalog has no price for {subject}"
        remedy = "Choose another, or leave max_cost_usd out"
    elif price > limit:
        found = f"{subject} costs about {price:g} USD by FLORA's catalog"
        remedy = "Raise max_cost_usd, or choose another"
    else:
        return []
    return [f"max_cost_usd is {limit:g}, but {found}: nothing was started. {remedy}"]
