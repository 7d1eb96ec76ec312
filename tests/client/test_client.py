"""Both clients, doing the same: what leaves them, what they make of failures, what bounds them."""

import gzip
import itertools
import json
import logging
import socket
import ssl
import threading
import time
import tracemalloc
from contextlib import contextmanager, suppress

import httpx
import pytest

from flora_provider.api import calls, errors
from flora_provider.api.arriving import MAX_ANSWER, MAX_ERROR
from flora_provider.api.client import AsyncFloraClient, FloraClient
from flora_provider.api.plan import Request, Send, Sleep
from flora_provider.api.settings import Settings

RUN = {"run_id": "run_1", "status": "running"}


def answering(**options):
    return lambda _request: httpx.Response(options.pop("status", 200), **options)


def raising(error):
    def flora(_request):
        raise error

    return flora


def test_a_stop_that_is_not_the_plans_is_not_its_end(colour):
    with pytest.raises((StopIteration, RuntimeError)):
        colour(raising(StopIteration())).send(calls.get_run("run_1"))


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


def test_a_plan_gets_its_results_and_its_failures_and_is_closed(colour):
    trace = []

    def plan():
        try:
            response = yield Send(Request(method="GET", target="/a"))
            trace.append(response.status)
            yield Sleep(0)
            try:
                yield Send(Request(method="GET", target="/b"))
            except errors.FloraConnectionError as failure:
                trace.append(str(failure))
            return "done"
        finally:
            trace.append("closed")

    def flora(request):
        if request.url.path.endswith("/b"):
            raise httpx.ReadError("")
        return httpx.Response(204)

    assert colour(flora).perform(plan()) == "done"
    assert trace == [204, "the connection to https://app.flora.ai/api/v1 broke: ReadError", "closed"]


def test_a_plan_is_closed_when_something_else_goes_wrong(colour):
    closed = []

    def plan():
        try:
            yield Send(Request(method="GET", target="/a"))
        finally:
            closed.append(True)

    with pytest.raises(ZeroDivisionError):
        colour(raising(ZeroDivisionError())).perform(plan())
    assert closed == [True]


def test_the_client_retries_by_itself(colour):
    answers = iter([httpx.Response(500), httpx.Response(200, json=RUN)])
    assert colour(lambda _request: next(answers)).send(calls.get_run("run_1")).run_id == "run_1"
    with pytest.raises(errors.FloraServerError):
        colour(answering(status=500), max_retries=0).send(calls.get_run("run_1"))


UNREACHABLE = "https://app.flora.ai/api/v1 cannot be reached: "


def caused(error, cause):
    error.__cause__ = cause
    return error


def untrusted():
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


