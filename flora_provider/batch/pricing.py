"""What the rows of a batch cost by FLORA's catalog. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from flora_provider.api.calls.base import canonical_json
from flora_provider.api.http.flow import Flow, FlowContext
from flora_provider.api.models import Model
from flora_provider.batch.plan import PlannedRow
from flora_provider.budget.account import Account
from flora_provider.budget.definition import FloraBudget
from flora_provider.catalog.prices import price_of_model


def price_kind(request: Mapping[str, Any]) -> str:
    """Equal for requests that FLORA is expected to quote the same price: those of equal model and parameters.

    What a seed is, or which picture is worked on, changes no price.
    """
    params = {name: value for name, value in (request.get("params") or {}).items() if _may_cost(name, value)}
    parts = {"type": request["type"], "model": request.get("model"), "params": params}
    return hashlib.sha256(canonical_json(parts)).hexdigest()[:16]


def priced(row: PlannedRow, models: Iterable[Model]) -> PlannedRow:
    """The same row with what decides about its costs."""
    price = price_of_model(models, row.request.get("model"))
    return row.model_copy(update={"price": price, "price_kind": price_kind(row.request)})


def budget_of(row: PlannedRow, budget: FloraBudget) -> Account:
    """The account of one row, at the price in its plan."""

    def price(_: FlowContext) -> Flow[tuple[str, float | None]]:
        return subject_of(row), row.price
        yield  # a flow without effects

    return Account(budget, price)


def subject_of(row: PlannedRow) -> str:
    """What is run, for messages."""
    model = row.request.get("model")
    return f"model {model}" if model else "the workspace's default model"


def _may_cost(name: str, value: object) -> bool:
    return name != "seed" and not (isinstance(value, str) and "://" in value)
