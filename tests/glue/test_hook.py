"""The hook: what the Test button says, how a connection is read, and what the form shows."""

import asyncio
import json
import logging
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest
from airflow.providers.common.compat.sdk import Connection
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from flora_provider import get_provider_info
from flora_provider.api import calls
from flora_provider.api.errors import FloraInputError
from flora_provider.hooks.connection import CONNECTION_TYPE, EXTRA_FIELDS
from flora_provider.hooks.flora import FloraHook

try:
    import airflow.sdk  # noqa: F401

    AIRFLOW_3 = True
except ImportError:
    AIRFLOW_3 = False


def said(conn_id="flora_default"):
    works, sentence = FloraHook(conn_id).test_connection()
    assert not works
    return sentence


@contextmanager
def answering(data):
    """A server that is no FLORA: it gives everybody these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(65536)
                    peer.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def untrusted_tls(folder):
    """A server with a certificate that nobody has signed."""
    key, certificate = ec.generate_private_key(ec.SECP256R1()), folder / "certificate.pem"
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    pem += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate.write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    peer, _ = server.accept()
                    with context.wrap_socket(peer, server_side=True):
                        pass
                except ssl.SSLError:
                    pass
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], certificate
        server.shutdown(socket.SHUT_RDWR)


def test_the_test_button_lists_the_workspaces_of_the_key(flora):
    works, sentence = FloraHook().test_connection()

    assert works
    assert sentence.startswith("FLORA accepts the key. Workspaces: Sandbox (ws_")


def test_airflows_own_test_of_a_connection_reaches_it(flora):
    flora.connect("other")

    works, sentence = Connection(conn_id="other", **connection_of(flora)).test_connection()

    assert works, sentence


def connection_of(flora):
    parts = json.loads(flora.server.connection_uri)
    return {**parts, "extra": json.dumps(parts["extra"])}


def test_no_key(flora):
    flora.connect(password=None)

    assert said() == "connection 'flora_default': it has no API key: put one into its password"


def test_a_wrong_key(flora):
    flora.connect(password="sk_live_of_somebody_else")

    assert "401 invalid_api_key" in said()
    assert "Give a current API key (the connection's password" in said()


def test_a_host_whose_name_nobody_knows(flora):
    flora.connect(host="https://flora.invalid")

    assert "its name is unknown; check the host for typing errors" in said()


def test_a_port_on_which_nothing_listens(flora):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    flora.connect(host=f"http://127.0.0.1:{port}")

    assert f"http://127.0.0.1:{port}/api/v1 cannot be reached: nothing listens there" in said()


def test_a_host_and_a_port_given_apart(flora):
    flora.connect(host="localhost", port=1)

    assert "https://localhost:1/api/v1 cannot be reached: nothing listens there" in said()


def test_tls_on_a_plain_port(flora):
    flora.connect(host=flora.server.url.replace("http:", "https:"))

    assert "it does not speak TLS" in said()
    assert "check https or http in the host" in said()


def test_a_certificate_that_is_not_trusted_unless_its_bundle_is_named(flora, tmp_path):
    with untrusted_tls(tmp_path) as (port, certificate):
        flora.connect(host=f"https://localhost:{port}")
        assert "its TLS certificate is not trusted" in said()
        assert "set `verify` to your CA bundle's path" in said()

        for verify in (str(certificate), False, "false"):
            flora.connect(host=f"https://localhost:{port}", extra={"verify": verify})
            assert "broke" in said()  # it was trusted, and then hung up


def test_a_server_that_is_not_floras(flora):
    page = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>"
    with answering(page) as url:
        flora.connect(host=url)

        assert "the body is HTML" in said()
        assert "the host is not FLORA's" in said()


def test_a_server_that_answers_with_other_json(flora):
    with answering(b'HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{"hello": true}') as url:
        flora.connect(host=url)

        assert "FLORA's answer holds no list 'workspaces'" in said()


def test_a_redirect_is_not_followed_with_the_key(flora):
    with answering(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n") as url:
        flora.connect(host=url)

        assert "a redirect, which is not followed with the API key" in said()


def test_a_server_that_does_not_speak_http(flora):
    with answering(b"220 mail.example.com ESMTP\r\n") as url:
        flora.connect(host=url)

        assert "broke" in said()


def test_no_answer_in_time(flora):
    flora.connect(extra={"timeout": 0.2})
    flora.spoil(route="/workspaces", delay=2)

    assert "did not answer within the timeout" in said()


def test_each_way_to_fail_has_its_own_sentence_without_the_key(flora):
    key = flora.sandbox.api_key
    for status in (401, 402, 403, 404, 429, 500, 503):
        flora.spoil(route="/workspaces", status=status, message=f"No, {key}")
        assert f"FLORA answered {status}" in (sentence := said())
        assert key not in sentence


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


def test_the_provider_info_is_what_this_airflow_accepts():
    import jsonschema

    schema = json.loads((resources.files("airflow") / "provider_info.schema.json").read_text())

    jsonschema.validate(get_provider_info(), schema)


def test_the_form_is_what_this_airflow_documents():
    import jsonschema

    schema = json.loads((resources.files("airflow") / "provider.yaml.schema.json").read_text())

    jsonschema.validate(CONNECTION_TYPE, schema["properties"]["connection-types"]["items"])


def test_airflow_shows_the_form_without_a_warning(caplog, recwarn):
    from airflow.providers_manager import ProvidersManager

    caplog.set_level(logging.WARNING)
    manager = ProvidersManager()
    manager.initialize_providers_hooks()

    assert manager.hooks["flora"].hook_class_name == "flora_provider.hooks.flora.FloraHook"
    shown = {name.removeprefix("extra__flora__") for name in manager.connection_form_widgets if "__flora__" in name}
    assert shown == set(EXTRA_FIELDS)
    behaviour = manager.field_behaviours["flora"]
    assert behaviour["relabeling"] == {"password": "API key", "host": "Base URL"}
    assert "port" not in behaviour["hidden_fields"]
    assert "flora" not in caplog.text.lower()
    assert not [warning for warning in recwarn if "flora" in str(warning.message).lower()]


def test_each_member_of_the_extra_has_a_label_a_help_text_and_may_be_left_empty():
    for field in CONNECTION_TYPE["conn-fields"].values():
        assert field["label"]
        assert field["description"]
        assert "null" in field["schema"]["type"]


def test_the_extra_link_leads_to_the_project(run_dag, flora, generate):
    from airflow.providers.common.compat.sdk import DAG

    with DAG("link", schedule=None) as dag:
        generate()
    (ti,) = run_dag(dag).get_task_instances()

    assert link_of(dag.get_task("picture"), ti) == f"{flora.server.url}/projects/{flora.sandbox.project_id}"


def link_of(task, ti):
    """What the task's page shows: Airflow 3 keeps it as an XCom when the task ends, Airflow 2 asks for it."""
    (link,) = task.operator_extra_links
    if AIRFLOW_3:
        return ti.xcom_pull(task_ids=ti.task_id, key=link.xcom_key)
    from airflow.models.taskinstancekey import TaskInstanceKey

    assert link.get_link(task, ti_key=TaskInstanceKey(ti.dag_id, "another", ti.run_id)) == ""
    return link.get_link(task, ti_key=ti.key)
