"""Both clients, doing the same: what leaves them, what they make of failures, what bounds them."""

import logging
import socket
import ssl

import httpx
import pytest

from flora_provider.api import calls, errors
from flora_provider.api.client import AsyncFloraClient, FloraClient
from flora_provider.api.http.flow import Request, Send, Sleep
from flora_provider.api.settings import Settings

RUN = {"run_id": "run_1", "status": "running"}


def answering(**options):
    return lambda _request: httpx.Response(options.pop("status", 200), **options)


def raising(error):
    def flora(_request):
        raise error

    return flora


def test_stop_iteration_of_a_transport_does_not_end_the_flow(any_client):
    with pytest.raises((StopIteration, RuntimeError)):
        any_client(raising(StopIteration())).send(calls.get_run("run_1"))


def test_certificates_are_checked_against_the_users_bundle(tmp_path):
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for path in (tmp_path / "missing.pem", broken):
        with pytest.raises(errors.FloraInputError, match=r"verify is '.*pem', which is no readable CA bundle: "):
            FloraClient(api_key="k", verify=str(path))
    bundle = ssl.get_default_verify_paths()
    for path in (str(tmp_path), bundle.cafile):
        if path:
            FloraClient(api_key="k", verify=path).close()
    FloraClient(api_key="k", verify=False, proxy="http://127.0.0.1:3128").close()


@pytest.mark.parametrize("kind", [FloraClient, AsyncFloraClient])
def test_settings_are_given_whole_or_as_keywords(kind, monkeypatch):
    monkeypatch.delenv("FLORA_API_KEY", raising=False)
    settings = Settings(api_key="k", timeout=5)
    assert kind(settings).settings is settings
    assert kind(api_key="k", max_retries=1).retry.max_retries == 1
    with pytest.raises(TypeError, match="settings or keywords, not both"):
        kind(settings, timeout=3)
    with pytest.raises(errors.FloraInputError, match="FLORA_API_KEY is not set"):
        kind(timeout=3)
    monkeypatch.setenv("FLORA_API_KEY", " from-environment ")
    monkeypatch.setenv("FLORA_BASE_URL", "http://127.0.0.1:8000")
    assert kind(timeout=3).settings == Settings(
        api_key="from-environment", base_url="http://127.0.0.1:8000/api/v1", timeout=3
    )


def test_flow_gets_its_results_and_its_failures_and_is_closed(any_client):
    trace = []

    def flow():
        try:
            response = yield Send(Request(method="GET", url="/a"))
            trace.append(response.status)
            yield Sleep(0)
            try:
                yield Send(Request(method="GET", url="/b"))
            except errors.FloraConnectionError as failure:
                trace.append(str(failure))
            return "done"
        finally:
            trace.append("closed")

    def flora(request):
        if request.url.path.endswith("/b"):
            raise httpx.ReadError("")
        return httpx.Response(204)

    assert any_client(flora).run(flow()) == "done"
    assert trace == [204, "the connection to https://app.flora.ai/api/v1 broke: ReadError", "closed"]


def test_flow_is_closed_when_something_else_goes_wrong(any_client):
    closed = []

    def flow():
        try:
            yield Send(Request(method="GET", url="/a"))
        finally:
            closed.append(True)

    with pytest.raises(ZeroDivisionError):
        any_client(raising(ZeroDivisionError())).run(flow())
    assert closed == [True]


def test_client_retries_by_itself(any_client):
    responses = iter([httpx.Response(500), httpx.Response(200, json=RUN)])
    assert any_client(lambda _request: next(responses)).send(calls.get_run("run_1")).run_id == "run_1"
    with pytest.raises(errors.FloraServerError):
        any_client(answering(status=500), max_retries=0).send(calls.get_run("run_1"))


FLORA = "https://app.flora.ai/api/v1"


def caused(error, cause):
    error.__cause__ = cause
    return error


def untrusted():
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


