import asyncio
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from flora_provider.sandbox import Fault, Sandbox
from flora_provider.sandbox.http.limits import MAX_JSON
from flora_provider.sandbox.server import SandboxServer

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture
def client(flora_sandbox):
    headers = {"authorization": f"Bearer {flora_sandbox.sandbox.api_key}"}
    with httpx.Client(base_url=flora_sandbox.base_url, headers=headers, timeout=10, trust_env=False) as client:
        yield client


def body(server):
    scope = {"workspace_id": server.sandbox.workspace_id, "project_id": server.sandbox.project_id}
    return {"type": "image", "prompt": "Füchse", **scope}


def test_run_over_a_port_ends_with_a_file(flora_sandbox, client):
    run_id = client.post("/generate", json=body(flora_sandbox)).json()["run_id"]
    deadline = time.monotonic() + 10
    while (run := client.get(f"/runs/{run_id}").json())["status"] != "completed":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    url = run["outputs"][0]["url"]
    assert url.startswith(flora_sandbox.url)
    assert flora_sandbox.url.startswith("http://127.0.0.1:")  # loopback only
    assert httpx.get(url, trust_env=False).content.startswith(b"\x89PNG")


def test_connections_are_counted_not_requests(flora_sandbox, client):
    for _ in range(5):
        client.get("/models")
    assert flora_sandbox.sandbox.stats()["connections"] == 1
    for _ in range(3):
        httpx.get(f"{flora_sandbox.url}/_sandbox/stats", trust_env=False)
    assert flora_sandbox.sandbox.stats()["connections"] == 4
    assert flora_sandbox.sandbox.stats()["requests"] == {"GET /models": 5}


def test_upload_of_many_packets_arrives_whole(flora_sandbox, client):
    content = bytes(range(256)) * 12_000
    data = {"workspace_id": flora_sandbox.sandbox.workspace_id}
    asset = client.post("/assets", data=data, files={"file": ("a.png", content, "image/png")}).json()
    assert httpx.get(asset["url"], trust_env=False).content == content


@pytest.mark.parametrize(("after", "started"), [(False, 0), (True, 1)])
def test_drop_resets_the_connection(flora_sandbox, client, caplog, after, started):
    flora_sandbox.sandbox.faults.add(Fault("/generate", delivery="drop", after=after))
    with caplog.at_level(logging.INFO), pytest.raises(httpx.ReadError):
        client.post("/generate", json=body(flora_sandbox))
    assert flora_sandbox.sandbox.stats()["runs_started"] == started
    assert client.get("/models").status_code == 200
    assert "ASGI" not in caplog.text


def connect(server):
    """Open a connection of one's own, as a client without a pool does."""
    return socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))


REFUSE = Fault(delivery="refuse", times=None, seconds=60)


@pytest.mark.parametrize("end", ["clear", "clock"])
def test_refuse_closes_the_port_until_the_fault_ends(flora_sandbox, client, end):
    sandbox = flora_sandbox.sandbox
    client.get("/models")
    sandbox.faults.add(REFUSE)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            connect(flora_sandbox)
        with pytest.raises(httpx.ConnectError, match="refused"):
            client.get("/models")
    assert sandbox.stats()["requests"] == {"GET /models": 1}
    if end == "clear":
        sandbox.faults.clear()
    else:
        sandbox.clock.advance(60)
        time.sleep(0.2)
    assert client.get("/models").status_code == 200


def test_refuse_by_the_control_endpoint_answers_first(flora_sandbox):
    fault = {"delivery": "refuse", "times": None, "seconds": 0.3}
    start = time.monotonic()
    assert httpx.post(f"{flora_sandbox.url}/_sandbox/faults", json=fault, trust_env=False).status_code == 200
    with pytest.raises(ConnectionRefusedError):
        connect(flora_sandbox)
    time.sleep(max(0.0, start + 0.6 - time.monotonic()))
    connect(flora_sandbox).close()


def test_refuse_lets_answers_on_their_way_arrive(flora_sandbox, client):
    flora_sandbox.sandbox.faults.add(Fault("/models", delay=0.3))
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(client.get, "/models")
        time.sleep(0.15)
        flora_sandbox.sandbox.faults.add(REFUSE)
        assert response.result().status_code == 200
    with pytest.raises(httpx.ConnectError):
        client.get("/models")


def test_refuse_applies_to_a_sandbox_put_behind_the_port_later(flora_sandbox):
    other = Sandbox()
    other.faults.add(REFUSE)
    flora_sandbox.sandbox = other
    with pytest.raises(ConnectionRefusedError):
        connect(flora_sandbox)
    flora_sandbox.sandbox = Sandbox()
    connect(flora_sandbox).close()


@pytest.mark.parametrize(
    "change",
    [
        *({"route": "/models"}, {"method": "GET"}, {"run_id": "run_1"}, {"containing": "A fern"}),
        *({"skip": 1}, {"times": 2}, {"after": True}, {"seconds": None}),
    ],
)
def test_refuse_on_a_port_rejects_what_needs_the_request(flora_sandbox, change):
    fault = {"delivery": "refuse", "times": None, "seconds": 1, **change}
    response = httpx.post(f"{flora_sandbox.url}/_sandbox/faults", json=fault, trust_env=False)
    assert response.status_code == 400
    assert response.json()["error"]["fields"][0]["field"] == "delivery"
    assert '"drop"' in response.json()["error"]["message"]
    connect(flora_sandbox).close()


