"""The hook: what the Test button says."""

import json
import os
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import Connection
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

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


def test_connection_test_lists_the_workspaces_of_the_key(flora):
    works, sentence = FloraHook().test_connection()
    assert works
    assert sentence.startswith("FLORA accepts the key. Workspaces: Sandbox (ws_")


def test_connection_test_of_airflow_reaches_the_hook(flora):
    flora.connect("other")
    works, sentence = Connection(conn_id="other", **connection_of(flora)).test_connection()
    assert works, sentence


def connection_of(flora):
    parts = json.loads(flora.server.connection_uri)
    return {**parts, "extra": json.dumps(parts["extra"])}


def test_connection_without_a_key_is_reported(flora):
    flora.connect(password=None)
    assert said() == "connection 'flora_default': it has no API key: put one into its password"


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
    assert said().startswith(f"connection 'flora_default': {sentence}")


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
