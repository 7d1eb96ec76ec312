"""Every call of the client has a verb in the hook, which sends it in the connection's workspace and project."""

import inspect
import io

import pytest

from flora_provider.api import calls
from flora_provider.api.errors import FloraInputError, FloraNotFoundError
from flora_provider.hooks.flora import FloraHook
from tests.unit.api.arguments import FUNCTIONS, asked

PNG = "https://media.flora.ai/a.png"
# Calls that have no verb of their name, and what stands for them.
OTHERWISE = {
    "request": "send",  # takes any call
}
FERN = {"ref": "fern", "type": "image", "prompt": "A fern", "model": "t2i-flux-2-pro"}


def verb_of(call):
    """The hook's method for a call; a list that comes in pages is walked through."""
    name = OTHERWISE.get(call, call)
    return getattr(FloraHook, name, None) or getattr(FloraHook, name.replace("list_", "iter_", 1), None)


def parameters(function):
    return set(inspect.signature(function).parameters) - {"self"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_call_has_a_verb_with_its_parameters_and_a_key_if_it_takes_one(name):
    verb = verb_of(name)
    assert verb is not None, f"give FloraHook a verb for calls.{name}, or say in OTHERWISE what stands for it"
    if name != "request":
        pages = {"limit", "cursor"}
        assert parameters(getattr(calls, name)) - pages <= parameters(verb)
        assert ("idempotency_key" in parameters(verb)) == asked(name, {}).takes_key


BILLING = [name for name in FUNCTIONS if name.startswith(("generate", "run_", "start_")) and name != "run_action_node"]


@pytest.mark.parametrize("name", BILLING)
def test_verb_that_bills_asks_for_a_key(hook, name):
    (key,) = [it for it in inspect.signature(verb_of(name)).parameters.values() if it.name == "idempotency_key"]
    assert key.default is key.empty
    needed = [it.name for it in inspect.signature(getattr(calls, name)).parameters.values() if it.default is it.empty]
    values = {"type": "text", "prompt": "p", "technique": "a", "technique_id": "tech_1", "node_ids": ["n1"]}
    inputs = {"start_technique": [{"id": "a", "type": "text", "value": "b"}], "run_technique": {"a": "b"}}
    values |= {"action_id": "a", "inputs": inputs.get(name, [{"type": "text", "text": "b"}])}
    with pytest.raises(FloraInputError, match="idempotency_key is None"):
        getattr(hook, name)(**{key: values[key] for key in needed if key in values}, idempotency_key=None)


def test_verbs_use_the_workspace_and_the_project_of_the_connection(hook):
    project = hook.create_workspace_project("Ferns", idempotency_key="k")
    assert hook.get_project(project.project_id) == project
    assert project.workspace_id == hook.workspace()
    assert hook.create_project("Ferns").project_id != project.project_id
    assert hook.get_project().project_id == hook.get_canvas().project_id == hook.project()
    assert hook.get_graph(project_id=project.project_id).project_id == project.project_id


def test_project_is_created_in_a_folder(hook, flora_sandbox):
    folder_id = flora_sandbox.sandbox.state.add_folder(hook.workspace())
    assert hook.create_folder_project("Ferns", folder_id).name == "Ferns"
    with pytest.raises(FloraNotFoundError, match="a workspace this API key cannot see"):
        hook.create_folder_project("Ferns", "fld_other")


def test_nodes_are_added_run_and_shown_in_the_graph(hook):
    changed = hook.apply_changeset(
        add=[
            FERN,
            {"ref": "words", "type": "text", "prompt": "green", "model": "t2t-writer", "position": {"x": 1, "y": 2}},
        ],
        connect=[{"from": "words", "to": "fern"}],
    )
    assert (changed.applied.added, changed.applied.connected) == (2, 1)
    fern = changed.created["fern"]
    ran = hook.run_nodes([fern.id, "n99"], idempotency_key="k")
    started, skipped = ran.runs
    assert (started.node_id, started.status, skipped.reason) == (fern.id, "started", "node_not_found")
    run = hook.wait_for_run(started.run_id, poll_interval=0.05)
    graph = hook.get_graph()
    nodes = {node.node_id: node for node in graph.nodes}
    image = nodes[fern.node_id]
    assert (image.status, image.output_url) == ("done", run["outputs"][0]["url"])
    assert (nodes[changed.created["words"].node_id].position.x, graph.edges[0]["to"]) == (1, fern.id)
    hook.apply_changeset(disconnect=graph.edges, remove=[{"id": fern.id}])
    after = hook.get_graph()
    assert (after.edges, after.revision != graph.revision) == ((), True)


def test_action_node_is_created_and_run_on_what_is_connected_to_it(hook):
    image = hook.apply_changeset(add=[{"ref": "a", "type": "static_image", "content_url": PNG}]).created["a"]
    node = hook.create_action_node("ken-burns-video", params={"fps": "24"})
    hook.apply_changeset(connect=[{"from": image.node_id, "to": node.node_id}])
    started = hook.run_action_node(node.node_id)
    assert (started.type, started.action.action_id) == ("action", "ken-burns-video")
    assert hook.wait_for_run(started.run_id, poll_interval=0.05)["outputs"]


def test_canvas_is_extended_by_a_diagram(hook):
    extended = hook.extend_canvas("graph LR\n  a[A fern] --> b[Greener]", node_params={"b": {"prompt": "greener"}})
    assert (extended.created_node_count, extended.created_edge_count) == (2, 1)
    canvas = hook.get_canvas()
    assert "A fern" in canvas.diagram
    assert (canvas.summary.node_count, canvas.summary.edge_count) == (2, 1)


def test_canvas_is_replaced_by_its_own_definition(hook):
    hook.apply_changeset(add=[FERN, FERN | {"ref": "b"}], connect=[{"from": "fern", "to": "b"}])
    definition = hook.get_canvas_definition().definition
    replaced = hook.replace_canvas_definition(definition, idempotency_key="k")
    assert replaced.definition == definition
    assert (replaced.summary.node_count, replaced.summary.edge_count) == (2, 1)


def test_library_keeps_texts_and_images(hook):
    folder = hook.create_library_folder("Ferns")
    text = hook.save_library_item(folder.folder_id, text="A fern, in words.")
    image = hook.save_library_item(folder.folder_id, source=PNG, description="A fern")
    assert (text.folder_id, text.asset_id) == (folder.folder_id, None)
    assert hook.get_asset(image.asset_id).url == image.url
    assert hook.delete_library_folder(folder.folder_id).deleted
    with pytest.raises(FloraNotFoundError):
        hook.delete_library_folder(folder.folder_id)


def test_asset_is_made_by_single_steps(hook):
    file = io.BytesIO(b"\x89PNG\r\n\x1a\n123")
    asset = hook.create_asset_from_file(file, content_type="image/png", file_name="a.png", idempotency_key="k")
    assert hook.attach_asset(asset.asset_id).asset_id == asset.asset_id
    assert hook.create_asset("https://example.com/a.png").workspace_id == hook.workspace()
    reserved = hook.create_asset(calls.SIGNED_UPLOAD, file_name="b.png", content_type="image/png")
    assert (reserved.status, bool(reserved.upload or reserved.upload_url)) == ("pending_upload", True)


def test_technique_is_started_by_its_slug(hook):
    technique = next(hook.iter_techniques())
    inputs = [
        {"id": slot.id, "type": slot.type, "value": PNG if slot.type != "text" else "a fern"}
        for slot in technique.inputs
    ]
    run = hook.start_technique(technique.technique_id, inputs=inputs, idempotency_key="k")
    assert hook.get_technique_run(technique.technique_id, run.run_id).run_id == run.run_id


def test_actions_and_feedback(hook):
    assert hook.get_action("ken-burns-video").action_id == "ken-burns-video"
    assert hook.send_feedback(kind="bug", summary="s", detail="d", attempted_tools=["generate"]).feedback_id


def test_any_other_request_is_sent_and_a_missing_endpoint_reported_as_such(hook):
    assert hook.send(calls.request("GET", "workspaces"))["workspaces"]
    with pytest.raises(FloraNotFoundError, match="This address has no endpoint GET /nonsense: check the path"):
        hook.send(calls.request("GET", "nonsense"))
    with pytest.raises(FloraInputError, match="takes no idempotency key"):
        hook.send(calls.request("GET", "workspaces"), "k")
    with pytest.raises(FloraInputError, match="'workspaces' is no call"):
        hook.send("workspaces", "k")
