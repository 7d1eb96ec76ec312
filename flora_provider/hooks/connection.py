"""The connection type `flora`: its form, and how a connection becomes settings. Standard library only.

One description serves both ways in which Airflow asks for a form: `get_provider_info` (3.2 and newer) and the hook's
methods (older).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from flora_provider.api.errors import FloraInputError
from flora_provider.api.settings import Settings
from flora_provider.api.text import short_repr
from flora_provider.api.urls import DEFAULT_BASE_URL, split_address
from flora_provider.api.validation import identifier, problems, raise_problems

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


# Lists what a connection's key may use.
LIST_COMMAND = "python -m flora_provider.workspaces"


class ExtraField(NamedTuple):
    """One member of the connection's extra, as the form shows it."""

    label: str
    help: str
    schema: Mapping[str, Any]


EXTRA_FIELDS = {
    "workspace_id": ExtraField(
        "Workspace id",
        f"ws_…, billed by tasks that name none. List yours: {LIST_COMMAND}",
        {"type": ["string", "null"]},
    ),
    "project_id": ExtraField(
        "Project id",
        "prj_…, a project of that workspace, for tasks that name none. Listed by the same.",
        {"type": ["string", "null"]},
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
    # `port` is there although the base URL says it all: the Test button of Airflow 3.3.1 and 3.3.2 sends 0 where none
    # is stored, which its server takes for another host, so it refuses to use the stored key (apache/airflow#73298).
    # A form can give a standard field no default, so its label says it.
    "hidden_fields": ["schema", "login"],
    "relabeling": {"password": "API key", "host": "Base URL", "port": "Port (443; Test wants one)"},
    "placeholders": {
        "password": "sk_live_… (FLORA: workspace settings, API keys)",
        "host": DEFAULT_BASE_URL,
        "port": "443, or the base URL's; Airflow 3.3.2's Test needs one",
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
    "ui-field-behaviour": {name.replace("_", "-"): value for name, value in FIELD_BEHAVIOUR.items()},
}


_NUMBERS = ("timeout", "max_retries", "requests_per_second")
_SETTINGS = (*_NUMBERS, "verify", "proxy")
_NO_OBJECT = "its extra is no JSON object: give one, with members by name"


class Defaults(NamedTuple):
    """Workspace and project of tasks that name none."""

    workspace_id: str | None
    project_id: str | None


def read_connection(connection: Connection, extra: Mapping[str, Any]) -> tuple[Settings, Defaults]:
    """Settings and defaults of a connection. A null or an empty text in the extra counts as absent.

    Raises:
        FloraInputError: something of it cannot be right; names the connection, never shows the key.
    """
    conn_id = connection.conn_id
    with naming(conn_id):
        is_object = isinstance(extra, Mapping) and (extra or _is_json_object(connection.extra))
        raise_problems([] if is_object else [_NO_OBJECT])
    extras = {name: value for name, value in extra.items() if value is not None and value != ""}
    found = problems((name, extras[name], identifier) for name in ("workspace_id", "project_id") if name in extras)
    if not connection.password:
        found += variable_problems(conn_id) or ["it has no API key: put one into its password"]
    options: dict[str, Any] = {name: _read(name, extras[name]) for name in _SETTINGS if name in extras}
    try:
        address = _address(connection.host, connection.port)
    except FloraInputError as error:
        found += error.problems
        address = DEFAULT_BASE_URL
    try:
        settings = Settings(api_key=connection.password or "none", base_url=address, **options)
    except FloraInputError as error:
        found += error.problems
    with naming(conn_id):
        raise_problems(found)
    return settings, Defaults(extras.get("workspace_id"), extras.get("project_id"))


def _is_json_object(extra: str | None) -> bool:
    """Whether this is one; Airflow takes what it cannot read for an empty one, and says so in its log only."""
    try:
        return not extra or isinstance(json.loads(extra), dict)
    except ValueError:
        return False


def _address(host: object, port: object) -> str:
    """The base URL, with the port of the connection's own field where the host names none.

    Raises:
        FloraInputError: the two differ, or the port is none.
    """
    text = host.strip() if isinstance(host, str) else ""
    if port in (None, "", 0, "0"):  # a form without a port sends 0
        return text or DEFAULT_BASE_URL
    if not re.fullmatch("[0-9]{1,5}", str(port).strip()) or not 0 < (number := int(str(port))) < 65536:  # noqa: PLR2004 - TCP
        raise FloraInputError(f"its port is {short_repr(port)}: give a number from 1 to 65535, or none")
    try:
        url = split_address(text or DEFAULT_BASE_URL)
        named = url.port
    except ValueError:
        return text  # is refused for what it is
    default = {"https": 443, "http": 80}.get(url.scheme)
    if named is None and number == default:
        return text or DEFAULT_BASE_URL
    if not text:
        raise FloraInputError(f"its port is {number}, but it names no host: name one, or leave the port empty (or 443)")
    if named not in (None, number):
        raise FloraInputError(f"its host names port {named}, but its port is {number}: leave one of them out")
    return text if named else url._replace(netloc=f"{url.netloc}:{number}").geturl()


_MEMBERS = {
    "conn_type": str, "description": str, "host": str, "login": str, "password": str, "schema": str, "port": int | str,
    "extra": dict | str,
}  # fmt: skip


def variable_problems(conn_id: str) -> list[str]:
    """Why the environment's variable for a connection is none; empty if there is no such variable, or it may be one.

    Airflow reads any text as the URI of some connection, and takes a JSON that it cannot read for no connection at all.
    The value is not shown, for it holds a key.
    """
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    value = os.environ.get(variable, "").strip()
    if not value:
        return []
    try:
        members = json.loads(value)
    except ValueError as error:
        if value.startswith("{"):
            return [f"{variable} is no JSON ({error}): see the README for one that is"]
    else:
        if not isinstance(members, dict):
            return [f"{variable} is no JSON object: give one with conn_type, password, host and extra"]
        odd = sorted(set(members) - set(_MEMBERS))
        odd += [name for name, kind in _MEMBERS.items() if not isinstance(members.get(name), kind | None)]
        odd += ["port"] * (isinstance(port := members.get("port"), str) and not port.strip().isdecimal())
        if odd:
            return [f"{variable} cannot be read for its members {odd}: give conn_type, password, host and extra"]
        # Airflow 3.0 and 3.1 do not read such a connection at all.
        return [_NO_OBJECT] if isinstance(extra := members.get("extra"), str) and not _is_json_object(extra) else []
    try:
        one_line = re.match(r"[A-Za-z][A-Za-z0-9+._-]*://", value) and (urlsplit(value).port or True)
    except ValueError:
        one_line = False
    remedy = "give a JSON object with conn_type, password, host and extra, or a URI that begins with flora://"
    return [] if one_line else [f"{variable} is neither JSON nor a URI: {remedy} (its parts percent-encoded)"]


@contextmanager
def naming(conn_id: str) -> Iterator[None]:
    """Prefix the problems found in this block with the connection's id."""
    try:
        yield
    except FloraInputError as error:
        raise FloraInputError([f"{_prefix(conn_id)}{problem}" for problem in error.problems]) from None


def without_name(error: FloraInputError, conn_id: str) -> FloraInputError:
    """The same problems without the connection's id, for where it is known or says nothing."""
    return FloraInputError([problem.removeprefix(_prefix(conn_id)) for problem in error.problems])


def _prefix(conn_id: str) -> str:
    return f"connection {conn_id!r}: "


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
