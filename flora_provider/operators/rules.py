"""What the parameters must be of operators that start runs, one or many."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

from flora_provider.api import validation
from flora_provider.api.text import short_repr
from flora_provider.budget.definition import a_budget
from flora_provider.tasks.parse_checks import is_several, storage_path

RULES: Mapping[str, validation.Check] = {
    "flora_conn_id": validation.non_empty_text,
    "wait_for_completion": validation.boolean,
    "save_outputs_to": storage_path,
    "reuse_from": storage_path,
    "reuse_max_age": validation.positive,
    "deferrable": validation.boolean,
    "idempotency_key": validation.idempotency_key,
    "max_cost_usd": validation.usd,
    "budget": a_budget,
    "poll_interval": validation.positive,
    "timeout": validation.positive,
    "on_unknown_outcome": validation.one_of("fail", "adopt", "submit_again"),
    "on_changed_request": validation.one_of("fail", "adopt", "submit_again"),
    "on_clear": validation.one_of("new_run", "reuse"),
}

_MOST_IN_FLIGHT = 1000


def _requests(name: str, value: object) -> str | None:
    """A list of rows, or the path of a file that holds them."""
    if is_several(value) or (isinstance(value, str | PathLike) and storage_path(name, value) is None):
        return None
    return f"{name} is {short_repr(value)}: give a list of dicts, or the path of a .csv, .jsonl or .parquet file"


def _in_flight(name: str, value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_IN_FLIGHT:
        return None
    return f"{name} is {short_repr(value)}: give a whole number from 1 to {_MOST_IN_FLIGHT}"


def _min_success(name: str, value: object) -> str | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if is_count or (isinstance(value, float) and 0 <= value <= 1):
        return None
    return f"{name} is {short_repr(value)}: give a whole number of rows, or a part of all from 0.0 to 1.0"


BATCH_RULES: Mapping[str, validation.Check] = {
    **{
        name: rule
        for name, rule in RULES.items()
        if name not in {"wait_for_completion", "idempotency_key", "on_changed_request"}
    },
    "requests": _requests,
    "defaults": validation.mapping,
    "max_in_flight": _in_flight,
    "min_success": _min_success,
    "on_budget": validation.one_of("fail", "partial"),
    "validate_params": validation.boolean,
}
