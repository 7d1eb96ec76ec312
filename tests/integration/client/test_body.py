"""What both clients make of a body, however large and however compressed."""

import gzip
import json
import tracemalloc

import httpx
import pytest

from flora_provider.api import calls, errors
from flora_provider.api.http.body import MAX_ANSWER, MAX_ERROR

RUN = {"run_id": "run_1", "status": "running"}


def test_error_of_ten_megabytes_is_read_in_part(any_client, stream):
    page = b"<html>" + b"x" * 10_000_000
    taken = []

    class Counted(type(stream(b""))):
        def __iter__(self):
            for piece in super().__iter__():
                taken.append(len(piece))
                yield piece

    client = any_client(lambda _request: httpx.Response(403, stream=Counted(page, 4096)), max_retries=0)
    with pytest.raises(errors.FloraPermissionError, match="no error of FLORA's"):
        client.send(calls.get_run("run_1"))
    assert sum(taken) <= MAX_ERROR + 4096


def test_success_above_the_size_limit_is_refused(any_client, stream):
    client = any_client(lambda _request: httpx.Response(200, stream=stream(b" " * (MAX_ANSWER + 1))))
    with pytest.raises(errors.FloraAnswerError, match="larger than 16 MB, so it is not FLORA's"):
        client.send(calls.get_run("run_1"))


@pytest.mark.parametrize(("status", "most"), [(200, 3 * MAX_ANSWER), (500, 10 * MAX_ERROR)])
def test_decompression_bomb_is_stopped_by_the_size_limit(any_client, stream, bomb, status, most):
    client = any_client(lambda _request: compressed(stream, bomb, status=status), max_retries=0)
    tracemalloc.start()
    with pytest.raises(errors.FloraAnswerError if status == 200 else errors.FloraServerError):
        client.send(calls.get_run("run_1"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < most


def compressed(stream, body, coding="gzip", status=200, size=65_536):
    return httpx.Response(status, headers={"content-encoding": coding}, stream=stream(body, size))


@pytest.mark.parametrize("coding", ["gzip", "GZIP"])
@pytest.mark.parametrize("member", [70_000, 10**6], ids=["several members", "one member"])
@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_compressed_answers_are_read_however_they_are_cut(any_client, stream, size, member, coding):
    text = json.dumps(RUN | {"error_message": "x" * 200_000}).encode()
    body = b"".join(gzip.compress(text[at : at + member]) for at in range(0, len(text), member))
    client = any_client(lambda _request: compressed(stream, body, coding, size=size))
    assert len(client.send(calls.get_run("run_1")).error_message) == 200_000


@pytest.mark.parametrize(
    ("coding", "body", "message"),
    [
        ("gzip", b"no gzip at all", "the answer arrived damaged: it cannot be decompressed"),
        ("gzip, gzip", b"x", "the answer is compressed in an unknown way: gzip, gzip"),
        ("br", b"x", "the answer is compressed in an unknown way: br"),
    ],
)
def test_compression_that_cannot_be_undone_is_no_whole_answer(any_client, stream, coding, body, message):
    client = any_client(lambda _request: compressed(stream, body, coding), max_retries=1)
    with pytest.raises(errors.FloraConnectionError, match=message):
        client.send(calls.get_run("run_1"))


def test_compressed_answer_that_breaks_off_is_asked_for_again(any_client, stream):
    body = gzip.compress(json.dumps(RUN).encode())
    bodies = [body[:-5], body]
    assert any_client(lambda _request: compressed(stream, bodies.pop(0))).send(calls.get_run("run_1")).run_id == "run_1"
    with pytest.raises(errors.FloraConnectionError, match="broke off"):
        any_client(lambda _request: compressed(stream, body[:-5]), max_retries=1).send(calls.get_run("run_1"))


@pytest.mark.parametrize("coding", ["br", "gzip", "gzip, gzip", "deflate"])
@pytest.mark.parametrize("status", [401, 402, 409, 500])
def test_error_that_cannot_be_decompressed_is_still_that_error(any_client, stream, coding, status):
    client = any_client(lambda _request: compressed(stream, b"x", coding, status), max_retries=0)
    with pytest.raises(errors.FloraStatusError, match="no error of FLORA's") as caught:
        client.send(calls.get_run("run_1"))
    assert caught.value.status == status


def test_blank_content_encoding_counts_as_none(any_client, stream):
    client = any_client(lambda _request: compressed(stream, json.dumps(RUN).encode(), coding=" "))
    assert client.send(calls.get_run("run_1")).run_id == "run_1"
