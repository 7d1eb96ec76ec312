"""What FLORA would refuse of a canvas or a library is refused before it is sent, with all problems at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api import calls
from flora_provider.api.errors import FloraInputError
from tests.support.strategies import json_values
from tests.unit.api.reference.canvas import CHANGESET, DEFINITION
from tests.unit.api.reference.common import SCOPE

FOLDER = {"workspace_id": "ws_1", "folder_id": "libfolder_1"}
REFUSED = {
    "a canvas by its name": (lambda: calls.get_canvas("Ferns"), ["project_id is 'Ferns'"]),
    "a graph of nothing": (
        lambda: calls.get_graph(workspace_id=None, project_id=5), ["workspace_id is None", "project_id is 5"]
    ),
    "a definition of nothing": (
        lambda: calls.get_canvas_definition(workspace_id="", project_id="ws_1"),
        ["workspace_id is ''", "project_id is 'ws_1'"],
    ),
    "a diagram": (
        lambda: calls.extend_canvas(project_id="p", diagram=" ", node_params=[1]),
        ["project_id is 'p'", "diagram is ' '", "node_params is [1]: give a dict"],
    ),
    "params that are no node's": (
        lambda: calls.extend_canvas(
            project_id="prj_1", diagram="graph LR", node_params={"content_url": "https://a.example/?sig=1"}
        ),
        ["node_params.content_url is 'https://a.example/?…': give a dict of prompt, model"],
    ),
    "params of a diagram's nodes": (
        lambda: calls.extend_canvas(
            project_id="prj_1",
            diagram="graph LR",
            node_params={
                "n1": {"prompt": "", "model": 5, "size": 3, "model_parameters": [1]},
                "n2": {"prompt": "p", "content_url": "http://10.0.0.1/a?sig=1"},
            },
        ),
        [
            "node_params.n1.prompt is ''",
            "node_params.n1.model is 5",
            "node_params.n1.model_parameters is [1]",
            "node_params.n1 has the unknown members ['size']: remove them",
            "node_params.n2.content_url is http://10.0.0.1/…: FLORA fetches only https://",
            "node_params.n2 has both content_url and prompt: give one of them",
        ],
    ),
    "an action's node": (
        lambda: calls.create_action_node(project_id=None, action_id="Ken Burns", params="fps"),
        ["project_id is None", "action_id is 'Ken Burns'", "params is 'fps'"],
    ),
    "a node's id": (
        lambda: calls.run_action_node(project_id="", node_id="a b"),
        ["project_id is ''", "node_id is 'a b': give the id"],
    ),
    "no nodes": (
        lambda: calls.run_nodes(workspace_id="w", project_id="prj_1", node_ids=[]),
        ["workspace_id is 'w'", "node_ids holds 0 nodes: FLORA runs 1 to 50 at once"],
    ),
    "more nodes than FLORA runs": (
        lambda: calls.run_nodes(**SCOPE, node_ids=["n1"] * 51), ["node_ids holds 51 nodes: FLORA runs 1 to 50"]
    ),
    "nodes of which one is none": (
        lambda: calls.run_nodes(**SCOPE, node_ids=("n1", "n2", "n3", None, "None")),
        ["node_ids[3] is None", "node_ids[4] is 'None'"],
    ),
    "a changeset of nothing": (
        lambda: calls.apply_changeset(workspace_id="ws_1", project_id="p", add=iter([])),
        ["project_id is 'p'", "the changeset is empty: give at least one operation"],
    ),
    "a changeset with a problem in each operation": (
        lambda: calls.apply_changeset(
            **SCOPE,
            add=[
                {"ref": "a", "type": "imageUrl", "position": {"x": "1"}, "group": ""},
                {"ref": "a", "type": "image", "content_url": "https://a.example/a", "prompt": "p", "params": {"a": 1}},
                {"type": "text", "label": None},
                "n1",
            ],
            update=[{"id": "n1", "position": {"x": float("nan"), "y": True, "z": 0}}, {"id": "n1", "type": "text"}],
            connect=[{"from": "n1", "to": ""}, {"from": "n1", "in": 5}],
            disconnect={"to": "n1"},
            remove=["n1"],
        ),
        [
            "add[0].type is 'imageUrl': use one of image, video, text, audio, group, static_image, layer_editor",
            "add[0].position.x is '1': give a finite number",
            "add[0].position.y is None: give a finite number",
            "add[0].group is ''",
            "add[1].ref is 'a', as of add[0]: give each once",
            "add[1] has both content_url and prompt: give one of them",
            "add[1] has both content_url and params: give one of them",
            "add[2].ref is None",
            "add[2].label is None",
            "add[3] is 'n1': give a dict of ref, type",
            "update[0].position.x is nan",
            "update[0].position.y is True",
            "update[0].position has the unknown members ['z']",
            "update[1].id is 'n1', as of update[0]: give each once",
            "update[1] has the unknown members ['type']",
            "connect[0].to is ''",
            "connect[1].to is None",
            "connect[1].in is 5",
            "disconnect[0].from is None",
            "remove[0] is 'n1': give a dict of id",
        ],
    ),
    "a changeset of what is no list": (
        lambda: calls.apply_changeset(**SCOPE, add=None, update=5),
        ["add[0] is None: give a dict", "update[0] is 5: give a dict"],
    ),
    "no definition": (
        lambda: calls.replace_canvas_definition(workspace_id="", project_id="prj_1", definition="{}"),
        ["workspace_id is ''", "definition is '{}': give a dict of nodes, edges, node_inputs, node_outputs"],
    ),
    "a definition": (
        lambda: calls.replace_canvas_definition(
            **SCOPE,
            definition={
                "nodes": [{"id": 5, "type": "", "data": []}, 5],
                "edges": [{"id": "e", "source": "n1", "target_handle": 5}],
                "node_inputs": [],
            },
        ),
        [
            "definition.nodes[0].id is 5",
            "definition.nodes[0].type is ''",
            "definition.nodes[0].data is []",
            "definition.nodes[1] is 5: give a dict of id, type, data",
            "definition.edges[0].target is None",
            "definition.edges[0].target_handle is 5",
            "definition.node_inputs is []",
            "definition.node_outputs is None",
        ],
    ),
    "a definition without lists": (
        lambda: calls.replace_canvas_definition(**SCOPE, definition=DEFINITION | {"nodes": {}, "edges": "n1"}),
        ["definition.nodes is {}: give a list", "definition.edges is 'n1': give a list"],
    ),
    "projects": (
        lambda: calls.create_workspace_project(workspace_id="prj_1", name=""), ["workspace_id is 'prj_1'", "name is ''"]
    ),
    "projects in folders": (
        lambda: calls.create_folder_project(workspace_id=None, folder_id="a/b", name=None),
        ["workspace_id is None", "folder_id is 'a/b'", "name is None"],
    ),
    "a folder": (
        lambda: calls.create_library_folder(workspace_id="w", name=" "), ["workspace_id is 'w'", "name is ' '"]
    ),
    "a folder's id": (
        lambda: calls.delete_library_folder(workspace_id="w", folder_id=""), ["workspace_id is 'w'", "folder_id is ''"]
    ),
    "an item of nothing": (lambda: calls.save_library_item(**FOLDER), ["has both source and text, or neither"]),
    "an item of both": (
        lambda: calls.save_library_item(**FOLDER, source="http://localhost/?sig=1", text="", description=5),
        ["source is http://localhost/…", "text is ''", "description is 5", "has both source and text, or neither"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_canvas_call_that_flora_would_refuse_is_refused_before_it_is_sent(name):
    make, problems = REFUSED[name]
    with pytest.raises(FloraInputError) as caught:
        make()
    for problem in problems:
        assert problem in str(caught.value)
    assert "sig=1" not in str(caught.value)


def made(function, **arguments):
    """Whether a call is made; refused as our error, or it fails the test."""
    try:
        return bool(function(**SCOPE, **arguments))
    except FloraInputError:
        return False


@given(st.sampled_from(sorted(CHANGESET)), json_values())
def test_changeset_of_any_json_is_made_or_refused(operation, value):
    made(calls.apply_changeset, **{operation: value})
    made(calls.apply_changeset, **{operation: [*CHANGESET[operation], value]})


@given(st.data(), st.sampled_from(sorted(CHANGESET)), json_values())
def test_changeset_with_any_member_is_made_or_refused(data, operation, value):
    row = data.draw(st.sampled_from(CHANGESET[operation]))
    member = data.draw(st.sampled_from([*row, "position", "in"]))
    made(calls.apply_changeset, **{operation: [row | {member: value}]})


@given(st.data(), json_values())
def test_definition_of_any_json_is_made_or_refused(data, value):
    member = data.draw(st.sampled_from(sorted(DEFINITION)))
    made(calls.replace_canvas_definition, definition=value)
    made(calls.replace_canvas_definition, definition=DEFINITION | {member: value})
    made(calls.replace_canvas_definition, definition=DEFINITION | {member: [value]})


def test_edge_of_the_graph_is_what_a_changeset_takes():
    edge = {"from": "n1", "to": "n2", "in": None}
    call = calls.apply_changeset(**SCOPE, disconnect=[edge])
    assert call.body == b'{"disconnect":[{"from":"n1","to":"n2"}]}'
    assert edge["in"] is None


def test_definition_that_flora_gave_is_taken_with_all_that_it_added():
    definition = {"nodes": (), "edges": (), "node_inputs": {}, "node_outputs": {}, "later": {"a": [1]}}
    assert b'"later":{"a":[1]}' in calls.replace_canvas_definition(**SCOPE, definition=definition).body


def test_one_node_or_one_operation_is_taken_alone():
    assert calls.run_nodes(**SCOPE, node_ids="n1").body == b'{"node_ids":["n1"]}'
    assert calls.apply_changeset(**SCOPE, remove={"id": "n1"}).body == b'{"remove":[{"id":"n1"}]}'


def test_model_of_a_node_may_be_named_by_its_display_name():
    assert calls.apply_changeset(**SCOPE, update=[{"id": "n1", "model": "FLUX.2 Pro"}])
