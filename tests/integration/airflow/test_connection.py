"""How a connection is read, and that its hook has one client for it."""

import asyncio
import re
import time

import pytest

from flora_provider.api import calls
from flora_provider.api.errors import FloraInputError
from flora_provider.hooks.flora import FloraHook


def test_connection_as_uri(flora, monkeypatch):
    sandbox, address = flora.sandbox, flora.server.url.removeprefix("http://")
    host = f"http%3A%2F%2F{address.replace(':', '%3A')}%2Fapi%2Fv1"
    uri = (
        f"flora://:{sandbox.api_key}@{host}/?workspace_id={sandbox.workspace_id}&timeout=7.5&max_retries=2&verify=true"
    )
    monkeypatch.setenv("AIRFLOW_CONN_FLORA_DEFAULT", uri)

    hook = FloraHook()

    assert hook.test_connection()[0]
    assert hook.defaults == (sandbox.workspace_id, None)
    assert (hook.settings.timeout, hook.settings.max_retries, hook.settings.verify) == (7.5, 2, True)


def test_environments_key_is_for_scripts_and_never_for_a_connection(flora, monkeypatch):
    monkeypatch.setenv("FLORA_API_KEY", flora.sandbox.api_key)
    monkeypatch.setenv("FLORA_BASE_URL", flora.server.base_url)
    flora.connect(password=None, host=None)

    with pytest.raises(FloraInputError, match="it has no API key"):
        FloraHook().list_workspaces()
    flora.connect(password="sk_live_x", host=None)
    assert FloraHook().settings.base_url == "https://app.flora.ai/api/v1"


def test_hook_has_one_client_and_closes_it(flora):
    with FloraHook() as hook:
        hook.list_workspaces()
        hook.list_workspaces()
        client = hook.client()
        assert client is hook.client() is hook.get_conn()
    assert flora.sandbox.stats()["connections"] == 1

    with pytest.raises(FloraInputError, match="closed"):
        client.send(calls.list_workspaces())
    assert hook.client() is not client
    hook.close()


def test_hook_has_one_client_per_event_loop_and_closes_it_with_its_last_block(flora):
    hook = FloraHook()

    async def ask(seen):
        async with hook.async_client() as client:
            await client.send(calls.list_workspaces())
            seen.append(client)
            return client

    async def main():
        seen = []
        async with hook.async_client() as outer:
            await asyncio.gather(*(ask(seen) for _ in range(3)))
            assert {id(client) for client in seen} == {id(outer)}
            await outer.send(calls.list_workspaces())
        with pytest.raises(FloraInputError, match="closed"):
            await outer.send(calls.list_workspaces())
        assert await ask(seen) is not outer
        return outer

    assert asyncio.run(main()) is not asyncio.run(main())


def test_connection_error_names_the_connection(flora):
    flora.connect("other", extra={"verify": "no"})
    with pytest.raises(FloraInputError, match=r"^connection 'other': verify is 'no', which is no readable CA bundle"):
        FloraHook("other").list_workspaces()


def test_operator_uses_one_connection_for_a_whole_try(flora, generate, one_task):
    one_task(generate(wait_for_completion=True, deferrable=False)).run()
    assert flora.sandbox.stats()["connections"] == 1


def test_hooks_that_follow_one_another_keep_the_limit_of_their_connection(flora):
    flora.connect(extra={"requests_per_second": 20})
    began = time.monotonic()
    for _ in range(4):
        with FloraHook() as hook:
            hook.list_workspaces()
    assert time.monotonic() - began >= 3 / 20


CANONICAL = "https://app.flora.ai/api/v1"


@pytest.mark.parametrize(
    ("host", "number", "base_url"),
    [
        ("http://127.0.0.1", 4711, "http://127.0.0.1:4711/api/v1"),
        ("http://127.0.0.1", "4711", "http://127.0.0.1:4711/api/v1"),
        ("http://127.0.0.1:4711", 4711, "http://127.0.0.1:4711/api/v1"),
        ("http://127.0.0.1:4711/api/v1", "4711", "http://127.0.0.1:4711/api/v1"),
        ("http://127.0.0.1/api/v1/", 4711, "http://127.0.0.1:4711/api/v1"),
        ("http://localhost/proxy/v1", 4711, "http://localhost:4711/proxy/v1"),
        ("http://[::1]", 4711, "http://[::1]:4711/api/v1"),
        ("http://::1", 4711, "http://[::1]:4711/api/v1"),
        ("::1", 4711, "https://[::1]:4711/api/v1"),
        ("[::1]", 4711, "https://[::1]:4711/api/v1"),
        ("[::1]:4711", 4711, "https://[::1]:4711/api/v1"),
        ("localhost", 4711, "https://localhost:4711/api/v1"),
        ("localhost/api/v2", 4711, "https://localhost:4711/api/v2"),
        ("https://flora.example.com", 8443, "https://flora.example.com:8443/api/v1"),
        ("https://flora.example.com:8443", None, "https://flora.example.com:8443/api/v1"),
        ("http://127.0.0.1", 80, "http://127.0.0.1/api/v1"),
        ("http://127.0.0.1", 443, "http://127.0.0.1:443/api/v1"),
        # The form's hint: Airflow's Test button wants a port.
        ("", 443, CANONICAL),
        (None, 443, CANONICAL),
        ("https://app.flora.ai", 443, CANONICAL),
        ("https://app.flora.ai/api/v1", "443", CANONICAL),
        ("app.flora.ai", 443, CANONICAL),
        # A form without a port.
        ("http://127.0.0.1:4711", 0, "http://127.0.0.1:4711/api/v1"),
        ("", 0, CANONICAL),
    ],
)
def test_port_of_its_own_field_is_used_where_the_host_names_none(flora, host, number, base_url):
    flora.connect(password="k", host=host, port=number)
    assert FloraHook().settings.base_url == base_url


