"""The hook: what the Test button says."""

import json
import os
import socket
import ssl
import threading
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


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE is '/nowhere/ca.pem', which is no readable CA bundle"),
        ("SSL_CERT_DIR", "/nowhere", "SSL_CERT_DIR is '/nowhere', which is no readable CA bundle"),
        ("NO_PROXY", "[::1]", "NO_PROXY holds '[::1]', which is no host"),
        ("HTTPS_PROXY", "gopher://proxy", "HTTPS_PROXY is 'gopher://proxy', which names no proxy that can be used"),
    ],
)
def test_a_variable_of_the_environment_that_cannot_be_used(flora, monkeypatch, variable, value, sentence):
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("SSL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(variable, value)
    flora.connect(host="https://localhost:1")

    assert said().startswith(f"connection 'flora_default': {sentence}")


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
    flora.inject(route="/workspaces", delay=2)

    assert "did not answer within the timeout" in said()


def test_each_way_to_fail_has_its_own_sentence_without_the_key(flora):
    key = flora.sandbox.api_key
    for status in (401, 402, 403, 404, 429, 500, 503):
        flora.inject(route="/workspaces", status=status, message=f"No, {key}")
        assert f"FLORA answered {status}" in (sentence := said())
        assert key not in sentence
