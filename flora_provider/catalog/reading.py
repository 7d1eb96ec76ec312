"""How the catalog's JSON is read: a row that is broken is kept with what it says, and then rules nothing out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flora_provider.api.calls.base import members
from flora_provider.api.models import Action, Model, Page, Technique


def read_models(data: Any) -> Page[Model]:
    """The models of one page of `GET /models`; a row without an id is left out.

    Raises:
        FloraAnswerError: it is no page.
    """
    rows = _rows(members(data, "models"), "model_id", "name", "type")
    meta = data["meta"] if isinstance(data.get("meta"), Mapping) else {}
    items = tuple(Model.read(_with_rows(row, params=("name", "type"))) for row in rows)
    return Page[Model].read({"items": items, "next_cursor": meta.get("next_cursor")})


def read_technique(data: Any) -> Technique:
    """A technique's definition.

    Raises:
        FloraAnswerError: it is none.
    """
    return Technique.read(_with_rows(data, inputs=("id", "name", "type"), outputs=("id", "name", "type")))


def read_action(data: Any) -> Action:
    """An action's definition.

    Raises:
        FloraAnswerError: it is none.
    """
    return Action.read(_with_rows(data, inputs=("name", "type"), params=("key", "type")))


def _with_rows(data: Any, **lists: tuple[str, ...]) -> Any:
    """The same, with its lists of rows made readable; what should be such a list and is none counts as absent."""
    if not isinstance(data, Mapping):
        return data
    kept = {name: value for name, value in data.items() if name not in lists or isinstance(value, list)}
    return kept | {name: _rows(kept[name], *names) for name, names in lists.items() if name in kept}


def _rows(rows: list[Any], identity: str, *texts: str) -> list[dict[str, Any]]:
    """The rows that have an identity; a text that one lacks is empty, and a plain value among options is one."""
    some = [row for row in rows if isinstance(row, Mapping) and isinstance(row.get(identity), str)]
    return [
        {**row}
        | {name: "" for name in texts if not isinstance(row.get(name), str)}
        | {
            name: [it if isinstance(it, Mapping) else {"value": it} for it in row[name]]
            for name in ("options", "available_values")
            if isinstance(row.get(name), list)
        }
        for row in some
    ]