@pytest.mark.parametrize(
    ("host", "number", "why"),
    [
        ("http://127.0.0.1:4711", 4712, "its host names port 4711, but its port is 4712"),
        ("http://127.0.0.1:4711/api/v1", "4712", "its host names port 4711, but its port is 4712"),
        ("http://[::1]:4711", 4712, "its host names port 4711, but its port is 4712"),
        ("https://app.flora.ai:443", 8443, "its host names port 443, but its port is 8443"),
        ("", 8443, "its port is 8443, but it names no host"),
        ("http://127.0.0.1", 65536, "its port is 65536: give a number from 1 to 65535"),
        ("http://127.0.0.1", -1, "its port is -1: give a number"),
        ("http://127.0.0.1:port", 4711, "the host is not an address"),
        ("http://[half", 4711, "the host is not an address"),
        ("http://10.0.0.1", 4711, "plain http would send the API key in clear"),
    ],
)
def test_port_that_contradicts_the_host_or_is_none_is_refused(flora, host, number, why):
    flora.connect(password="k", host=host, port=number)
    with pytest.raises(FloraInputError, match=rf"^connection 'flora_default': .*{re.escape(why)}"):
        assert FloraHook().settings


def test_uri_with_a_protocol_reaches_its_port(flora, monkeypatch):
    """Airflow takes `flora://:KEY@http://host:port` apart: the protocol stays with the host, the port does not."""
    address = flora.server.url
    monkeypatch.setenv("AIRFLOW_CONN_FLORA_DEFAULT", f"flora://http://:{flora.sandbox.api_key}@{address[7:]}/")
    assert FloraHook().settings.base_url == f"{address}/api/v1"
    assert FloraHook().test_connection()[0]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("not json", "is neither JSON nor a URI"),
        ("sk_live_secret", "is neither JSON nor a URI"),
        ("flora:secret", "is neither JSON nor a URI"),
        ('{"conn_type": "flora", "password": "secret"', "is no JSON (Expecting ',' delimiter"),
        ("{'conn_type': 'flora', 'password': 'secret'}", "is no JSON (Expecting property name"),
        ('["flora", "secret"]', "is no JSON object"),
        ('"secret"', "is no JSON object"),
        ("5", "is no JSON object"),
        ("null", "is no JSON object"),
        ('{"conn_type": "flora", "passwort": "secret"}', "cannot be read for its members ['passwort']"),
        ('{"conn_type": "flora", "password": ["secret"]}', "cannot be read for its members ['password']"),
        ('{"conn_type": "flora", "password": "secret", "port": "http"}', "cannot be read for its members ['port']"),
        ("flora://:secret@127.0.0.1:port", "is neither JSON nor a URI"),
        ("flora://:secret@[::1", "is neither JSON nor a URI"),
    ],
)
def test_variable_that_is_no_connection_is_reported_without_its_value(monkeypatch, value, why):
    monkeypatch.setenv("AIRFLOW_CONN_FLORA_DEFAULT", value)

    works, sentence = FloraHook().test_connection()
    assert not works
    assert sentence.startswith(f"AIRFLOW_CONN_FLORA_DEFAULT {why}")
    assert "secret" not in sentence

    async def ask():
        async with FloraHook().async_client():
            pass

    with pytest.raises(FloraInputError, match=f"AIRFLOW_CONN_FLORA_DEFAULT {re.escape(why)}"):
        asyncio.run(ask())


def test_connection_that_only_lacks_its_key_says_so(monkeypatch):
    for value in ("{}", '{"conn_type": "flora"}', "flora://", "flora://@127.0.0.1"):
        monkeypatch.setenv("AIRFLOW_CONN_FLORA_DEFAULT", value)
        assert "it has no API key: put one into its password" in FloraHook().test_connection()[1]


def test_extra_that_is_no_json_is_reported_and_not_left_out(flora):
    for extra in ("workspace_id=ws_1", "[1]", "5", '"x"', "{"):
        flora.connect(extra=extra)
        assert "its extra is no JSON object" in FloraHook().test_connection()[1]
