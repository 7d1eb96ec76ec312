"""Both clients on real sockets: what hangs, drips, breaks or is not there."""

import asyncio
import io
import itertools
import signal
import socket
import time

import pytest

from flora_provider.api import calls, errors
from flora_provider.api.client import AsyncFloraClient, FloraClient
from flora_provider.api.files.download import download
from flora_provider.api.http.flow import Fetch
from flora_provider.api.http.httpx_adapter import CONNECTIONS
from flora_provider.api.http.retry_policy import RetryPolicy
from tests.support.servers import answering, serving, unused_port


def drip(connection, stop):
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while not stop.wait(0.02):
        connection.sendall(b" ")


def test_answer_that_drips_in_is_given_up(any_client):
    with serving(drip) as url:
        started = time.monotonic()
        with pytest.raises(errors.FloraTimeoutError, match="within the timeout"):
            any_client(base_url=url, timeout=0.05, max_retries=0).send(calls.get_run("run_1"))
    assert time.monotonic() - started < 1


def test_file_that_drips_in_is_given_up(any_client, context, tmp_path):
    context.policy = RetryPolicy(max_retries=0)
    with serving(drip) as url, (tmp_path / "file").open("wb") as file:
        client = any_client(base_url=url, timeout=0.2)
        with pytest.raises(errors.FloraTimeoutError, match="more slowly than 16 kB a second"):
            client.run(download(f"{url}/a", file, max_bytes=10_000, context=context))


def trickle(connection, stop):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in itertools.count():
        if stop.wait(0.02):
            return
        connection.sendall(f"x-{number}: y\r\n".encode())


def promise(connection, stop):
    while not stop.wait(0.02):
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")


@pytest.mark.parametrize("server", [trickle, promise])
def test_headers_that_drip_in_are_given_up(any_client, server):
    def fetch(url):
        yield Fetch(url, io.BytesIO(), 10)

    with serving(server) as url:
        client = any_client(base_url=url, timeout=0.1, max_retries=0)
        with pytest.raises(errors.FloraTimeoutError, match="did not answer within the timeout"):
            client.send(calls.get_run("run_1"))
        with pytest.raises(errors.FloraTimeoutError, match="did not answer within the timeout"):
            client.run(fetch(f"{url}/a"))


def test_connection_that_nobody_takes_leaves_no_doubt(any_client):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()), pytest.raises(errors.FloraTimeoutError) as caught:
            any_client(base_url=f"http://127.0.0.1:{full.getsockname()[1]}", timeout=0.2, max_retries=0).send(
                calls.get_run("run_1")
            )
    assert "did not accept a connection in time" in str(caught.value)
    assert not caught.value.ambiguous


RUN = b'{"run_id": "run_1", "status": "running"}'
SUCCESS = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(RUN), RUN)


def test_waiting_for_a_free_connection_is_no_part_of_the_attempt(any_client):
    def slow(connection, stop):
        stop.wait(0.6)
        connection.sendall(SUCCESS)

    with serving(slow) as url:
        client = any_client(base_url=url, timeout=1.5, max_retries=0)  # the last of three turns ends after 1.8 s
        runs = client.send_at_once([calls.get_run("run_1")] * (3 * CONNECTIONS))
    assert len(runs) == 3 * CONNECTIONS


def test_files_on_their_way_hold_up_no_call():
    def fetch(url):
        yield Fetch(url, io.BytesIO(), 10_000)

    async def main(files, flora):
        async with AsyncFloraClient(api_key="k", base_url=flora, timeout=5) as client:
            fetching = [asyncio.create_task(client.run(fetch(f"{files}/a"))) for _ in range(2 * CONNECTIONS)]
            await asyncio.sleep(0.1)
            async with asyncio.timeout(4):
                run = await client.send(calls.get_run("run_1"))
            assert not any(task.done() for task in fetching)
            for task in fetching:
                task.cancel()
            return run

    with serving(drip) as files, answering(SUCCESS) as flora:
        assert asyncio.run(main(files, flora)).run_id == "run_1"


def test_no_proxy_of_the_environment_sees_the_key_of_plain_http(any_client, monkeypatch):
    with answering(b"HTTP/1.1 418 Proxy\r\n\r\n") as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        with answering(SUCCESS) as url:
            assert any_client(base_url=url).send(calls.get_run("run_1")).run_id == "run_1"
            assert any_client(base_url=url, proxy=proxy).send(calls.get_run("run_1")).run_id == "run_1"


def test_signal_ends_a_blocking_call_with_what_it_raises():
    class Alarm(BaseException):
        pass

    def ring(_number, _frame):
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with serving(lambda _connection, stop: stop.wait()) as url, FloraClient(api_key="k", base_url=url) as client:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(Alarm):
                client.send(calls.get_run("run_1"))
    finally:
        signal.signal(signal.SIGALRM, before)


def test_connection_that_closes_early_is_reported(any_client):
    with (
        answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}") as url,
        pytest.raises(errors.FloraConnectionError, match="broke: RemoteProtocolError"),
    ):
        any_client(base_url=url, max_retries=0).send(calls.get_run("run_1"))


def test_port_without_a_listener_is_reported(any_client):
    port = unused_port()
    with pytest.raises(
        errors.FloraConnectionError, match=f"127.0.0.1:{port}/api/v1 cannot be reached: nothing"
    ) as caught:
        any_client(base_url=f"http://127.0.0.1:{port}", max_retries=0).send(calls.get_run("run_1"))
    assert not caught.value.ambiguous


def test_host_that_speaks_no_tls_is_reported(any_client):
    plain = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with plain as url, pytest.raises(errors.FloraConnectionError, match="it does not speak TLS"):
        any_client(base_url=url.replace("http", "https"), max_retries=0).send(calls.get_run("run_1"))
