"""Giving FLORA a file: the way chosen by kind and size, the key kept from the storage, and every hitch on the way."""

import io
import itertools

import pytest

from flora_provider.api import errors
from flora_provider.api.files.upload import upload
from flora_provider.api.http.retry_policy import RetryPolicy

CLOSED = io.BytesIO(b"x")
CLOSED.close()
LARGE = 4 * 1024 * 1024 + 1
STORAGE = "https://storage.googleapis.com/bucket"
PENDING = {"asset_id": "asset_1", "workspace_id": "ws_1", "status": "pending_upload", "url": None}
RESERVED = PENDING | {"upload": {"url": STORAGE, "file_field": "data", "form_fields": {"policy": "secret", "key": "k"}}}
READY = PENDING | {"status": "ready", "url": "https://media.flora.ai/b.png"}
FAILED = PENDING | {"status": "failed", "failure_message": "Not an image."}


@pytest.fixture
def give(context, stage):
    draws = itertools.count()

    def make(source=None, **options):
        if source is None:
            source = io.BytesIO(bytes(LARGE))
        context.random = lambda: next(draws) % 997 / 997
        named = {} if isinstance(source, str) else {"file_name": "b.PNG"}
        return upload(source, **{"workspace_id": "ws_1", **named, "context": context, **options})

    return make


def lines(stage):
    return [str(request) for request in stage.requests]


def key(request):
    return dict(request.headers).get("Idempotency-Key")


def test_an_address_is_fetched_by_flora(stage, give, answer):
    asset = stage.play(
        give("https://example.com/b.png", folder="ferns", project_id="prj_1"),
        answer(201, PENDING),
        answer(200, PENDING),
        answer(200, READY),
    )
    assert asset.status == "ready"
    assert lines(stage) == ["POST /assets", "GET /assets/asset_1", "GET /assets/asset_1"]
    assert stage.requests[0].body == (
        b'{"folder":"ferns","project_id":"prj_1","source":"https://example.com/b.png","workspace_id":"ws_1"}'
    )
    assert stage.sleeps == [1, 1]


@pytest.mark.parametrize("size", [1, LARGE - 1])
def test_a_small_file_is_sent_at_once(stage, give, answer, size):
    asset = stage.play(give(io.BytesIO(bytes(size)), folder="ferns"), answer(201, READY))
    assert asset.url == "https://media.flora.ai/b.png"
    (request,) = stage.requests
    assert str(request) == "POST /assets"
    assert request.form.fields == {
        "workspace_id": "ws_1",
        "content_type": "image/png",
        "file_name": "b.PNG",
        "folder": "ferns",
    }


def test_a_large_file_goes_through_the_storage_that_flora_names(stage, give, answer):
    file = io.BytesIO(bytes(LARGE))
    asset = stage.play(give(file), answer(201, RESERVED), answer(204), answer(200, PENDING), answer(200, READY))
    assert asset.status == "ready"
    assert lines(stage) == [
        "POST /assets",
        "POST (file storage)",
        "POST /assets/asset_1/complete",
        "GET /assets/asset_1",
    ]
    reserve, store, complete, _ = stage.requests
    assert b'"source":"signed-url"' in reserve.body
    assert (store.url, key(store)) == (STORAGE, None)
    assert (store.form.fields, store.form.file_field) == ({"policy": "secret", "key": "k"}, "data")
    assert (store.form.file, store.form.content_type) == (file, "image/png")
    assert complete.body == b"{}"
    assert None not in {key(reserve), key(complete)}
    assert key(reserve) != key(complete)


def test_an_older_reservation_takes_the_bytes_themselves(stage, give, answer):
    file = io.BytesIO(bytes(LARGE))
    old = PENDING | {"upload_url": f"{STORAGE}?signature=secret"}
    stage.play(give(file), answer(201, old), answer(200), answer(200, READY))
    store = stage.requests[1]
    assert (store.method, store.url, store.body) == ("PUT", f"{STORAGE}?signature=secret", file)
    assert dict(store.headers) == {"Content-Type": "image/png"}