RAISED = [
    (httpx.ConnectTimeout(""), False, f"{FLORA} did not accept a connection in time"),
    (httpx.PoolTimeout(""), False, f"{FLORA} did not accept a connection in time"),
    (httpx.ReadTimeout(""), True, f"{FLORA} did not answer within the timeout"),
    (httpx.WriteTimeout(""), True, f"{FLORA} did not answer within the timeout"),
    (httpx.RemoteProtocolError("odd"), True, f"the connection to {FLORA} broke: RemoteProtocolError"),
    (httpx.WriteError(""), True, f"the connection to {FLORA} broke: WriteError"),
    (httpx.ConnectError("[Errno 111] Connection refused"), False, (
     f"{FLORA} cannot be reached: nothing listens there, or no network leads to it; check the host, and the proxy if "
     "you need one")),
    (httpx.ProxyError("407 Proxy Authentication\nRequired"), False,
     f"the proxy does not lead to {FLORA}: it said 407 Proxy Authentication Required"),
    (caused(httpx.ConnectError(""), socket.gaierror(-2, "Name or service not known")), False, (
     f"{FLORA} cannot be reached: its name is unknown; check the host for typing errors, and that this machine has a "
     "network")),
    (caused(httpx.ConnectError(""), untrusted()), False, (
     f"{FLORA} cannot be reached: its TLS certificate is not trusted (self-signed certificate); set `verify` to your "
     "CA bundle's path if a company proxy signs it")),
    (caused(httpx.ConnectError(""), ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")), False,
     f"{FLORA} cannot be reached: it does not speak TLS (handshake failed); check https or http in the host"),
]  # fmt: skip


@pytest.mark.parametrize(("failure", "ambiguous", "message"), RAISED, ids=[str(n) for n in range(len(RAISED))])
def test_failure_of_httpx_is_reported_in_a_sentence(any_client, failure, ambiguous, message):
    with pytest.raises(errors.FloraConnectionError) as caught:
        any_client(raising(failure), max_retries=0).send(calls.get_run("run_1"))
    assert str(caught.value) == message
    assert caught.value.ambiguous == ambiguous
    assert isinstance(caught.value, errors.FloraTimeoutError) == isinstance(failure, httpx.TimeoutException)


def test_storage_is_named_by_its_host(any_client):
    def store():
        yield Send(Request(method="PUT", url="https://storage.example.com/a?signature=secret"))

    with pytest.raises(
        errors.FloraConnectionError, match=r"^the connection to storage\.example\.com broke: ReadError$"
    ):
        any_client(raising(httpx.ReadError(""))).run(store())


def test_cookie_is_not_sent_with_the_next_request(any_client):
    seen = []

    def flora(request):
        seen.append(request.headers.get("cookie"))
        return httpx.Response(200, json=RUN, headers={"set-cookie": "session=1; Path=/"})

    client = any_client(flora)
    client.send_all([calls.get_run("run_1")] * 2)
    assert seen == [None, None]


# What must never be seen.


def test_texts_and_logs_hold_no_key_query_or_signed_address(any_client, api_key, caplog):
    caplog.set_level(logging.DEBUG)
    signed = "https://storage.example.com/a?signature=secret"

    def flora(request):
        if request.url.host == "storage.example.com":
            raise httpx.ReadError("")
        said = {"error": {"code": "unauthorized", "message": f"Bearer {api_key} is not known."}}
        return httpx.Response(401, json=said)

    client = any_client(flora, max_retries=1)
    call = calls.list_techniques(query="secret", cursor="secret")
    post = calls.generate(
        type="text", prompt="secret", workspace_id="ws_1", project_id="prj_1", callback_url="https://e.com/?t=secret"
    )
    objects = [call, post, client.client.settings, Send(call)]
    request = Request(method="PUT", url=signed, body=b"secret", headers=(("x", "secret"),))

    def store():
        yield Send(request)

    for fail in (lambda: client.send(call), lambda: client.run(store())):
        with pytest.raises(errors.FloraError) as caught:
            fail()
        objects += [caught.value, caught.value.args, caught.value.__cause__]
    for text in [*map(repr, [*objects, request]), *map(str, objects), *caplog.messages]:
        assert "secret" not in text
        assert api_key not in text
    assert "Bearer (the API key) is not known" in str(objects)


def test_httpx_logs_none_of_our_addresses_and_all_of_others(any_client, caplog):
    caplog.set_level(logging.DEBUG, logger="httpx")
    any_client(answering(json=RUN)).send(calls.get_run("run_1"))
    assert caplog.messages == []
    with httpx.Client(transport=httpx.MockTransport(answering())) as other:
        other.get("https://example.com/theirs")
    assert "https://example.com/theirs" in caplog.text


def test_client_that_was_closed_says_so(any_client):
    client = any_client(answering(json=RUN))
    client.close()
    with pytest.raises(errors.FloraInputError, match="closed"):
        client.send(calls.get_run("run_1"))


def test_items_refuses_a_call_without_pages(any_client):
    with pytest.raises(errors.FloraInputError, match="/workspaces does not come in pages"):
        any_client(answering(json={"workspaces": []})).items(calls.list_workspaces())


def test_client_refuses_what_is_neither_call_nor_flow(any_client):
    client = any_client(answering(json=RUN))
    for odd in (None, 5, b"x", "run_1", [], calls.get_run, object()):
        for send in (client.send, client.items):
            with pytest.raises(errors.FloraInputError, match="is no call: make one with a function"):
                send(odd)
        with pytest.raises(errors.FloraInputError, match="is no flow: give what a function such as wait_for_run"):
            client.run(odd)
