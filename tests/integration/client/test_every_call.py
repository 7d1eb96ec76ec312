"""Every call through both clients: on the wire is what the call says, and both return what it reads."""

import json

import httpx
import pytest

from tests.unit.api.reference import EXAMPLES
from tests.unit.api.reference.assets import READY, from_file


@pytest.mark.parametrize(("make", "line", "sent", "said"), EXAMPLES, ids=[example[1] for example in EXAMPLES])
def test_both_clients_send_a_call_and_return_its_answer(any_client, api_key, make, line, sent, said):
    seen = []

    def flora(request):
        request.read()
        seen.append(request)
        return httpx.Response(200, json=said)

    assert any_client(flora).send(make()) == make().read(said)

    (request,) = seen
    method, _, path = line.partition(" ")
    assert (request.method, str(request.url)) == (method, f"https://app.flora.ai/api/v1{path}")
    assert request.headers["authorization"] == f"Bearer {api_key}"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("airflow-provider-flora/")
    if make is not from_file:
        assert (json.loads(request.content) if request.content else None) == sent
        assert request.headers.get("content-type") == (None if sent is None else "application/json")


def test_file_is_sent_as_a_form_that_repeats_byte_for_byte(any_client):
    bodies = []

    def flora(request):
        bodies.append((request.headers["content-type"], request.read()))
        return httpx.Response(503 if len(bodies) == 1 else 201, json=READY)

    any_client(flora).send(from_file().with_key("k"))

    (first_type, first), (second_type, second) = bodies
    assert first == second
    assert first_type == second_type
    assert first_type.startswith("multipart/form-data; boundary=")
    for part in (b'name="workspace_id"\r\n\r\nws_1', b'name="folder"\r\n\r\nferns', b'filename="b.png"', b"image/png"):
        assert part in first
    assert first.index(b'name="folder"') < first.index(b'name="file"')
