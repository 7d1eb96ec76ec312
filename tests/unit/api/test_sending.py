"""One call with its retries, on a runner: what is resent, what is waited for, what is logged, what is raised."""

import io
import json
import logging

import pytest

from flora_provider.api import calls, errors
from flora_provider.api.calls.sending import read
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.api.models.base import parse_json
from tests.support.responses import error_response, response
from tests.unit.api.reference.common import SCOPE

RUN = {"run_id": "run_1", "status": "running"}


def get():
    return calls.get_run("run_1")


def generate():
    return calls.generate(type="image", prompt="a fern", **SCOPE)


def test_answer_is_read(runner):
    assert runner.send(get(), response(201, RUN)).run_id == "run_1"
    assert runner.sleeps == []


def test_transient_failures_are_retried_with_growing_pauses(runner):
    script = [response(503), errors.FloraConnectionError("broke"), errors.FloraTimeoutError("late"), response(500)]
    assert runner.send(get(), *script, response(200, RUN)).run_id == "run_1"
    assert runner.sleeps == [0.5, 1, 2, 4]


def test_last_retry_raises_the_last_failure(runner):
    runner.context.policy = RetryPolicy(max_retries=1)
    with pytest.raises(errors.FloraServerError, match="502"):
        runner.send(get(), response(503), response(502))


def test_every_resend_repeats_bytes_and_key(runner):
    call = generate().with_key("key-1")
    runner.send(call, response(500), errors.FloraConnectionError("broke"), response(201, RUN))
    first, *others = [(r.method, r.url, r.query, r.body, r.headers) for r in runner.requests]
    assert others == [first, first]


def test_post_without_a_key_is_not_resent_when_flora_may_have_acted(runner):
    for failure in (response(503), response(408), errors.FloraConnectionError("broke")):
        with pytest.raises(errors.FloraError):
            runner.send(generate(), failure)
    refused = errors.FloraConnectionError("refused", ambiguous=False)
    assert runner.send(generate(), refused, response(429), response(201, RUN)).run_id == "run_1"


def test_long_retry_after_is_left_to_the_retries_of_the_task(runner):
    with pytest.raises(errors.FloraRateLimitError) as caught:
        runner.send(get(), response(429, retry_after=90))
    assert caught.value.retry_after == 90
    assert runner.sleeps == []


def test_each_retry_is_logged_with_reason_wait_and_request_id(runner, caplog):
    caplog.set_level(logging.INFO)
    refused = error_response(429, "rate_limited", "Rate limit exceeded.", retry_after=7, request_id="req_9")
    runner.send(get(), refused, response(200, RUN))
    assert runner.sleeps == [7]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.message == (
        "GET /runs/run_1: FLORA answered 429 rate_limited: Rate limit exceeded (request req_9). Start fewer runs at "
        "once (an Airflow pool limits its tasks), or set requests_per_second. Trying again in 7.0 s"
    )


KINDS = [
    (400, "input_validation_error", errors.FloraRequestError),
    (401, "invalid_api_key", errors.FloraAuthenticationError),
    (402, "insufficient_credits", errors.FloraPaymentError),
    (403, "forbidden", errors.FloraPermissionError),
    (404, "not_found", errors.FloraNotFoundError),
    (408, None, errors.FloraServerError),
    (409, "conflict", errors.FloraConflictError),
    (409, "idempotency_duplicate", errors.FloraDuplicateError),
    (422, "idempotency_duplicate", errors.FloraRequestError),
    (418, "teapot", errors.FloraRequestError),
    (422, "idempotency_conflict", errors.FloraRequestError),
    (429, "rate_limited", errors.FloraRateLimitError),
    (500, "unknown_error", errors.FloraServerError),
    (599, None, errors.FloraServerError),
    (302, None, errors.FloraRequestError),
]


@pytest.mark.parametrize(("status", "code", "kind"), KINDS)
def test_each_status_has_its_error(runner, status, code, kind):
    runner.context.policy = RetryPolicy(max_retries=0)
    said = error_response(
        status, code, "No.", request_id="req_1", x_should_retry="false", idempotent_replayed="TRUE", retry_after_ms=1500
    )
    with pytest.raises(errors.FloraStatusError) as caught:
        runner.send(get(), said)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.request_id, error.retry_after) == (status, code, "req_1", 1.5)
    assert (error.should_retry, error.replayed) == (False, True)


def test_message_quotes_flora_and_its_fields():
    said = error_response(400, "input_validation_error", "prompt: Required", ("prompt", "Required"), ("type", "odd"))
    with pytest.raises(errors.FloraRequestError) as caught:
        read(get(), said, now=0)
    assert str(caught.value) == "FLORA answered 400 input_validation_error: prompt: Required [type: odd]"
    assert caught.value.fields == (errors.FieldError("prompt", "Required"), errors.FieldError("type", "odd"))


