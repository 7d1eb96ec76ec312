"""A callback is FLORA's or is refused; the first test vector is the API reference's."""

import email
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraInputError, FloraWebhookError
from flora_provider.api.webhooks import unwrap, verify
from tests.support.strategies import texts

SECRET = "whsec_sandbox_secret"
SENT = 1_750_000_000
BODY = (
    b'{"id":"whd_abc123","type":"run.completed","api_version":"2026-06-11","created_at":1750000000000,'
    b'"data":{"run_id":"run_xyz789","run_type":"generation","workspace_id":"ws_abc123","status":"completed"}}'
)
HEADER = "t=1750000000,v1=bf8768671619fb82b21910bb110262993109af977ef7f3a78e78ba52eca5a41b"


def signature(body=BODY, sent=SENT, secret=SECRET):
    return hmac.new(secret.encode(), f"{sent}.".encode() + body, hashlib.sha256).hexdigest()


def test_vector_of_the_reference_is_verified_and_typed():
    event = unwrap(BODY, {"flora-SIGNATURE": HEADER}, SECRET, now=SENT + 10)
    assert (event.id, event.type, event.api_version) == ("whd_abc123", "run.completed", "2026-06-11")
    assert event.created_at.timestamp() == SENT
    assert (event.data.run_id, event.data.run_type, event.data.status) == ("run_xyz789", "generation", "completed")
    assert event.data.workspace_id == "ws_abc123"


def test_callback_of_a_failed_run_has_its_error():
    run = {"run_id": "run_1", "run_type": "technique", "status": "failed"}
    run |= {"error_code": "model_timeout", "error_message": "Too slow."}
    body = json.dumps({"id": "whd_1", "type": "run.failed", "created_at": SENT * 1000, "data": run}).encode()
    event = unwrap(body, f"t={SENT},v1={signature(body)}", SECRET, now=SENT)
    assert (event.data.error_code, event.data.error_message) == ("model_timeout", "Too slow.")