def test_every_step_survives_bad_weather_with_the_same_key(stage, give, answer):
    broke = errors.FloraConnectionError("broke")
    asset = stage.play(
        give(),
        *[broke, answer(503), answer(201, RESERVED)],
        *[broke, answer(503, retry_after=9), answer(204)],
        *[broke, answer(429), answer(200, PENDING)],
        *[broke, answer(200, READY)],
    )
    assert asset.status == "ready"
    keys = [key(request) for request in stage.requests]
    assert len(set(keys[:3])) == len(set(keys[6:9])) == 1
    assert set(keys[3:6] + keys[9:]) == {None}
    assert 9 <= max(stage.sleeps) < 10


def test_a_lost_answer_makes_a_second_asset_rather_than_an_error(stage, give, answer):
    duplicate = answer(409, {"error": {"code": "idempotency_duplicate", "message": "Duplicate idempotency key."}})
    flow = give("https://example.com/b.png")
    stage.play(flow, errors.FloraConnectionError("broke"), duplicate, answer(201, READY))
    first, resent, anew = stage.requests
    assert key(first) == key(resent) != key(anew)


def test_a_failure_that_flora_stored_under_the_key_is_left_behind_with_it(stage, give, answer):
    stored = answer(503, idempotent_replayed="true")
    stage.play(give("https://example.com/b.png"), answer(503), stored, answer(201, READY))
    first, resent, anew = stage.requests
    assert key(first) == key(resent) != key(anew)
    with pytest.raises(errors.FloraServerError):
        stage.play(give("https://example.com/b.png"), stored, stored)


def test_a_lost_reservation_is_asked_for_again(stage, give, answer):
    duplicate = answer(409, {"error": {"code": "idempotency_duplicate", "message": "Duplicate idempotency key."}})
    lost = [errors.FloraConnectionError("broke"), duplicate, answer(200, RESERVED)]
    stage.play(give(), answer(201, RESERVED), answer(403), *lost, answer(204), answer(200, READY))
    assert lines(stage)[2:5] == ["POST /assets/asset_1/retry"] * 3


def test_an_upload_that_was_completed_before_is_looked_at(stage, give, answer):
    conflict = answer(409, {"error": {"code": "conflict", "message": "Already complete."}})
    asset = stage.play(give(), answer(201, RESERVED), answer(204), conflict, answer(200, READY))
    assert asset.status == "ready"


@pytest.mark.parametrize("status", [400, 403, 410])
def test_an_expired_reservation_is_renewed_once(stage, give, answer, status):
    renewed = PENDING | {"upload": {"url": f"{STORAGE}/2", "form_fields": {}}}
    script = [answer(201, RESERVED), answer(status), answer(200, renewed)]
    stage.play(give(), *script, answer(201), answer(200, READY))
    assert lines(stage)[2] == "POST /assets/asset_1/retry"
    assert stage.requests[3].url == f"{STORAGE}/2"
    with pytest.raises(errors.FloraUploadError) as caught:
        stage.play(give(), *script, answer(status))
    assert str(caught.value) == f"FLORA could not use asset_1: the storage answered {status}"


def test_a_failed_asset_is_sent_again_once(stage, give, answer):
    through = [answer(204), answer(200, FAILED)]
    with pytest.raises(errors.FloraUploadError, match="FLORA could not use asset_1: Not an image") as caught:
        stage.play(give(), answer(201, RESERVED), *through, answer(200, RESERVED), *through)
    assert not caught.value.may_retry


def test_if_flora_sees_no_reason_to_renew_the_first_refusal_stands(stage, give, answer):
    conflict = answer(409, {"error": {"code": "conflict", "message": "Healthy."}})
    with pytest.raises(errors.FloraUploadError, match="the storage answered 403"):
        stage.play(give(), answer(201, RESERVED), answer(403), conflict)


def test_a_storage_that_stays_down_is_told(stage, give, context, answer):
    context.policy = RetryPolicy(max_retries=1)
    with pytest.raises(errors.FloraUploadError, match="the storage answered 503") as caught:
        stage.play(give(), answer(201, RESERVED), answer(503), answer(503))
    assert caught.value.may_retry


@pytest.mark.parametrize("failure", [FAILED, FAILED | {"failure_message": None}])
def test_what_flora_could_not_fetch_is_told(stage, give, answer, failure):
    reason = failure["failure_message"] or "it gave no reason"
    with pytest.raises(errors.FloraUploadError) as caught:
        stage.play(give("https://example.com/b.png"), answer(201, PENDING), answer(200, failure))
    assert str(caught.value) == f"FLORA could not use asset_1: {reason}"


