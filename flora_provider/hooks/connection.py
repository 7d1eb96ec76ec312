"""The connection type `flora`: its form, and how a connection becomes settings. Standard library only.

One description serves both ways in which Airflow asks for a form: `get_provider_info` (3.2 and newer) and the hook's
methods (older).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from flora_provider.api.checks import identifier, problems, refuse
from flora_provider.api.errors import FloraInputError
from flora_provider.api.settings import DEFAULT_BASE_URL, Settings

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


class ExtraField(NamedTuple):
    """One member of the connection's extra, as the form shows it."""

    label: str
    help: str
    schema: Mapping[str, Any]


EXTRA_FIELDS = {
    "workspace_id": ExtraField(
        "Workspace id",
        "ws_…: the workspace that is billed, for tasks that name none. The Test button lists yours.",
        {"type": ["string", "null"]},
    ),
    "project_id": ExtraField(
        "Project id", "prj_…: a project of that workspace, for tasks that name none.", {"type": ["string", "null"]}
    ),
    "timeout": ExtraField(
        "Timeout (seconds)",
        "How long one attempt of a request may take. Default 60.",
        {"type": ["number", "null"], "minimum": 1},
    ),
    "max_retries": ExtraField(
        "Retries of a request",
        "How often one request is sent again after a failure that may pass. Default 4.",
        {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
    ),
    "requests_per_second": ExtraField(
        "Requests per second",
        "The most that one process sends over this connection. Empty for no limit of ours.",
        {"type": ["number", "null"], "minimum": 0.01},
    ),
    "verify": ExtraField(
        "Verify TLS",
        "true, false, or the path of a CA bundle. Default true.",
        {"type": ["string", "null"]},
    ),
    "proxy": ExtraField(
        "HTTP proxy",
        "Such as http://proxy.example.com:3128. Default: HTTPS_PROXY.",
        {"type": ["string", "null"]},
    ),
}

FIELD_BEHAVIOUR: dict[str, Any] = {
    # `port` is shown although the base URL says it all: Airflow 3.3's Test button takes an empty port for another port
    # than the stored one, and refuses to test with the stored key. With any port in both places it works.
    "hidden_fields": ["schema", "login"],
    "relabeling": {"password": "API key", "host": "Base URL"},
    "placeholders": {
        "password": "sk_live_… (FLORA: workspace settings, API keys)",
        "host": DEFAULT_BASE_URL,
        "port": "443 (Airflow 3.3's Test button wants one)",
    },
}

CONNECTION_TYPE = {
    "connection-type": "flora",
    "hook-class-name": "flora_provider.hooks.flora.FloraHook",
    "hook-name": "FLORA",
    "conn-fields": {
        name: {"label": field.label, "description": field.help, "schema": dict(field.schema)}
        for name, field in EXTRA_FIELDS.items()
    },
    "ui-field-behaviour": {
        "hidden-fields": FIELD_BEHAVIOUR["hidden_fields"],
        "relabeling": FIELD_BEHAVIOUR["relabeling"],
        "placeholders": FIELD_BEHAVIOUR["placeholders"],
    },
}


_NUMBERS = ("timeout", "max_retries", "requests_per_second")
_SETTINGS = (*_NUMBERS, "verify", "proxy")


class Defaults(NamedTuple):
    """What tasks that name no workspace or project get."""

    workspace_id: str | None
    project_id: str | None


def read_connection(connection: Connection, extra: Mapping[str, Any]) -> tuple[Settings, Defaults]:
    """Settings and defaults of a connection. A null or an empty text in the extra counts as absent.

    Raises:
        FloraInputError: something of it cannot be right; names the connection, never shows the key.
    """
    conn_id = connection.conn_id
    with naming(conn_id):
        refuse([] if isinstance(extra, Mapping) else ["its extra is no JSON object: give one, with members by name"])
    given = {name: value for name, value in extra.items() if value is not None and value != ""}
    found = problems((name, given[name], identifier) for name in ("workspace_id", "project_id") if name in given)
    if not connection.password:
        found.append("it has no API key: put one into its password")
    options: dict[str, Any] = {name: _read(name, given[name]) for name in _SETTINGS if name in given}
    host = (connection.host or "").strip()
    if host and connection.port and "://" not in host and ":" not in host:
        host = f"{host}:{connection.port}"
    try:
        settings = Settings(api_key=connection.password or "none", base_url=host or DEFAULT_BASE_URL, **options)
    except FloraInputError as error:
        found += error.problems
    with naming(conn_id):
        refuse(found)
    return settings, Defaults(given.get("workspace_id"), given.get("project_id"))


@contextmanager
def naming(conn_id: str) -> Iterator[None]:
    """Name the connection in what is wrong with it."""
    try:
        yield
    except FloraInputError as error:
        raise FloraInputError([f"connection {conn_id!r}: {problem}" for problem in error.problems]) from None


def _read(name: str, value: object) -> object:
    """Forms and URIs give everything as text; what cannot be read stays as it is, and is refused with its name."""
    if not isinstance(value, str):
        return value
    if name == "verify":
        return {"true": True, "false": False}.get(value.lower(), value)
    if name in _NUMBERS:
        with suppress(ValueError):
            return int(value)
        with suppress(ValueError):
            return float(value)
    return value
