"""Giving FLORA a file: the way chosen by kind and size, the key kept from the storage, and every hitch on the way."""

import io
import itertools

import pytest

from flora_provider.api import errors
from flora_provider.api.files.upload import upload
from flora_provider.api.http.retry_policy import RetryPolicy
from tests.support.responses import error_response, response

CLOSED = io.BytesIO(b"x")
CLOSED.close()
LARGE = 4 * 1024 * 1024 + 1
STORAGE = "https://storage.googleapis.com/bucket"
BROKE = errors.FloraConnectionError("broke")
DUPLICATE = error_response(409, "idempotency_duplicate", "Duplicate idempotency key.")
STORED = response(503, idempotent_replayed="true")
PENDING = {"asset_id": "asset_1", "workspace_id": "ws_1", "status": "pending_upload", "url": None}
RESERVED = PENDING | {"upload": {"url": STORAGE, "file_field": "data", "form_fields": {"policy": "secret", "key": "k"}}}
READY = PENDING | {"status": "ready", "url": "https://media.flora.ai/b.png"}
FAILED = PENDING | {"status": "failed", "failure_message": "Not an image."}


@pytest.fixture
def give(context, runner):
    numbers = itertools.count()

    def make(source=None, **options):
        if source is None:
            source = io.BytesIO(bytes(LARGE))
        context.random = lambda: next(numbers) % 997 / 997
        named = {} if isinstance(source, str) else {"file_name": "b.PNG"}
        return upload(source, **{"workspace_id": "ws_1", **named, "context": context, **options})

    return make


def lines(runner):
    return [str(request) for request in runner.requests]


def key(request):
    return dict(request.headers).get("Idempotency-Key")


def test_upload_of_a_url_is_fetched_by_flora(runner, give):
    asset = runner.run(
        give("https://example.com/b.png", folder="ferns", project_id="prj_1"),
        response(201, PENDING),
        response(200, PENDING),
        response(200, READY),
    )
    assert asset.status == "ready"
    assert lines(runner) == ["POST /assets", "GET /assets/asset_1", "GET /assets/asset_1"]
    assert runner.requests[0].body == (
        b'{"folder":"ferns","project_id":"prj_1","source":"https://example.com/b.png","workspace_id":"ws_1"}'
    )
    assert runner.sleeps == [1, 1]


@pytest.mark.parametrize("size", [1, LARGE - 1])
def test_upload_of_a_small_file_is_one_request(runner, give, size):
    asset = runner.run(give(io.BytesIO(bytes(size)), folder="ferns"), response(201, READY))
    assert asset.url == "https://media.flora.ai/b.png"
    (request,) = runner.requests
    assert str(request) == "POST /assets"
    assert request.form.fields == {
        "workspace_id": "ws_1",
        "content_type": "image/png",
        "file_name": "b.PNG",
        "folder": "ferns",
    }


def test_upload_of_a_large_file_goes_through_the_storage_that_flora_names(runner, give):
    file = io.BytesIO(bytes(LARGE))
    asset = runner.run(give(file), response(201, RESERVED), response(204), response(200, PENDING), response(200, READY))
    assert asset.status == "ready"
    assert lines(runner) == [
        "POST /assets",
        "POST (file storage)",
        "POST /assets/asset_1/complete",
        "GET /assets/asset_1",
    ]
    reserve, store, complete, _ = runner.requests
    assert b'"source":"signed-url"' in reserve.body
    assert (store.url, key(store)) == (STORAGE, None)
    assert (store.form.fields, store.form.file_field) == ({"policy": "secret", "key": "k"}, "data")
    assert (store.form.file, store.form.content_type) == (file, "image/png")
    assert complete.body == b"{}"
    assert None not in {key(reserve), key(complete)}
    assert key(reserve) != key(complete)


def test_older_reservation_takes_the_bytes_themselves(runner, give):
    file = io.BytesIO(bytes(LARGE))
    old = PENDING | {"upload_url": f"{STORAGE}?signature=secret"}
    runner.run(give(file), response(201, old), response(200), response(200, READY))
    store = runner.requests[1]
    assert (store.method, store.url, store.body) == ("PUT", f"{STORAGE}?signature=secret", file)
    assert dict(store.headers) == {"Content-Type": "image/png"}


def test_every_step_survives_outages_with_the_same_key(runner, give):
    asset = runner.run(
        give(),
        *[BROKE, response(503), response(201, RESERVED)],
        *[BROKE, response(503, retry_after=9), response(204)],
        *[BROKE, response(429), response(200, PENDING)],
        *[BROKE, response(200, READY)],
    )
    assert asset.status == "ready"
    keys = [key(request) for request in runner.requests]
    assert len(set(keys[:3])) == len(set(keys[6:9])) == 1
    assert set(keys[3:6] + keys[9:]) == {None}
    assert 9 <= max(runner.sleeps) < 10


@pytest.mark.parametrize(("failure", "answer"), [(BROKE, DUPLICATE), (response(503), STORED)], ids=["lost", "stored"])
def test_lost_answer_or_stored_failure_is_left_behind_with_its_key(runner, give, failure, answer):
    runner.run(give("https://example.com/b.png"), failure, answer, response(201, READY))
    first, resent, anew = runner.requests
    assert key(first) == key(resent) != key(anew)


