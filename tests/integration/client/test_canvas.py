"""Both clients on a canvas of the sandbox, where answers get lost."""

import httpx
import pytest

from flora_provider.api import calls, errors
from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.settings import Settings

CANVAS = "/projects/{project_id}/canvas"
PROJECT = "/workspaces/{workspace_id}/projects/{project_id}"
FERN = {"ref": "fern", "type": "image", "prompt": "A fern", "model": "t2i-flux-2-pro"}


@pytest.fixture
def sandbox():
    return Sandbox(Settings(speed=1e6))


@pytest.fixture
def scope(sandbox):
    return {"workspace_id": sandbox.workspace_id, "project_id": sandbox.project_id}


@pytest.fixture
def flora(sandbox, any_client):
    return any_client(transport=httpx.MockTransport(sandbox.handle), api_key=sandbox.api_key)


@pytest.fixture
def lose_answer(sandbox):
    """The next answer of a route is lost after FLORA has acted."""
    return lambda method, route: sandbox.faults.add(Fault(route, method=method, delivery="drop", after=True))


def nodes(flora, scope):
    return flora.send(calls.get_graph(**scope)).nodes


def test_call_that_takes_no_key_is_not_sent_again_when_its_answer_is_lost(flora, sandbox, scope, lose_answer):
    project_id = scope["project_id"]
    node = flora.send(calls.create_action_node(project_id=project_id, action_id="qr-code-generator-browser"))
    text = flora.send(calls.apply_changeset(**scope, add=[{"ref": "t", "type": "text", "prompt": "https://flora.ai"}]))
    link = {"from": text.created["t"].id, "to": node.node_id}
    flora.send(calls.apply_changeset(**scope, connect=[link]))
    action = f"{CANVAS.removesuffix('/canvas')}/actions"
    for method, route, call in (
        ("PATCH", CANVAS, calls.extend_canvas(project_id=project_id, diagram="graph LR\n a[A fern]")),
        ("POST", action, calls.create_action_node(project_id=project_id, action_id="split-text-browser")),
        ("POST", f"{action}/{{node_id}}/run", calls.run_action_node(project_id=project_id, node_id=node.node_id)),
    ):
        asked = sandbox.stats()["requests"].get(f"{method} {route}", 0)
        lose_answer(method, route)
        with pytest.raises(errors.FloraConnectionError):
            flora.send(call)
        assert sandbox.stats()["requests"][f"{method} {route}"] == asked + 1
    assert len(nodes(flora, scope)) == 4
    assert sandbox.stats()["runs_started"] == 1


def test_changeset_under_a_key_is_applied_once_when_its_answer_is_lost(flora, scope, lose_answer):
    lose_answer("POST", f"{PROJECT}/canvas/changeset")
    with pytest.raises(errors.FloraDuplicateError):
        flora.send(calls.apply_changeset(**scope, add=[FERN]).with_key("k"))
    (node,) = nodes(flora, scope)
    assert (node.prompt, node.model_id) == ("A fern", "t2i-flux-2-pro")


def test_nodes_are_run_and_billed_once_when_the_answer_is_lost(flora, sandbox, scope, lose_answer):
    created = flora.send(calls.apply_changeset(**scope, add=[FERN])).created
    lose_answer("POST", f"{PROJECT}/nodes/run")
    with pytest.raises(errors.FloraDuplicateError):
        flora.send(calls.run_nodes(**scope, node_ids=[created["fern"].id]).with_key("k"))
    assert sandbox.stats()["runs_billed"] == 1


def test_canvas_is_replaced_although_the_first_answer_is_lost(flora, scope, lose_answer):
    flora.send(calls.apply_changeset(**scope, add=[FERN]))
    definition = flora.send(calls.get_canvas_definition(**scope)).definition
    lose_answer("PUT", f"{PROJECT}/canvas/definition")
    replaced = flora.send(calls.replace_canvas_definition(**scope, definition=definition))
    assert replaced.definition == definition


def test_folder_is_deleted_although_the_first_request_is_lost(flora, sandbox, scope):
    workspace_id = scope["workspace_id"]
    folder = flora.send(calls.create_library_folder(workspace_id=workspace_id))
    sandbox.faults.add(Fault("/workspaces/{workspace_id}/library/folders/{folder_id}", delivery="drop"))
    deleted = flora.send(calls.delete_library_folder(workspace_id=workspace_id, folder_id=folder.folder_id))
    assert (deleted.folder_id, deleted.deleted) == (folder.folder_id, True)


def test_operation_that_flora_refuses_is_named_by_its_member(flora, scope):
    with pytest.raises(errors.FloraRequestError, match=r"connect\[0\].to") as caught:
        flora.send(calls.apply_changeset(**scope, add=[FERN], connect=[{"from": "fern", "to": "n99"}]))
    assert [field for field, _ in caught.value.fields] == ["connect[0].to"]
    assert nodes(flora, scope) == ()


def test_missing_endpoint_is_reported_as_such(flora, scope):
    with pytest.raises(errors.FloraNotFoundError, match="This address has no endpoint GET /nonsense: check the path"):
        flora.send(calls.request("GET", "nonsense"))
    with pytest.raises(errors.FloraNotFoundError, match="The id is unknown"):
        flora.send(calls.get_canvas("prj_other"))