NOT_FLORA = "a proxy may stand between, or the host is not FLORA's"
REDIRECT = (
    "a redirect, which is not followed with the API key: give the address it leads to as base_url "
    "(the connection's host)"
)


@pytest.mark.parametrize(
    ("answered", "message"),
    [
        (
            {"status": 502, "body": b"<html>Bad gateway</html>", "content_type": "text/html; charset=utf-8"},
            f"FLORA answered 502: the body is no error of FLORA's (text/html): {NOT_FLORA}",
        ),
        (
            {"status": 302, "body": b"", "location": "https://login.example.com/?token=secret"},
            f"FLORA answered 302: {REDIRECT}",
        ),
        ({"status": 503, "payload": {"error": {"code": "service_unavailable", "message": ""}}},
         "FLORA answered 503 service_unavailable: it gave no reason"),
        ({"status": 500, "payload": {"error": "upstream down.\n\x1b[31m"}}, "FLORA answered 500: upstream down. [31m"),
        ({"status": 500, "payload": {"error": {"code": 5, "message": ["?"], "fields": [1, {"field": 2}]}}},
         f"FLORA answered 500: the body is no error of FLORA's (no content type): {NOT_FLORA}"),
        ({"status": 403, "payload": {"error": {"message": "Why is that?"}}},
         f"FLORA answered 403: Why is that? {errors.FloraPermissionError.remedy}"),
    ],
)  # fmt: skip
def test_body_that_is_no_error_of_floras_is_reported_in_a_sentence(answered, message):
    with pytest.raises(errors.FloraStatusError) as caught:
        read(get(), response(**answered), now=0)
    assert str(caught.value) == message


FOREIGN = "Project does not belong to the specified workspace."


def refused(status, code, message, call, *fields):
    with pytest.raises(errors.FloraStatusError) as caught:
        read(call, error_response(status, code, message, *fields), now=0)
    return str(caught.value)


@pytest.mark.parametrize(
    ("call", "answered", "said"),
    [
        (calls.request("GET", "nonsense"), {"payload": {"error": {"code": "not_found", "message": "Not found."}}},
         " not_found: Not found"),
        (calls.request("POST", "technique-runs", "latest"), {"payload": {"error": {"code": "not_found"}}},
         " not_found: it gave no reason"),
        (get(), {"body": b"<html>404</html>", "content_type": "text/html"},
         f": the body is no error of FLORA's (text/html): {NOT_FLORA}"),
        (get(), {"payload": {"error": "Not Found"}}, ": Not Found"),
        (get(), {"payload": {"detail": "Not Found"}},
         f": the body is no error of FLORA's (no content type): {NOT_FLORA}"),
    ],
)  # fmt: skip
def test_missing_endpoint_is_not_reported_as_a_missing_id(call, answered, said):
    with pytest.raises(errors.FloraNotFoundError) as caught:
        read(call, response(404, **answered), now=0)
    assert str(caught.value) == (
        f"FLORA answered 404{said}. This address has no endpoint {call}: check the path, and base_url (the "
        "connection's host)"
    )


@pytest.mark.parametrize(
    "call",
    [
        calls.get_run("run_1"),
        calls.get_technique("cctv-cam"),
        calls.get_action("ken-burns-video"),
        calls.list_generations(project_id="prj_1"),
        calls.create_project(workspace_id="ws_1", name="n"),
        calls.delete_library_folder(workspace_id="ws_1", folder_id="libfolder_1"),
        calls.request("GET", "elements", "el_1"),
    ],
    ids=repr,
)
def test_missing_id_is_reported_wherever_it_was_sent(call):
    said = refused(404, "not_found", "Not found.", call)
    assert "Not found. The id is unknown, or belongs to a workspace this API key cannot see" in said


def test_missing_id_of_a_body_may_be_a_wrong_path_too():
    said = refused(404, "not_found", "Not found.", generate())
    assert said.endswith(
        "; or this address has no endpoint POST /generate: check the path, and base_url (the connection's host)"
    )
    assert "no endpoint" not in refused(404, "not_found", "Run run_1 not found.", calls.get_run("run_1"))