def test_failure_that_is_stored_under_a_second_key_is_raised(runner, give):
    with pytest.raises(errors.FloraServerError):
        runner.run(give("https://example.com/b.png"), STORED, STORED)


def test_lost_reservation_is_asked_for_again(runner, give):
    lost = [BROKE, DUPLICATE, response(200, RESERVED)]
    runner.run(give(), response(201, RESERVED), response(403), *lost, response(204), response(200, READY))
    assert lines(runner)[2:5] == ["POST /assets/asset_1/retry"] * 3


def test_upload_that_was_completed_before_is_polled(runner, give):
    conflict = error_response(409, "conflict", "Already complete.")
    asset = runner.run(give(), response(201, RESERVED), response(204), conflict, response(200, READY))
    assert asset.status == "ready"


@pytest.mark.parametrize("status", [400, 403, 410])
def test_expired_reservation_is_renewed_once(runner, give, status):
    renewed = PENDING | {"upload": {"url": f"{STORAGE}/2", "form_fields": {}}}
    script = [response(201, RESERVED), response(status), response(200, renewed)]
    runner.run(give(), *script, response(201), response(200, READY))
    assert lines(runner)[2] == "POST /assets/asset_1/retry"
    assert runner.requests[3].url == f"{STORAGE}/2"
    with pytest.raises(errors.FloraUploadError) as caught:
        runner.run(give(), *script, response(status))
    assert str(caught.value) == f"FLORA could not use asset_1: the storage answered {status}"


def test_failed_asset_is_sent_again_once(runner, give):
    through = [response(204), response(200, FAILED)]
    with pytest.raises(errors.FloraUploadError, match="FLORA could not use asset_1: Not an image") as caught:
        runner.run(give(), response(201, RESERVED), *through, response(200, RESERVED), *through)
    assert not caught.value.may_retry


def test_reservation_that_flora_does_not_renew_raises_the_first_refusal(runner, give):
    conflict = error_response(409, "conflict", "Healthy.")
    with pytest.raises(errors.FloraUploadError, match="the storage answered 403"):
        runner.run(give(), response(201, RESERVED), response(403), conflict)


def test_storage_that_stays_down_is_reported(runner, give, context):
    context.policy = RetryPolicy(max_retries=1)
    with pytest.raises(errors.FloraUploadError, match="the storage answered 503") as caught:
        runner.run(give(), response(201, RESERVED), response(503), response(503))
    assert caught.value.may_retry


@pytest.mark.parametrize("failure", [FAILED, FAILED | {"failure_message": None}])
def test_upload_reports_why_flora_could_not_fetch_a_url(runner, give, failure):
    reason = failure["failure_message"] or "it gave no reason"
    with pytest.raises(errors.FloraUploadError) as caught:
        runner.run(give("https://example.com/b.png"), response(201, PENDING), response(200, failure))
    assert str(caught.value) == f"FLORA could not use asset_1: {reason}"


def test_failure_message_of_an_asset_is_shown_on_one_line_and_cut(runner, give):
    failed = FAILED | {"failure_message": "Too\nlarge. " + "x" * 5000}
    with pytest.raises(errors.FloraUploadError, match="asset_1: Too large") as caught:
        runner.run(give("https://example.com/b.png"), response(201, failed))
    assert len(str(caught.value)) < 1100


def test_poll_that_fails_is_followed_by_another(runner, give):
    unseen = [response(404), response(503), BROKE]
    asset = runner.run(give("https://example.com/b.png"), response(201, PENDING), *unseen, response(200, READY))
    assert asset.status == "ready"
    assert runner.sleeps == [1, 1, 1, 1]


def test_key_that_was_revoked_meanwhile_ends_the_wait(runner, give):
    with pytest.raises(errors.FloraAuthenticationError):
        runner.run(give("https://example.com/b.png"), response(201, PENDING), response(401))


@pytest.mark.parametrize("status", ["pending_upload", "processing"])
@pytest.mark.parametrize("fails", [True, False], ids=["failed polls", "polls"])
def test_upload_gives_up_after_ready_timeout(runner, give, status, fails):
    asset = response(201, PENDING | {"status": status})
    flow = give("https://example.com/b.png", ready_timeout=3)
    with pytest.raises(errors.FloraUploadError, match=f"asset_1 is still {status}: raise ready_timeout") as caught:
        runner.run(flow, asset, *[response(503) if fails else asset] * 3)
    assert runner.sleeps == [1, 1, 1]
    assert caught.value.may_retry


@pytest.mark.parametrize(
    ("reserved", "kind", "message"),
    [
        (PENDING, errors.FloraAnswerError, "FLORA reserved no place to send asset asset_1 to"),
        (PENDING | {"upload_url": "http://evil.example.com/?signature=secret"}, errors.FloraUploadError, "only https"),
        (PENDING | {"asset_id": None, "upload_url": f"{STORAGE}"}, errors.FloraAnswerError, "no asset_id"),
    ],
)
def test_reservation_that_cannot_be_used_is_refused(runner, give, reserved, kind, message):
    stored = [response(204)] if reserved["asset_id"] is None else []
    with pytest.raises(kind, match=message) as caught:
        runner.run(give(), response(201, reserved), *stored)
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
def test_upload_refuses_invalid_arguments_before_anything_is_sent(runner, give, source, options, problem):
    with pytest.raises(errors.FloraInputError) as caught:
        runner.run(give(source, **options))
    assert str(caught.value).startswith(problem)
