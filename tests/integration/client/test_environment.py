"""What the environment says of certificates and proxies, and which variable is to blame when it cannot be used."""

import os
import re
import sys

import certifi
import pytest

from flora_provider.api import calls, errors

READ = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in list(os.environ):
        if name in READ or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def raised(any_client, **settings):
    with pytest.raises(errors.FloraInputError) as caught:
        any_client(**settings)
    return str(caught.value)


@pytest.fixture
def files(tmp_path):
    """Paths that are no CA bundle, by what is wrong with them, and as long as any: a message names them whole."""
    tmp_path /= "certificates of this machine" * 3
    tmp_path.mkdir()
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    empty = tmp_path / "empty.pem"
    empty.touch()
    return {"missing": tmp_path / "missing.pem", "broken": broken, "empty": empty, "folder": tmp_path}


@pytest.mark.parametrize(
    ("variable", "what"),
    [*(("SSL_CERT_FILE", what) for what in ("missing", "broken", "empty", "folder")),
     *(("SSL_CERT_DIR", what) for what in ("missing", "broken"))],
)  # fmt: skip
def test_bundle_of_the_environment_that_cannot_be_read_is_reported(any_client, monkeypatch, files, variable, what):
    monkeypatch.setenv(variable, str(files[what]))
    said = raised(any_client, verify=True)
    assert said.startswith(f"{variable} is '{files[what]}', which is no readable CA bundle: ")
    assert said.endswith("; name one that is there, or unset it")


def test_variable_that_counts_is_named_and_no_other(any_client, monkeypatch, files, tmp_path):
    monkeypatch.setenv("SSL_CERT_DIR", str(files["missing"]))
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    any_client(verify=True)
    monkeypatch.setenv("SSL_CERT_FILE", "")
    assert "SSL_CERT_DIR is" in raised(any_client, verify=True)
    monkeypatch.setenv("SSL_CERT_DIR", f"{files['missing']}{os.pathsep}{tmp_path}")
    any_client(verify=True)


def test_setting_wins_over_the_environment(any_client, monkeypatch, files):
    monkeypatch.setenv("SSL_CERT_FILE", str(files["missing"]))
    any_client(verify=False)
    any_client(verify=certifi.where())
    assert raised(any_client, verify=str(files["broken"])).startswith("verify is '")


def test_plain_http_reads_no_certificates_and_no_proxies(any_client, monkeypatch, files):
    monkeypatch.setenv("SSL_CERT_FILE", str(files["missing"]))
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy")
    monkeypatch.setenv("NO_PROXY", "[::1]")
    any_client(base_url="http://127.0.0.1:1")


def test_file_for_tls_keys_that_cannot_be_written_is_reported(any_client, monkeypatch, tmp_path):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "no" / "keys"))
    for settings in ({"verify": True}, {"verify": certifi.where()}, {"base_url": "http://127.0.0.1:1"}):
        assert raised(any_client, **settings).startswith(
            f"SSLKEYLOGFILE is '{tmp_path}/no/keys', which cannot be written"
        )
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    any_client(verify=True)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "Https_Proxy"])
@pytest.mark.parametrize(
    "proxy",
    [
        "gopher://proxy", "http://[::1", "socks5://proxy.example.com", "http://", "http:///x", "//", ":1",
        "http://pro xy", "http://proxy:99999", "http://proxy:x", "http://x\n:1", "file:///x",
    ],
)  # fmt: skip
def test_proxy_of_the_environment_that_cannot_be_used_is_reported_by_its_variable(
    any_client, monkeypatch, variable, proxy
):
    monkeypatch.setenv(variable, proxy)
    assert raised(any_client).startswith(
        f"{variable} is {proxy!r}, which names no proxy that can be used: give http://"
    )


@pytest.mark.parametrize(
    "proxy", ["socks5://me:secret@proxy.example.com", "gopher://me:secret@p", "http://u:secret@[::1"]
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY"])
def test_password_of_a_proxy_is_not_shown(any_client, monkeypatch, variable, proxy):
    monkeypatch.setenv(variable, proxy)
    said = raised(any_client)
    assert said.startswith(f"{variable} (not shown, for it may hold a password) names no proxy that can be used")
    assert "secret" not in said


def test_wrong_proxy_variable_is_named_among_right_ones(any_client, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("ALL_PROXY", "gopher://proxy")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1,::1,.example.com")
    assert raised(any_client).startswith("ALL_PROXY is 'gopher://proxy'")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:3128")
    any_client()
    monkeypatch.setenv("https_proxy", "gopher://small")
    assert raised(any_client).startswith("https_proxy is 'gopher://small'")


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("entry", ["[::1]", "[::1]:80", "[fe80::1%eth0]", "example.com:abc", "http://x:port", "\udcff"])
def test_no_proxy_entry_that_is_no_host_is_reported_and_no_proxy_is(any_client, monkeypatch, variable, entry):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv(variable, f"localhost, {entry},example.com")
    assert raised(any_client) == (
        f"{variable} holds {entry!r}, which is no host: give names and addresses, without brackets"
    )


def test_no_proxy_for_all_reads_no_proxy(any_client, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy")
    monkeypatch.setenv("NO_PROXY", "localhost,*")
    any_client()


def test_setting_is_named_where_it_is_wrong_and_the_environment_is_not_read(any_client, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy")
    monkeypatch.setenv("NO_PROXY", "[::1]")
    any_client(proxy="http://127.0.0.1:3128")
    assert re.match(r"proxy is .* names no proxy that can be used", raised(any_client, proxy="http://\u2024:1"))


def test_proxy_that_is_right_is_asked(any_client, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "127.0.0.1:1")
    with pytest.raises(errors.FloraConnectionError, match="check the host, and the proxy"):
        any_client(max_retries=0).send(calls.get_run("run_1"))


@pytest.mark.parametrize(
    "settings", [{}, {"proxy": "http://127.0.0.1:3128"}, {"base_url": "http://127.0.0.1/api/v1"}], ids=str
)
def test_package_that_cannot_be_imported_is_no_fault_of_a_proxy(any_client, monkeypatch, settings):
    """As where the user of a worker may not read a part of the environment that Python is in."""
    any_client()
    monkeypatch.setitem(sys.modules, "httpcore", None)
    with pytest.raises(ImportError, match="httpcore"):
        any_client(**settings)
