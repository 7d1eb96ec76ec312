"""What the parameters must be that every operator has which starts a run."""

from __future__ import annotations

from collections.abc import Mapping

from flora_provider.api import validation
from flora_provider.budget.definition import a_budget
from flora_provider.tasks.parse_checks import storage_path

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
