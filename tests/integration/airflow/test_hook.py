"""The hook: what the Test button says."""

import json
import os
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from airflow.models.connection import Connection
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from flora_provider.hooks.connection import EXTRA_FIELDS
from flora_provider.hooks.flora import FloraHook
from tests.support.servers import answering, socket_server, unused_port


def said(conn_id="flora_default"):
    works, sentence = FloraHook(conn_id).test_connection()
    assert not works
    return sentence


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

    def shake_hands(connection, _stop):
        context.wrap_socket(connection, server_side=True).close()

    with socket_server(shake_hands) as url:
        yield url.replace("http://127.0.0.1", "https://localhost"), certificate


def test_connection_test_names_the_workspaces_of_the_key_and_their_projects(flora):
    scope = flora.sandbox.workspace_id, flora.sandbox.project_id
    empty = flora.sandbox.state.add_workspace("Empty")
    works, sentence = FloraHook().test_connection()
    assert works
    assert sentence == (
        f"FLORA accepts the key. Workspaces and projects: Sandbox ({scope[0]}): Airflow ({scope[1]}); "
        f"Empty ({empty.workspace_id}): no projects. To list all: python -m flora_provider.workspaces"
    )


def test_connection_test_stays_short_for_an_account_with_hundreds_of_projects(flora):
    flora.connect(extra={"project_id": None})
    for number in range(40):
        flora.sandbox.state.add_workspace(f"Space {number} \x1b[31m\n" + "long " * 100)
    for number in range(300):
        flora.sandbox.state.add_project(flora.sandbox.workspace_id, f"Ferns {number} " + "green " * 100)
    works, sentence = FloraHook().test_connection()
    assert works
    assert len(sentence) < 1000
    assert sentence.isprintable()
    assert ", and more; " in sentence
    assert "; and 38 more. To list all" in sentence
    assert flora.requests == 4


def test_connection_test_says_that_the_key_has_no_workspace(flora):
    flora.connect(extra={"workspace_id": None, "project_id": None})
    flora.sandbox.state.workspaces["own"].clear()
    assert "Workspaces and projects: none. " in FloraHook().test_connection()[1]


def test_connection_test_bears_projects_that_the_key_may_not_list(flora):
    flora.inject(route="/projects", status=403)
    works, sentence = FloraHook().test_connection()
    assert works
    assert f"Sandbox ({flora.sandbox.workspace_id}): projects not listed (403)" in sentence


def test_connection_test_finds_defaults_that_the_key_does_not_see(flora):
    state, workspace_id, project_id = flora.sandbox.state, flora.sandbox.workspace_id, flora.sandbox.project_id
    other = state.add_workspace("Other").workspace_id
    elsewhere = state.add_project(other, "Elsewhere").project_id
    no_workspace = "the key sees no workspace 'ws_x', which the extra's workspace_id names"
    for extra, problem in {
        ("ws_x", None): no_workspace,
        ("ws_x", project_id): f"{no_workspace}; project '{project_id}' of the extra belongs to workspace "
        f"'{workspace_id}', not to 'ws_x'",
        (workspace_id, "prj_x"): "the key sees no project 'prj_x', which the extra's project_id names",
        (None, "prj_x"): "the key sees no project 'prj_x', which the extra's project_id names",
        (workspace_id, elsewhere): f"project '{elsewhere}' of the extra belongs to workspace '{other}', "
        f"not to '{workspace_id}'",
    }.items():
        flora.connect(extra=dict(zip(("workspace_id", "project_id"), extra, strict=True)))
        assert said().startswith(f"FLORA accepts the key, but: {problem}. Workspaces and projects: Sandbox (ws_")


def test_connection_test_names_the_ids_there_are_where_one_is_malformed(flora):
    flora.connect(extra={"workspace_id": "Marketing"})
    assert said().startswith("FLORA accepts the key, but: workspace_id is 'Marketing', but such an id starts")
    assert said().endswith(f"({flora.sandbox.project_id}). To list all: python -m flora_provider.workspaces")
    flora.connect(extra={"workspace_id": "Marketing", "timeout": -1})
    assert said().startswith("workspace_id is 'Marketing'")
    assert "timeout is -1: give a number above zero" in said()


def test_connection_test_takes_the_nulls_of_a_saved_form_as_absent(flora):
    flora.connect(extra=dict.fromkeys(EXTRA_FIELDS))
    assert FloraHook().test_connection()[0]


def test_connection_test_is_repeated_in_the_log(flora, logged):
    works, sentence = FloraHook().test_connection()
    assert works
    assert f"Test of a FLORA connection: {sentence}" in logged()
    flora.connect(password="sk_live_of_somebody_else")
    assert f"Test of a FLORA connection: {said()}" in logged()
    assert "sk_live_of_somebody_else" not in logged()


