"""What an author writes of a budget. Pure, and light enough for a DAG file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from typing import Literal, get_args

from flora_provider.api import validation
from flora_provider.api.text import short_repr

Period = Literal["day", "week", "month", "total"]

_FORMATS: dict[Period, str] = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "total": "total"}


@dataclass(frozen=True, slots=True)
class FloraBudget:
    """An amount of money that all tasks with a budget of this name and store share.

    Args:
        name: letters, digits, `-` and `_`; a folder of the store.
        limit_usd: what may be spent in each period, in USD. It may be changed at any time.
        period: `day`, `week` (from Monday) or `month`, each in UTC, or `total`, which never begins anew. A run counts
            in the period in which its task first asked for it.
        store: a folder that every worker sees: a path, or an address such as `s3://aws_default@bucket/budgets`.

    Raises:
        FloraInputError: one of them cannot be right.
    """

    name: str
    limit_usd: float
    period: Period = "total"
    store: str | PathLike[str] = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be right."""
        fields = [
            ("name", self.name, _folder_name),
            ("limit_usd", self.limit_usd, _amount),
            ("period", self.period, validation.one_of(*get_args(Period))),
            ("store", self.store, _folder),
        ]
        validation.raise_problems([f"budget: {problem}" for problem in validation.problems(fields)])

    def folder(self, at: float) -> str:
        """The folder inside the store for the period that this time, in unix seconds, is in."""
        return f"{self.name}/{datetime.fromtimestamp(at, UTC).strftime(_FORMATS[self.period])}"


def a_budget(name: str, value: object) -> str | None:
    """A budget; a check as in `api.validation`."""
    return None if isinstance(value, FloraBudget) else f"{name} is {short_repr(value)}: give a FloraBudget"


def _amount(name: str, value: object) -> str | None:
    """An amount of money, as a number: nothing renders a budget, so a text would be computed with."""
    return f"{name} is {short_repr(value)}: give a number" if isinstance(value, str) else validation.usd(name, value)


def _folder_name(name: str, value: object) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,100}", value):
        return None
    return f"{name} is {short_repr(value)}: give up to 100 letters, digits, - and _"


def _folder(name: str, value: object) -> str | None:
    if isinstance(value, PathLike) or (isinstance(value, str) and value.strip()):
        return validation.no_missing_slash(name, value)
    return f"{name} is {short_repr(value)}: give a folder that every worker sees"