def test_what_flora_says_of_a_failure_is_shown_on_one_line_and_not_for_ever(stage, give, answer):
    failed = FAILED | {"failure_message": "Too\nlarge. " + "x" * 5000}
    with pytest.raises(errors.FloraUploadError, match="asset_1: Too large") as caught:
        stage.play(give("https://example.com/b.png"), answer(201, failed))
    assert len(str(caught.value)) < 1100


def test_a_look_that_fails_is_followed_by_another(stage, give, answer):
    unseen = [answer(404), answer(503), errors.FloraConnectionError("broke")]
    asset = stage.play(give("https://example.com/b.png"), answer(201, PENDING), *unseen, answer(200, READY))
    assert asset.status == "ready"
    assert stage.sleeps == [1, 1, 1, 1]


def test_ready_timeout_bounds_failed_polls_too(stage, give, answer):
    with pytest.raises(errors.FloraUploadError, match="asset_1 is still pending_upload"):
        stage.play(give("https://example.com/b.png", ready_timeout=3), answer(201, PENDING), *[answer(503)] * 3)
    assert stage.sleeps == [1, 1, 1]


def test_a_key_that_was_revoked_meanwhile_ends_the_wait(stage, give, answer):
    with pytest.raises(errors.FloraAuthenticationError):
        stage.play(give("https://example.com/b.png"), answer(201, PENDING), answer(401))


def test_upload_gives_up_after_ready_timeout(stage, give, answer):
    with pytest.raises(errors.FloraUploadError, match="asset_1 is still processing: raise ready_timeout") as caught:
        stage.play(
            give("https://example.com/b.png", ready_timeout=3),
            *[answer(201, PENDING | {"status": "processing"})] * 4,
        )
    assert stage.sleeps == [1, 1, 1]
    assert caught.value.may_retry


@pytest.mark.parametrize(
    ("reserved", "kind", "message"),
    [
        (PENDING, errors.FloraAnswerError, "FLORA reserved no place to send asset asset_1 to"),
        (PENDING | {"upload_url": "http://evil.example.com/?signature=secret"}, errors.FloraUploadError, "only https"),
        (PENDING | {"asset_id": None, "upload_url": f"{STORAGE}"}, errors.FloraAnswerError, "no asset_id"),
    ],
)
def test_a_reservation_that_cannot_be_used_is_refused(stage, give, answer, reserved, kind, message):
    stored = [answer(204)] if reserved["asset_id"] is None else []
    with pytest.raises(kind, match=message) as caught:
        stage.play(give(), answer(201, reserved), *stored)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "options", "problem"),
    [
        ("http://example.com/a", {}, "source is http://example.com/…: FLORA fetches only https://"),
        (io.BytesIO(b""), {}, "the file is empty"),
        (io.BytesIO(b"x"), {"file_name": None}, "file_name is None: give a text"),
        (io.BytesIO(b"x"), {"file_name": None, "content_type": "image/png"}, "file_name is None: give a text"),
        (io.BytesIO(b"x"), {"file_name": "b.xyz"}, "file_name is 'b.xyz', which does not tell what it holds: give con"),
        (io.BytesIO(b"x"), {"content_type": "png"}, "content_type is 'png': give a media type"),
        (io.BytesIO(b"x"), {"workspace_id": "w"}, "workspace_id is 'w'"),
        (io.BytesIO(b"x"), {"file_name": "b.png\r\n--boundary"}, "file_name is 'b.png\\r\\n--boundary': give a text"),
        (io.BytesIO(b"x"), {"folder": "a\ud800"}, "folder is 'a\\ud800': give a text"),
        ("https://example.com/b.png", {"file_name": "b\n.png"}, "file_name is 'b\\n.png': give a text"),
        (io.StringIO("x"), {}, "the file is open for text: open it in binary"),
        (CLOSED, {}, "the file is closed"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(stage, give, source, options, problem):
    with pytest.raises(errors.FloraInputError) as caught:
        stage.play(give(source, **options))
    assert str(caught.value).startswith(problem)
