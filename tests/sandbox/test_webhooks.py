import time
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler
from threading import Event

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraWebhookError
from flora_provider.api.webhooks import unwrap
from flora_provider.sandbox import Fault, RunBehavior, SandboxServer, send_webhooks
from flora_provider.sandbox.world.webhooks import sign_webhook
from tests.support.servers import answering, http_server, socket_server, unused_port

RECEIVER = "http://127.0.0.1:4712/hook?token=mine"


class Receiver:
    """A receiver in this process that answers with these statuses, one after the other, and then with the last."""

    def __init__(self, *statuses):
        self.statuses = list(statuses or [204])
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        return httpx.Response(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])

    def events(self, secret):
        return [unwrap(request.content, request.headers, secret, now=time.time()) for request in self.requests]


@pytest.fixture
def deliver(flora):
    """Return a function that lets some seconds pass and sends what is due to a receiver."""

    def deliver(receiver, seconds):
        flora.sandbox.clock.advance(seconds)
        return send_webhooks(flora.sandbox, httpx.Client(transport=httpx.MockTransport(receiver)))

    return deliver


def deliveries(flora):
    return flora.get("https://flora.test/_sandbox/webhooks").json()["webhooks"]


def behave(**behavior):
    return {"sandbox": {"seconds": 10, **behavior}}


def test_the_contracts_test_vector():
    body = (
        b'{"id":"whd_abc123","type":"run.completed","api_version":"2026-06-11","created_at":1750000000000,'
        b'"data":{"run_id":"run_xyz789","run_type":"generation","workspace_id":"ws_abc123","status":"completed"}}'
    )
    signature = "bf8768671619fb82b21910bb110262993109af977ef7f3a78e78ba52eca5a41b"
    assert sign_webhook(1_750_000_000, body, "whsec_sandbox_secret") == f"t=1750000000,v1={signature}"


def test_webhook_comes_once_when_the_run_ends(flora, sandbox, deliver):
    run_id = flora.start(callback_url=RECEIVER, params=behave())
    receiver = Receiver()
    assert deliver(receiver, 9) == 0
    assert deliver(receiver, 1) == 1
    assert deliver(receiver, 10_000) == 0
    (event,) = receiver.events(sandbox.webhook_secret)
    (request,) = receiver.requests
    assert (event.type, event.data.run_id, event.data.run_type) == ("run.completed", run_id, "generation")
    assert event.created_at.timestamp() == 1_750_000_010
    assert (request.headers["flora-webhook-id"], request.headers["flora-event"]) == (event.id, "run.completed")
    assert "authorization" not in request.headers
    assert sandbox.stats()["webhooks"] == {"delivered": 1, "pending": 0}


def test_webhook_of_a_failed_technique_run_says_why(flora, sandbox, deliver):
    behavior = RunBehavior(error_code="LLM_REFUSAL", error_message="No.", seconds=1)
    sandbox.faults.add(Fault("/techniques/{technique_id}/runs", behavior=behavior))
    body = {"inputs": [{"id": "instructions", "type": "text", "value": "Go"}], "mode": "async"}
    flora.post("/techniques/storyboard/runs", json={**body, "callback_url": RECEIVER})
    receiver = Receiver()
    deliver(receiver, 1)
    (event,) = receiver.events(sandbox.webhook_secret)
    assert (event.type, event.data.run_type, event.data.status) == ("run.failed", "technique", "failed")
    assert (event.data.error_code, event.data.error_message) == ("LLM_REFUSAL", "No.")


@pytest.mark.parametrize("speed", [1, 10])
def test_failing_receiver_is_tried_four_times_on_floras_schedule(make_flora, speed):
    flora = make_flora(speed=speed)
    flora.start(callback_url=RECEIVER, params=behave())
    receiver = Receiver(500, 302, 404, 500)
    client = httpx.Client(transport=httpx.MockTransport(receiver))
    made = []
    for pause in (10, 10 / speed, 60 / speed, 300 / speed, 10_000):
        flora.sandbox.clock.advance(pause - 0.01)
        early = send_webhooks(flora.sandbox, client)
        flora.sandbox.clock.advance(0.01)
        made.append((early, send_webhooks(flora.sandbox, client)))
    assert made == [(0, 1), (0, 1), (0, 1), (0, 1), (0, 0)]
    assert len({request.content for request in receiver.requests}) == 1
    (delivery,) = deliveries(flora)
    assert (delivery["state"], delivery["next_attempt"]) == ("failed", None)
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 302, 404, 500]