FAILURES = [
    (httpx.ConnectTimeout(""), False, "https://app.flora.ai/api/v1 did not accept a connection in time"),
    (httpx.PoolTimeout(""), False, "https://app.flora.ai/api/v1 did not accept a connection in time"),
    (httpx.ReadTimeout(""), True, "https://app.flora.ai/api/v1 did not answer within the timeout"),
    (httpx.WriteTimeout(""), True, "https://app.flora.ai/api/v1 did not answer within the timeout"),
    (
        httpx.RemoteProtocolError("odd"),
        True,
        "the connection to https://app.flora.ai/api/v1 broke: RemoteProtocolError",
    ),
    (httpx.WriteError(""), True, "the connection to https://app.flora.ai/api/v1 broke: WriteError"),
    (
        httpx.ConnectError("[Errno 111] Connection refused"),
        False,
        UNREACHABLE + "nothing listens there, or no network leads to it; check the host, and the proxy if you need one",
    ),
    (
        httpx.ProxyError("407"),
        False,
        UNREACHABLE + "nothing listens there, or no network leads to it; check the host, and the proxy if you need one",
    ),
    (
        caused(httpx.ConnectError(""), socket.gaierror(-2, "Name or service not known")),
        False,
        UNREACHABLE + "its name is unknown; check the host for typing errors, and that this machine has a network",
    ),
    (
        caused(httpx.ConnectError(""), untrusted()),
        False,
        UNREACHABLE + "its TLS certificate is not trusted (self-signed certificate); set `verify` to your CA bundle's "
        "path if a company proxy signs it",
    ),
    (
        caused(httpx.ConnectError(""), ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")),
        False,
        UNREACHABLE + "it does not speak TLS (handshake failed); check https or http in the host",
    ),
]


@pytest.mark.parametrize(("failure", "ambiguous", "message"), FAILURES, ids=[str(n) for n in range(len(FAILURES))])
def test_what_breaks_below_is_told_in_a_sentence(colour, failure, ambiguous, message):
    with pytest.raises(errors.FloraConnectionError) as caught:
        colour(raising(failure), max_retries=0).send(calls.get_run("run_1"))
    assert str(caught.value) == message
    assert caught.value.ambiguous == ambiguous
    assert isinstance(caught.value, errors.FloraTimeoutError) == isinstance(failure, httpx.TimeoutException)


def test_storage_is_named_by_its_host(colour):
    def store():
        yield Send(Request(method="PUT", target="https://storage.example.com/a?signature=secret"))

    with pytest.raises(
        errors.FloraConnectionError, match=r"^the connection to storage\.example\.com broke: ReadError$"
    ):
        colour(raising(httpx.ReadError(""))).perform(store())


def test_an_error_of_ten_megabytes_is_read_in_part(colour, stream):
    page = b"<html>" + b"x" * 10_000_000
    taken = []

    class Counted(type(stream(b""))):
        def __iter__(self):
            for piece in super().__iter__():
                taken.append(len(piece))
                yield piece

        async def __aiter__(self):
            for piece in super().__iter__():
                taken.append(len(piece))
                yield piece

    client = colour(lambda _request: httpx.Response(403, stream=Counted(page, 4096)), max_retries=0)
    with pytest.raises(errors.FloraPermissionError, match="no error of FLORA's"):
        client.send(calls.get_run("run_1"))
    assert sum(taken) <= MAX_ERROR + 4096


def test_a_success_larger_than_any_of_floras_is_refused(colour, stream):
    client = colour(lambda _request: httpx.Response(200, stream=stream(b" " * (MAX_ANSWER + 1))))
    with pytest.raises(errors.FloraAnswerError, match="larger than 16 MB, so it is not FLORA's"):
        client.send(calls.get_run("run_1"))


@pytest.mark.parametrize(("status", "most"), [(200, 3 * MAX_ANSWER), (500, 10 * MAX_ERROR)])
def test_a_bomb_goes_off_in_pieces_that_are_counted(colour, stream, bomb, status, most):
    def flora(_request):
        return httpx.Response(status, headers={"content-encoding": "gzip"}, stream=stream(bomb))

    client = colour(flora, max_retries=0)
    tracemalloc.start()
    with pytest.raises(errors.FloraAnswerError if status == 200 else errors.FloraServerError):
        client.send(calls.get_run("run_1"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < most


@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_compressed_answers_are_read_however_they_are_cut(colour, stream, size):
    text = json.dumps(RUN | {"error_message": "x" * 200_000}).encode()
    headers = {"content-encoding": "GZIP", "content-type": "application/json"}
    client = colour(lambda _request: httpx.Response(200, headers=headers, stream=stream(gzip.compress(text), size)))
    assert len(client.send(calls.get_run("run_1")).error_message) == 200_000


@pytest.mark.parametrize(
    ("coding", "body", "message"),
    [
        ("gzip", b"no gzip at all", "the answer arrived damaged: it cannot be decompressed"),
        ("gzip, gzip", b"x", r"the answer \(200\) is compressed in an unknown way: gzip, gzip"),
        ("br", b"x", r"the answer \(200\) is compressed in an unknown way: br"),
    ],
)
def test_compression_that_cannot_be_undone_is_no_whole_answer(colour, stream, coding, body, message):
    def flora(_request):
        return httpx.Response(200, headers={"content-encoding": coding}, stream=stream(body))

    with pytest.raises(errors.FloraConnectionError, match=message):
        colour(flora, max_retries=1).send(calls.get_run("run_1"))


def test_one_answer_leaves_no_cookie_for_the_next_request(colour):
    seen = []

    def flora(request):
        seen.append(request.headers.get("cookie"))
        return httpx.Response(200, json=RUN, headers={"set-cookie": "session=1; Path=/"})

    client = colour(flora)
    client.send_all([calls.get_run("run_1")] * 2)
    assert seen == [None, None]


# What must never be seen.


def test_neither_key_nor_query_nor_signed_address_is_ever_shown(colour, api_key, caplog):
    caplog.set_level(logging.DEBUG)
    signed = "https://storage.example.com/a?signature=secret"

    def flora(request):
        if request.url.host == "storage.example.com":
            raise httpx.ReadError("")
        said = {"error": {"code": "unauthorized", "message": f"Bearer {api_key} is not known."}}
        return httpx.Response(401, json=said)

    client = colour(flora, max_retries=1)
    call = calls.list_techniques(query="secret", cursor="secret")
    post = calls.generate(
        type="text", prompt="secret", workspace_id="ws_1", project_id="prj_1", callback_url="https://e.com/?t=secret"
    )
    shown = [call, post, call.request(), post.request(), client.client.settings, Send(call.request())]
    request = Request(method="PUT", target=signed, body=b"secret", headers=(("x", "secret"),))

    def store():
        yield Send(request)

    for act in (lambda: client.send(call), lambda: client.perform(store())):
        with pytest.raises(errors.FloraError) as caught:
            act()
        shown += [caught.value, caught.value.args, caught.value.__cause__]
    for text in [*map(repr, [*shown, request]), *map(str, shown), *caplog.messages]:
        assert "secret" not in text
        assert api_key not in text
    assert "Bearer (the API key) is not known" in str(shown)


def test_httpx_logs_none_of_our_addresses_and_all_of_others(colour, caplog):
    caplog.set_level(logging.DEBUG, logger="httpx")
    colour(answering(json=RUN)).send(calls.get_run("run_1"))
    assert caplog.messages == []
    with httpx.Client(transport=httpx.MockTransport(answering())) as other:
        other.get("https://example.com/theirs")
    assert "https://example.com/theirs" in caplog.text


# On real sockets.


@contextmanager
def serving(act):
    """A server that does `act(connection)` for each connection, once its request has come."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def one(connection):
        with connection:
            connection.recv(65_536)
            with suppress(OSError):
                act(connection, stop)

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def drip(connection, stop):
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while not stop.wait(0.02):
        connection.sendall(b" ")


def test_an_answer_that_drips_in_is_given_up(colour):
    with serving(drip) as url:
        started = time.monotonic()
        with pytest.raises(errors.FloraTimeoutError, match="within the timeout"):
            colour(base_url=url, timeout=0.05, max_retries=0).send(calls.get_run("run_1"))
    assert time.monotonic() - started < 1


def test_a_file_that_drips_in_is_given_up(colour, tools, tmp_path):
    from flora_provider.api.download import download
    from flora_provider.api.retry import RetryPolicy

    tools["policy"] = RetryPolicy(max_retries=0)
    with serving(drip) as url, (tmp_path / "file").open("wb") as file:
        client = colour(base_url=url, timeout=0.2)
        with pytest.raises(errors.FloraTimeoutError, match="more slowly than 16 kB a second"):
            client.perform(download(f"{url}/a", file, max_bytes=10_000, **tools))


def test_headers_that_drip_in_are_given_up_without_blocking_the_loop():
    import asyncio

    from flora_provider.api.plan import Fetch

    def trickle(connection, stop):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in itertools.count():
            if stop.wait(0.02):
                return
            connection.sendall(f"x-{number}: y\r\n".encode())

    def fetch(url, file):
        yield Fetch(url, file, 10)

    async def main(url):
        import io

        async with AsyncFloraClient(api_key="k", base_url=url, timeout=0.05, max_retries=0) as client:
            with pytest.raises(errors.FloraTimeoutError, match="did not answer within the timeout"):
                await client.send(calls.get_run("run_1"))
            with pytest.raises(errors.FloraTimeoutError, match="did not answer within the timeout"):
                await client.perform(fetch(f"{url}/a", io.BytesIO()))

    with serving(trickle) as url:
        asyncio.run(main(url))


def test_a_connection_that_closes_early_is_told(colour):
    with (
        serving(lambda connection, _stop: connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}")) as url,
        pytest.raises(errors.FloraConnectionError, match="broke: RemoteProtocolError"),
    ):
        colour(base_url=url, max_retries=0).send(calls.get_run("run_1"))


def test_nothing_that_listens_is_told(colour):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(
        errors.FloraConnectionError, match=f"127.0.0.1:{port}/api/v1 cannot be reached: nothing"
    ) as caught:
        colour(base_url=f"http://127.0.0.1:{port}", max_retries=0).send(calls.get_run("run_1"))
    assert not caught.value.ambiguous


def test_a_host_that_speaks_no_tls_is_told(colour):
    def plain(connection, _stop):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(plain) as url, pytest.raises(errors.FloraConnectionError, match="it does not speak TLS"):
        colour(base_url=url.replace("http", "https"), max_retries=0).send(calls.get_run("run_1"))