@pytest.mark.parametrize(
    "header",
    [
        f"t={SENT},v1={'0' * 64},v1={signature()}",
        f"t={SENT},v1={signature()},v1=ä\udcff",
        f" t = {SENT} , v0=x, v1 = {signature()} , nonsense",
        f"t=1,t={SENT},t=now,v1={signature()}",
    ],
)
def test_headers_are_read_as_floras_own_client_reads_them(header):
    verify(BODY, header, SECRET, now=SENT)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (f"t={SENT},v1={'0' * 64}", "does not fit the body"),
        (f"t={SENT},v1={signature().upper()}", "does not fit the body"),
        (f"t={SENT + 1},v1={signature()}", "does not fit the body"),
        (f"t={SENT},v1=", "does not fit the body"),
        (f"v1={signature()}", "cannot be read"),
        (f"t={SENT}", "cannot be read"),
        (f"t=-1,v1={signature()}", "cannot be read"),
        (f"t={'1' * 5000},v1={signature()}", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_signature_that_is_not_floras_is_refused(header, why):
    with pytest.raises(FloraWebhookError, match=why):
        verify(BODY, {"Flora-Signature": header}, SECRET, now=SENT)


def test_verify_refuses_another_secret_another_body_and_no_header():
    with pytest.raises(FloraWebhookError, match="another workspace's secret"):
        verify(BODY, HEADER, "whsec_other", now=SENT)
    with pytest.raises(FloraWebhookError, match="not the raw bytes"):
        verify(BODY + b" ", HEADER, SECRET, now=SENT)
    with pytest.raises(FloraWebhookError, match="no Flora-Signature header"):
        verify(BODY, {"content-type": "application/json"}, SECRET, now=SENT)
    with pytest.raises(FloraInputError, match="secret is empty"):
        verify(BODY, HEADER, "", now=SENT)


def test_signature_age_is_bounded_both_ways():
    for now in (SENT - 300, SENT + 300):
        verify(BODY, HEADER, SECRET, now=now)
    for now in (SENT - 301, SENT + 300.5):
        with pytest.raises(FloraWebhookError, match=r"signed at 1750000000, more than 300 s from now"):
            verify(BODY, HEADER, SECRET, now=now)
        verify(BODY, HEADER, SECRET, now=now, tolerance=0)
    with pytest.raises(FloraWebhookError, match="more than 5 s from now"):
        verify(BODY, HEADER, SECRET, now=SENT + 6, tolerance=5)


@pytest.mark.parametrize("tolerance", [float("nan"), -5])
def test_invalid_tolerance_accepts_nothing(tolerance):
    with pytest.raises(FloraWebhookError, match="more than"):
        verify(BODY, HEADER, SECRET, now=SENT + 10, tolerance=tolerance)


@pytest.mark.parametrize(
    "headers",
    [
        HEADER.encode(),
        {"Flora-Signature": HEADER.encode()},
        {b"flora-signature": HEADER.encode(), None: None, 5: 6},
        [("Host", "h"), ("flora-signature", HEADER)],
        [(b"flora-signature", HEADER.encode())],
        iter([(" Flora-Signature", HEADER)]),
        email.message_from_string(f"host: h\nflora-signature: {HEADER}\n\n"),
    ],
)
def test_headers_are_taken_as_web_servers_give_them(headers):
    assert unwrap(BODY, headers, SECRET, now=SENT).id == "whd_abc123"


@pytest.mark.parametrize(
    "headers",
    [None, {}, [], {"Flora-Signature": None}, {"Flora-Signature": 5}, {"Flora-Signature": [HEADER]}, b"", b"\xff=\x00",
     "", [("Flora-Signature", None)], {None: HEADER}, {"Flora-Signature": object()}],
)  # fmt: skip
def test_headers_without_a_signature_are_refused(headers):
    for ask in (verify, unwrap):
        with pytest.raises(FloraWebhookError):
            ask(BODY, headers, SECRET, now=SENT)


@pytest.mark.parametrize("headers", [0, 5, 1.5, True, dict, object(), [5], ["ab", "abc"], [(1, 2, 3)], {1, 2}, len])
def test_headers_of_another_type_are_the_callers_mistake(headers):
    for ask in (verify, unwrap):
        with pytest.raises((FloraInputError, FloraWebhookError)):
            ask(BODY, headers, SECRET, now=SENT)
    with pytest.raises(FloraInputError, match="the headers are of type int"):
        verify(BODY, 5, SECRET, now=SENT)


@pytest.mark.parametrize("secret", [None, b"whsec_x", 5, [], ["whsec_x"], "whsec_\ud83d", "whsec_\n", "", object()])
def test_secret_that_is_no_text_is_the_callers_mistake_and_is_not_shown(secret):
    with pytest.raises(FloraInputError, match="the webhook's secret is") as caught:
        verify(BODY, HEADER, secret, now=SENT)
    assert "whsec_x" not in str(caught.value)


@pytest.mark.parametrize("odd", [None, "1750000000", b"1", datetime(2025, 1, 1, tzinfo=UTC), True, [], 1j, 10**16])
def test_now_and_tolerance_of_another_type_are_the_callers_mistake(odd):
    with pytest.raises(FloraInputError, match=r"now is .*: give seconds as a number"):
        verify(BODY, HEADER, SECRET, now=odd)
    with pytest.raises(FloraInputError, match=r"tolerance is .*: give seconds as a number"):
        verify(BODY, HEADER, SECRET, now=SENT, tolerance=odd)


@pytest.mark.parametrize("now", [float("nan"), float("inf"), -1, 10**15, 1e300])
@pytest.mark.parametrize("tolerance", [300, 1e-300, float("nan"), -5])
def test_verify_accepts_nothing_at_an_impossible_time(now, tolerance):
    with pytest.raises(FloraWebhookError, match="from now"):
        verify(BODY, HEADER, SECRET, now=now, tolerance=tolerance)


@pytest.mark.parametrize("body", [BODY.decode(), json.loads(BODY), None])
def test_body_of_another_type_than_bytes_is_refused(body):
    with pytest.raises(FloraInputError, match="raw bytes"):
        verify(body, HEADER, SECRET, now=SENT)


@pytest.mark.parametrize("body", [b"", b"{}", b"nonsense", b'{"id": 1}', b"[" * 100_000])
def test_signed_callback_that_cannot_be_read_is_reported(body):
    with pytest.raises(FloraWebhookError, match="FLORA signed this callback, but it cannot be read"):
        unwrap(body, f"t={SENT},v1={signature(body)}", SECRET, now=SENT)


@given(st.binary(), texts(), texts(min_size=1).filter(str.isprintable))
def test_unsigned_header_never_passes(body, header, secret):
    with pytest.raises(FloraWebhookError):
        unwrap(body, header, secret, now=SENT)


@given(st.binary(), st.integers(0, 2**40), texts(min_size=1).filter(str.isprintable))
def test_signature_of_the_secret_passes_and_not_for_another_body(body, sent, secret):
    header = f"t={sent},v1={signature(body, sent, secret)}"
    verify(body, header, secret, now=sent)
    with pytest.raises(FloraWebhookError):
        verify(body + b"\0", header, secret, now=sent)