def test_receiver_that_recovers_is_left_alone_from_then_on(flora, deliver):
    flora.start(callback_url=RECEIVER, params=behave())
    receiver = Receiver(503, 200)
    assert [deliver(receiver, seconds) for seconds in (10, 10, 1000)] == [1, 1, 0]
    assert deliveries(flora)[0]["state"] == "delivered"


def test_attempts_can_be_made_to_fail_without_a_receiver(flora, deliver):
    flora.start(callback_url=RECEIVER, params=behave(webhook_failures=2))
    flora.start(callback_url=RECEIVER, params=behave(webhook_failures=4))
    receiver = Receiver()
    assert [deliver(receiver, seconds) for seconds in (10, 10, 60, 300)] == [0, 0, 1, 0]
    assert sorted(row["state"] for row in deliveries(flora)) == ["delivered", "failed"]


def test_webhook_can_come_more_than_once_under_one_id(flora, sandbox, deliver):
    flora.start(callback_url=RECEIVER, params=behave(webhook_duplicates=2))
    receiver = Receiver()
    assert [deliver(receiver, seconds) for seconds in (10, 0, 0, 1000)] == [1, 1, 1, 0]
    assert len({event.id for event in receiver.events(sandbox.webhook_secret)}) == 1


@pytest.mark.parametrize(("form", "reason"), [("bad", "does not fit"), ("stale", "a replay, or a wrong clock")])
def test_signature_can_be_bad_or_stale(flora, sandbox, deliver, form, reason):
    flora.start(callback_url=RECEIVER, params=behave(webhook_signature=form))
    receiver = Receiver()
    deliver(receiver, 10)
    with pytest.raises(FloraWebhookError, match=reason):
        receiver.events(sandbox.webhook_secret)


def test_webhook_is_signed_under_both_secrets_while_they_are_rotated(flora, sandbox, deliver):
    old = sandbox.webhook_secret
    change = {"webhook_secret": "whsec_new", "webhook_secret_before": old}
    flora.post("https://flora.test/_sandbox/settings", json=change)
    flora.start(callback_url=RECEIVER, params=behave())
    receiver = Receiver()
    deliver(receiver, 10)
    assert receiver.requests[0].headers["flora-signature"].count("v1=") == 2
    assert receiver.events(old)
    assert receiver.events("whsec_new")


def test_public_receiver_is_taken_and_not_called(flora, deliver):
    flora.start(callback_url="https://example.com/hook?token=mine", params=behave())
    assert deliver(Receiver(), 1000) == 0
    (delivery,) = deliveries(flora)
    assert (delivery["state"], delivery["url"]) == ("not_sent", "https://example.com/hook")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x",
        "https://10.0.0.1/x",
        "https://nas.local/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1/\x01",
        "http://127.0.0.1/ä",
        "ftp://127.0.0.1/x",
        " http://127.0.0.1/",
        "http://[::1]x/",
        "http://127.0.0.1/" + "a" * 70_000,
        "https://localhost./",
        "https://metadata.google.internal./",
        "https://example.com:99999/",
        "https://xn--/",
    ],
)
def test_receiver_that_is_neither_public_nor_of_this_machine_is_refused(flora, url):
    response = flora.generate(callback_url=url)
    assert response.status_code == 400
    assert response.json()["error"]["fields"][0]["field"] == "callback_url"


URLS = st.from_regex(r"\A ?https?:(/{0,3}|\\)([a@:]{0,3})(127\.0\.0\.1|localhost|\[::1\]).{0,8}\Z")


@given(url=URLS)
@example(url="http://a@127.0.0.1:/?b#c")
@example(url="http://127.0.0.1:80\\@a.com/")
def test_only_this_machine_is_called_whatever_the_url(make_flora, url):
    flora = make_flora()
    if flora.generate(callback_url=url, params=behave(seconds=0)).status_code == 201:
        receiver = Receiver()
        send_webhooks(flora.sandbox, httpx.Client(transport=httpx.MockTransport(receiver)))
        assert {request.url.host for request in receiver.requests} <= {"127.0.0.1", "localhost", "::1"}
        (delivery,) = deliveries(flora)
        assert delivery["state"] in ("delivered", "not_sent")


