"""What a client's observer is called with."""

import io

import httpx
import pytest

from flora_provider.api import calls
from flora_provider.api.errors import FloraConnectionError
from flora_provider.api.files.upload import upload

FERN = calls.generate(type="image", prompt="a fern", workspace_id="ws_1", project_id="prj_1").with_key("fern-1")


@pytest.fixture
def observed():
    return []


@pytest.fixture
def observe(observed):
    return lambda request, response: observed.append((request, response and response.status))


def test_observer_is_called_once_for_each_attempt_with_its_answer(any_client, observed, observe):
    overloaded = httpx.Response(429, headers={"retry-after": "0"})
    responses = iter([overloaded, httpx.ReadError("broke"), httpx.Response(201, json={"run_id": "run_1"})])

    def handle(request):
        response = next(responses)
        if isinstance(response, Exception):
            raise response
        return response

    client = any_client(handle, observer=observe)
    assert client.send(FERN).run_id == "run_1"
    assert observed == [(FERN, 429), (FERN, None), (FERN, 201)]


def test_observer_is_called_for_an_attempt_that_fails_for_good(any_client, observed, observe):
    def refuse(request):
        raise httpx.ConnectError("refused")

    with pytest.raises(FloraConnectionError):
        any_client(refuse, observer=observe, max_retries=1).send(FERN)
    assert observed == [(FERN, None)] * 2


def test_observer_is_not_called_for_files_elsewhere(any_client, observed, observe, context):
    pending = {"asset_id": "asset_1", "workspace_id": "ws_1", "status": "pending_upload", "url": None}
    reserved = pending | {"upload_url": "https://storage.googleapis.com/bucket?signature=secret"}
    ready = pending | {"status": "ready", "url": "https://media.flora.ai/b.png"}

    def handle(request):
        request.read()
        return httpx.Response(200, json=reserved if request.url.path.endswith("/assets") else ready)

    client = any_client(handle, observer=observe)
    client.run(upload(io.BytesIO(b"png"), workspace_id="ws_1", file_name="b.png", context=context))
    assert [request.is_api for request, _ in observed] == [True, True]


def test_calls_say_which_kind_of_run_they_start():
    scope = {"workspace_id": "ws_1", "project_id": "prj_1"}
    assert FERN.starts == "generation"
    assert calls.run_technique(technique_id="tech_1", workspace_id="ws_1", inputs={"a": "b"}).starts == "technique"
    nested = calls.start_technique("jingle", inputs=[{"id": "a", "type": "text", "value": "b"}])
    assert nested.starts == nested.with_key("k").starts == "technique"
    action = calls.run_action(action_id="join", inputs=[{"type": "text", "text": "a"}], **scope)
    assert action.starts == calls.run_action_node(project_id="prj_1", node_id="n").starts == "action"
    assert calls.get_run("run_1").starts is calls.run_nodes(node_ids=["n"], **scope).starts is None