def test_project_of_another_workspace_is_reported_with_both_ids_and_where_they_come_from():
    for fields in ((), [("project_id", FOREIGN)]):
        assert refused(400, "input_validation_error", FOREIGN, generate(), *fields) == (
            "FLORA answered 400 input_validation_error: Project does not belong to the specified workspace. Sent were "
            "workspace_id 'ws_1' and project_id 'prj_1', which come from the call or the task or, where it names none, "
            "from the connection's extra (workspace_id: list_workspaces() names yours, and so does the connection's "
            "Test button; project_id: calls.list_projects() or hook.iter_projects() names yours, and so does its "
            "address in FLORA)"
        )


def test_ids_that_flora_refuses_are_named_wherever_they_were_sent():
    def said(call, message="Unknown workspace"):
        return refused(400, "input_validation_error", message, call)

    assert "Sent were workspace_id 'ws_1', which" in said(calls.list_projects(workspace_id="ws_1"))
    assert "Sent were project_id 'prj_1', which" in said(calls.list_nodes("prj_1"))
    assert "Sent were project_id 'prj_1' and asset_id 'asset_1', which" in said(
        calls.attach_asset(project_id="prj_1", asset_id="asset_1")
    )
    file = calls.create_asset_from_file(
        file=io.BytesIO(b"x"), file_name="a.png", content_type="image/png", workspace_id="ws_1"
    )
    assert "Sent were workspace_id 'ws_1', which" in said(file)
    assert said(calls.list_workspaces()).endswith(": Unknown workspace")
    assert said(generate(), "prompt is too long").endswith(": prompt is too long")


def test_error_that_says_nothing_makes_the_ids_suspect():
    said = refused(500, "unknown_error", "An unknown error occurred.", generate())
    assert said.startswith(
        "FLORA answered 500 unknown_error: An unknown error occurred. FLORA answers so to ids that it"
    )
    assert "Sent were workspace_id 'ws_1' and project_id 'prj_1'" in said
    for status, code in ((503, "unknown_error"), (500, "internal_error"), (500, None)):
        assert "Sent were" not in refused(status, code, "Down.", generate())


def test_headers_are_quoted_readably_in_messages():
    odd = {"request_id": "req_\x1b[31m\t" + "9" * 1000, "content_type": "text/\x9b" + "x" * 1000}
    for said in (response(500, **odd), response(200, body=b"{", **odd)):
        with pytest.raises(errors.FloraError) as caught:
            read(get(), said, now=0)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500
        assert caught.value.request_id == "req_ [31m " + "9" * 90
    with pytest.raises(errors.FloraServerError) as caught:
        read(get(), response(500, request_id=" "), now=0)
    assert caught.value.request_id is None


def test_message_is_shown_in_a_readable_length():
    rows = [("f" * 1000, "m" * 1000)] * 1000
    with pytest.raises(errors.FloraRequestError) as caught:
        read(get(), error_response(400, "c" * 1000, "word " * 10_000, *rows), now=0)
    assert len(str(caught.value)) < 10_000


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<!doctype html>", "the body is HTML (JSONDecodeError): a proxy may stand between"),
        (b"\xff\xfe\x00", "the body is no JSON (UnicodeDecodeError)"),
        (b'{"run_id": "run_1", "status": NaN}', "FLORA's answer is no Run: status.str"),
        (b"[" * 200 + b"]" * 200, "the body is nested too deeply (RecursionError)"),
        (b"[" * 100_000, "the body is nested too deeply (RecursionError)"),
        (b"1" * 5000, "FLORA's answer is no Run: the answer: Input should be"),
        (b"", "FLORA's answer is no Run: the answer: Input should be"),
        (b"[]", "FLORA's answer is no Run: the answer: Input should be"),
        (b'{"status": "running"}', "FLORA's answer is no Run: run_id: Field required"),
        (b'{"run_id": 5, "status": null}', "FLORA's answer is no Run: run_id: Input should be a valid string; status"),
    ],
)
def test_success_that_cannot_be_read_is_not_resent(runner, body, problem):
    with pytest.raises(errors.FloraAnswerError) as caught:
        runner.send(get(), response(200, body=body, request_id="req_7"))
    assert str(caught.value).startswith(f"GET /runs/run_1: {problem}")
    assert str(caught.value).endswith("(request req_7)")
    assert caught.value.request_id == "req_7"


@pytest.mark.parametrize("payload", [None, [], {}, {"generations": 5}, {"generations": {}}])
def test_answer_without_its_list_is_reported(payload):
    with pytest.raises(errors.FloraAnswerError, match="FLORA's answer holds no list 'generations'"):
        read(calls.list_generations(), response(200, payload), now=0)


def test_json_is_read_to_a_sane_depth():
    assert parse_json(b"") is None
    assert parse_json(b" null ") is None
    deep = b'{"a":' * 90 + b"[]" + b"}" * 90
    assert json.dumps(parse_json(deep)).replace(" ", "").encode() == deep