def test_list_of_deliveries_has_the_newest_first_and_no_secrets(flora, deliver):
    urls = [f"http://me:pw@127.0.0.1/{number}?token=a#b" for number in range(3)]
    run_ids = [flora.start(callback_url=url, params=behave()) for url in urls]
    deliver(Receiver(), 10)
    rows = deliveries(flora)
    assert [row["run_id"] for row in rows] == run_ids[::-1]
    assert [row["url"] for row in rows] == ["http://127.0.0.1/2", "http://127.0.0.1/1", "http://127.0.0.1/0"]


def test_deliveries_beyond_a_limit_stay_due(flora, sandbox):
    for _ in range(5):
        flora.start(callback_url=RECEIVER, params=behave(seconds=0))
    first, second = sandbox.webhooks.take_due(most=2)
    assert sandbox.webhooks.take_due(most=2) == []
    sandbox.webhooks.record(first, 204)
    assert len(sandbox.webhooks.take_due(most=2)) == 1
    sandbox.webhooks.record(second, 204)
    assert sandbox.stats()["webhooks"] == {"delivered": 2, "pending": 3}


def test_redirect_is_not_followed_though_the_client_would(flora, sandbox):
    flora.start(callback_url=RECEIVER, params=behave(seconds=0))
    seen = []

    def redirect(request):
        seen.append(request)
        return httpx.Response(307, headers={"location": "http://10.0.0.1/"})

    send_webhooks(sandbox, httpx.Client(transport=httpx.MockTransport(redirect), follow_redirects=True))
    assert [request.url.host for request in seen] == ["127.0.0.1"]
    assert [attempt["status"] for attempt in deliveries(flora)[0]["attempts"]] == [307]


@pytest.mark.parametrize("seconds", [1e306, -1e306, -1])
def test_run_of_impossible_length_is_refused(flora, seconds):
    response = flora.generate(callback_url=RECEIVER, params=behave(seconds=seconds))
    assert response.status_code == 400
    assert response.json()["error"]["fields"][0]["field"] == "params.sandbox.seconds"


def test_run_that_never_ends_calls_nobody_back(flora, deliver):
    flora.start(callback_url=RECEIVER, params={"sandbox": {"never_ends": True}})
    assert deliver(Receiver(), 1e9) == 0


def start_with_callback(server, url):
    sandbox = server.sandbox
    scope = {"workspace_id": sandbox.workspace_id, "project_id": sandbox.project_id}
    body = {"type": "image", "prompt": "A fern", **scope, "params": behave(seconds=0), "callback_url": url}
    headers = {"authorization": f"Bearer {sandbox.api_key}"}
    httpx.post(f"{server.base_url}/generate", json=body, headers=headers).raise_for_status()


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


BROKEN = {
    "silent": lambda: socket_server(lambda _, stop: stop.wait()),
    "closed": lambda: nullcontext(f"http://127.0.0.1:{unused_port()}"),
    "no HTTP": lambda: answering(b"\0" * 100),
    "endless": lambda: answering(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    # Names that IDNA refuses, which httpx reads even when it follows no redirect.
    "redirect to nowhere": lambda: answering(b"HTTP/1.1 302 Found\r\nlocation: http://xn--/\r\n\r\n"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_port_calls_back_though_another_receiver_is_broken(flora_sandbox, broken):
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()
            seen.append(unwrap(body, dict(self.headers), flora_sandbox.sandbox.webhook_secret, now=time.time()))

    with BROKEN[broken]() as bad, http_server(Handler) as good:
        start_with_callback(flora_sandbox, bad)
        if broken != "silent":
            wait_until(lambda: flora_sandbox.sandbox.webhooks.newest_first()[0].attempts)
        start_with_callback(flora_sandbox, good)
        wait_until(lambda: seen)
    assert [event.type for event in seen] == ["run.completed"]


def test_port_closes_without_waiting_for_a_receiver():
    called = Event()

    def hang(_connection, stop):
        called.set()
        stop.wait()

    with socket_server(hang) as silent:
        with SandboxServer() as server:
            start_with_callback(server, silent)
            assert called.wait(5)
        (delivery,) = server.sandbox.webhooks.newest_first()
    assert delivery.attempts == []  # it would have timed out
