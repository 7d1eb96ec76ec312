"""How a connection is read, and that its hook has one client for it."""

import asyncio
import time

import pytest

from flora_provider.api import calls
from flora_provider.api.errors import FloraInputError
from flora_provider.hooks.flora import FloraHook


def test_a_connection_as_uri(flora, monkeypatch):
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


def test_the_environments_key_is_for_scripts_and_never_for_a_connection(flora, monkeypatch):
    monkeypatch.setenv("FLORA_API_KEY", flora.sandbox.api_key)
    monkeypatch.setenv("FLORA_BASE_URL", flora.server.base_url)
    flora.connect(password=None, host=None)

    with pytest.raises(FloraInputError, match="it has no API key"):
        FloraHook().list_workspaces()
    flora.connect(password="sk_live_x", host=None)
    assert FloraHook().settings.base_url == "https://app.flora.ai/api/v1"


def test_a_hook_has_one_client_and_closes_it(flora):
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


def test_a_hook_has_one_client_per_event_loop_and_closes_it_with_its_last_block(flora):
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


def test_what_is_wrong_with_a_connection_names_it(flora):
    flora.connect("other", extra={"verify": "no"})
    with pytest.raises(FloraInputError, match=r"^connection 'other': verify is 'no', which is no readable CA bundle"):
        FloraHook("other").list_workspaces()


def test_an_operator_uses_one_connection_for_a_whole_try(flora, generate, one_task):
    one_task(generate(wait_for_completion=True, deferrable=False)).run()

    assert flora.sandbox.stats()["connections"] == 1


def test_hooks_that_follow_one_another_keep_the_limit_of_their_connection(flora):
    flora.connect(extra={"requests_per_second": 20})
    began = time.monotonic()
    for _ in range(4):
        with FloraHook() as hook:
            hook.list_workspaces()

    assert time.monotonic() - began >= 3 / 20