def test_cut_closes_the_connection_in_the_body(flora_sandbox, client, caplog):
    flora_sandbox.sandbox.faults.add(Fault("/models", delivery="cut"))
    with client.stream("GET", "/models") as response:
        chunks = response.iter_raw()
        assert 0 < len(next(chunks)) < int(response.headers["content-length"])
        with pytest.raises(httpx.RemoteProtocolError):
            list(chunks)
    assert client.get("/models").status_code == 200
    assert "ASGI" not in caplog.text


def test_delay_outlasts_the_clients_timeout(flora_sandbox, client):
    flora_sandbox.sandbox.faults.add(Fault("/generate", delay=0.5))
    with pytest.raises(httpx.ReadTimeout):
        client.post("/generate", json=body(flora_sandbox), timeout=0.1)
    assert flora_sandbox.sandbox.stats()["runs_started"] == 1
    time.sleep(0.5)
    assert client.get("/models").status_code == 200


def test_trickle_sends_the_body_byte_by_byte(flora_sandbox, client):
    flora_sandbox.sandbox.faults.add(Fault("/models", body="12345", delivery="trickle", delay=0.05))
    start = time.monotonic()
    with client.stream("GET", "/models") as response:
        chunks = list(response.iter_raw())
    assert b"".join(chunks) == b"12345"
    assert len(chunks) > 2
    assert time.monotonic() - start > 0.2


def test_decompression_bomb_is_sent_compressed(flora_sandbox, client):
    flora_sandbox.sandbox.faults.add(Fault("/models", body="{}", pad=1_000_000, gzip=True))
    assert len(client.get("/models").content) == 1_000_002


def test_latency_delays_answers_without_holding_up_others(flora_sandbox):
    flora_sandbox.sandbox.settings.latency_ms = 200

    async def main():
        headers = {"authorization": f"Bearer {flora_sandbox.sandbox.api_key}"}
        async with httpx.AsyncClient(base_url=flora_sandbox.base_url, headers=headers, trust_env=False) as client:
            start = time.monotonic()
            responses = await asyncio.gather(*[client.get("/models") for _ in range(20)])
            return time.monotonic() - start, {response.status_code for response in responses}

    seconds, statuses = asyncio.run(main())
    assert statuses == {200}
    assert 0.2 <= seconds < 2


def test_exit_does_not_wait_for_idle_connections(flora_sandbox, client):
    client.get("/models")
    with SandboxServer() as other:
        httpx.get(f"{other.url}/_sandbox/stats", trust_env=False)
        start = time.monotonic()
    assert time.monotonic() - start < 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(other.url, trust_env=False)


def test_taken_port_raises_os_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"), SandboxServer(Sandbox(), taken.getsockname()[1]):
            pass


def test_incomplete_request_starts_nothing(flora_sandbox):
    head = f"POST /api/v1/generate HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {flora_sandbox.sandbox.api_key}\r\n"
    with connect(flora_sandbox) as connection:
        connection.sendall(f"{head}content-length: 2\r\n\r\n{{".encode())
        time.sleep(0.1)
    time.sleep(0.1)
    assert flora_sandbox.sandbox.stats()["requests"] == {}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("megabytes", [2, 40])
def test_body_over_the_limit_is_answered_with_413(flora_sandbox, client, caplog, megabytes, chunked):
    content = (bytes(1024 * 1024) for _ in range(megabytes)) if chunked else bytes(megabytes * 1024 * 1024)
    with caplog.at_level(logging.INFO, "uvicorn"):
        response = client.post("/generate", content=content)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "payload_too_large")
    assert response.headers["connection"] == "close"
    assert client.get("/models").status_code == 200
    assert "ASGI" not in caplog.text
    assert flora_sandbox.sandbox.stats()["statuses"] == {"413": 1, "200": 1}


def test_413_comes_before_the_rest_of_an_endless_body(flora_sandbox):
    with connect(flora_sandbox) as connection:
        connection.sendall(b"POST /api/v1/generate HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999999\r\n\r\n")
        connection.sendall(bytes(MAX_JSON + 1))
        connection.settimeout(10)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nhost: x\r\n" + b"x-a: b\r\n" * 100_000 + b"\r\n",
        b"GET /%ff%00 HTTP/1.1\r\nhost: \xff\r\nauthorization: \xff\r\n\r\n",
        b"GET /\xff\x00 HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_hostile_head_of_a_request_ends_in_a_4xx(flora_sandbox, client, caplog, request_head):
    with caplog.at_level(logging.INFO, "uvicorn"), connect(flora_sandbox) as connection:
        connection.settimeout(10)
        connection.sendall(request_head)
        assert connection.recv(100).startswith(b"HTTP/1.1 4")
    assert client.get("/models").status_code == 200
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("host", "start", "is_loopback"),
    [
        ("127.0.0.1", "http://127.0.0.1:", True),
        ("0.0.0.0", "http://127.0.0.1:", False),  # noqa: S104 - for the time of a test
        ("localhost", "http://localhost:", True),
        ("::1", "http://[::1]:", True),
        ("::", "http://[::1]:", False),
    ],
)
def test_server_listens_on_its_host(host, start, is_loopback):
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with SandboxServer(host=host) as server:
        assert server.url.startswith(start)
        assert server.is_loopback is is_loopback
        headers = {"authorization": f"Bearer {server.sandbox.api_key}"}
        run = httpx.post(f"{server.base_url}/generate", json=body(server), headers=headers, trust_env=False).json()
        assert run["poll_url"].startswith(server.url)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_server_without_controls_has_none_for_any_sandbox():
    with SandboxServer(controls=False) as server:
        for _ in range(2):
            assert httpx.get(f"{server.url}/_sandbox/stats", trust_env=False).status_code == 404
            server.sandbox = Sandbox()