def test_connection_test_does_not_name_the_connection_that_airflow_makes_up_for_it(flora):
    flora.connect("xqkzvrtp", extra={"max_retries": 21})
    assert said("xqkzvrtp") == "max_retries is 21: give a whole number from 0 to 20"


def test_connection_test_of_airflow_reaches_the_hook(flora):
    flora.connect("other")
    works, sentence = Connection(conn_id="other", **connection_of(flora)).test_connection()
    assert works, sentence


def connection_of(flora):
    parts = json.loads(flora.server.connection_uri)
    return {**parts, "extra": json.dumps(parts["extra"])}


def test_connection_without_a_key_is_reported(flora):
    flora.connect(password=None)
    assert said() == "it has no API key: put one into its password"


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        ({"password": "sk_live_of_somebody_else"},
         ["401 invalid_api_key", "Give a current API key (the connection's password"]),
        ({"host": "https://flora.invalid"}, ["its name is unknown; check the host for typing errors"]),
        ({"host": "localhost", "port": 1},
         ["https://localhost:1/api/v1 cannot be reached: nothing listens there"]),
    ],
    ids=["a wrong key", "a host whose name nobody knows", "a host and a port given apart"],
)  # fmt: skip
def test_connection_that_does_not_work_is_reported(flora, changes, sentences):
    flora.connect(**changes)
    message = said()
    assert [sentence for sentence in sentences if sentence not in message] == []


def test_port_without_a_listener_is_reported(flora):
    port = unused_port()
    flora.connect(host=f"http://127.0.0.1:{port}")
    assert f"http://127.0.0.1:{port}/api/v1 cannot be reached: nothing listens there" in said()


def test_tls_on_a_plain_port_is_reported(flora):
    flora.connect(host=flora.server.url.replace("http:", "https:"))
    assert "it does not speak TLS" in said()
    assert "check https or http in the host" in said()


def test_certificate_that_is_not_trusted_unless_its_bundle_is_named(flora, tmp_path):
    with untrusted_tls(tmp_path) as (url, certificate):
        flora.connect(host=url)
        assert "its TLS certificate is not trusted" in said()
        assert "set `verify` to your CA bundle's path" in said()

        for verify in (str(certificate), False, "false"):
            flora.connect(host=url, extra={"verify": verify})
            assert "broke" in said()  # it was trusted, and then hung up


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE is '/nowhere/ca.pem', which is no readable CA bundle"),
        ("SSL_CERT_DIR", "/nowhere", "SSL_CERT_DIR is '/nowhere', which is no readable CA bundle"),
        ("NO_PROXY", "[::1]", "NO_PROXY holds '[::1]', which is no host"),
        ("HTTPS_PROXY", "gopher://proxy", "HTTPS_PROXY is 'gopher://proxy', which names no proxy that can be used"),
    ],
)
def test_variable_of_the_environment_that_cannot_be_used_is_reported(flora, monkeypatch, variable, value, sentence):
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("SSL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(variable, value)
    flora.connect(host="https://localhost:1")
    assert said().startswith(sentence)


@pytest.mark.parametrize(
    ("answer", "sentences"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>",
         ["the body is HTML", "the host is not FLORA's"]),
        (b'HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{"hello": true}',
         ["FLORA's answer holds no list 'workspaces'"]),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
         ["a redirect, which is not followed with the API key"]),
        (b"220 mail.example.com ESMTP\r\n", ["broke"]),
    ],
    ids=["HTML", "other JSON", "a redirect", "no HTTP"],
)  # fmt: skip
def test_server_that_is_not_floras_is_reported(flora, answer, sentences):
    with answering(answer) as url:
        flora.connect(host=url)
        message = said()
    assert [sentence for sentence in sentences if sentence not in message] == []


def test_proxy_that_does_not_lead_to_flora_is_reported_without_its_password(flora):
    with answering(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n") as url:
        proxy = url.replace("http://", "http://us:hidden@")
        flora.connect(host="https://flora.invalid", extra={"proxy": proxy})
        sentence = said()
    assert "the proxy does not lead to https://flora.invalid" in sentence
    assert "407" in sentence
    assert "hidden" not in sentence


def test_timeout_is_reported(flora):
    flora.connect(extra={"timeout": 0.2})
    flora.inject(route="/workspaces", delay=2)
    assert "did not answer within the timeout" in said()


def test_error_status_is_reported_without_the_key(flora):
    key = flora.sandbox.api_key
    for status in (401, 402, 403, 404, 500, 503, 429):  # the last one pauses the client's next request
        flora.inject(route="/workspaces", status=status, message=f"No, {key}")
        assert f"FLORA answered {status}" in (sentence := said())
        assert key not in sentence
