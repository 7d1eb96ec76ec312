"""A changeset is applied whole or not at all."""

import pytest

URL = "https://example.com/fern.png"
ADD = [{"ref": "a", "type": "text", "prompt": "A fern"}, {"ref": "b", "type": "image"}]


def test_changeset_applies_its_operations_in_order(flora, canvas_path, change):
    answer = change(
        add=ADD,
        update=[{"id": "b", "label": "Picture", "position": {"x": 5, "y": 6}}],
        connect=[{"from": "a", "to": "b"}, {"from": "b", "to": "a", "in": "style"}],
        disconnect=[{"from": "b", "to": "a", "in": "style"}],
    ).json()
    assert answer["applied"] == {"added": 2, "updated": 1, "connected": 2, "disconnected": 1, "removed": 0}
    assert answer["warnings"] == []
    graph = flora.get(f"{canvas_path}/graph").json()
    assert answer["revision"] == graph["revision"]
    assert answer["created"] == {
        ref: {"id": node["id"], "node_id": node["node_id"]} for ref, node in zip("ab", graph["nodes"], strict=True)
    }
    assert (graph["nodes"][1]["label"], graph["nodes"][1]["position"]) == ("Picture", {"x": 5, "y": 6})
    assert graph["edges"] == [{"from": "n1", "to": "n2", "in": None}]


def test_node_is_named_by_id_short_id_or_ref(flora, canvas_path, change):
    node_id = change(add=ADD).json()["created"]["a"]["node_id"]
    answer = change(
        add=[{"ref": "c", "type": "image"}], connect=[{"from": node_id, "to": "n2"}, {"from": "n1", "to": "c"}]
    )
    assert answer.json()["applied"]["connected"] == 2
    assert change(remove=[{"id": node_id}]).json()["applied"]["removed"] == 1
    assert flora.get(f"{canvas_path}/graph").json()["edges"] == []


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"update": [{"id": "gone", "label": "x"}]}, "update[0].id"),
        ({"connect": [{"from": "n1", "to": "gone"}]}, "connect[0].to"),
        ({"disconnect": [{"from": "n1", "to": "n2"}]}, "disconnect[0]"),
        ({"remove": [{"id": "n1"}, {"id": "n1"}]}, "remove[1].id"),
        ({"add": [*ADD, ADD[0]]}, "add[2].ref"),
        ({"add": [{"ref": "n1", "type": "image"}]}, "add[0].ref"),
        ({"add": [{"ref": "c", "type": "image", "model": "t2v-veo-3"}]}, "add[0].model"),
        ({"add": [{"ref": "c", "type": "image", "group": "n1"}]}, "add[0].group"),
        ({"add": [{"ref": "c", "type": "video", "params": {"duration": "9"}}]}, "add[0].params.duration"),
        ({"update": [{"id": "n2", "params": {"aspect_ratio": "5:1"}}]}, "update[0].params.aspect_ratio"),
        ({"add": [{"ref": "c", "type": "image", "content_url": URL, "prompt": "x"}]}, "add[0].content_url"),
        ({"add": [{"ref": "c", "type": "group", "content_url": URL}]}, "add[0].content_url"),
        ({"add": [{"ref": "c", "type": "image", "position": {"x": 1e308, "y": 0}}]}, "add[0].position.x"),
        ({"update": [{"id": "n1", "label": "x"}, {"id": "n1", "label": "y"}]}, "update[1].id"),
        ({"update": [{"id": "n2", "model": "hologram"}]}, "update[0].model"),
        ({"add": [{"ref": "c", "type": "hologram"}]}, "add[0].type"),
        ({"connect": [{"from": "n1"}]}, "connect[0].to"),
        ({"remove": ["n1"]}, "remove[0]"),
        ({"rename": []}, "rename"),
    ],
)
def test_changeset_with_one_bad_operation_changes_nothing(flora, canvas_path, change, bad, field):
    change(add=ADD)
    before = flora.get(f"{canvas_path}/graph").json()
    response = change(**({"add": [{"ref": "new", "type": "image"}]} | bad))
    assert response.status_code == 400
    assert [problem["field"] for problem in response.json()["error"]["fields"]] == [field]
    assert flora.get(f"{canvas_path}/graph").json() == before


def test_changeset_names_each_cause(change):
    response = change(update=[{"id": "x"}], connect=[{"from": "y", "to": "z"}], remove=[{"id": "w"}])
    fields = [problem["field"] for problem in response.json()["error"]["fields"]]
    assert fields == ["update[0].id", "connect[0].from", "connect[0].to", "remove[0].id"]


def test_change_that_changes_nothing_is_a_warning(flora, change):
    change(add=ADD, connect=[{"from": "a", "to": "b"}])
    answer = change(update=[{"id": "n1", "prompt": "A fern"}], connect=[{"from": "n1", "to": "n2", "in": "style"}])
    assert answer.json()["applied"] == {"added": 0, "updated": 0, "connected": 0, "disconnected": 0, "removed": 0}
    assert answer.json()["warnings"] == [
        "update[0]: node n1 is like this already.", "connect[0]: n1 and n2 are connected already.",
    ]  # fmt: skip


def test_params_are_merged_key_by_key(flora, canvas_path, change):
    change(add=[{**ADD[1], "params": {"seed": 7, "aspect_ratio": "1:1"}}])
    change(update=[{"id": "n1", "params": {"aspect_ratio": "16:9"}}])
    assert flora.get(f"{canvas_path}/graph").json()["nodes"][0]["params"] == {"seed": 7, "aspect_ratio": "16:9"}


def test_node_has_the_default_model_unless_one_is_named(flora, canvas_path, change):
    change(add=[ADD[1], {"ref": "c", "type": "image", "model": "FLUX Kontext"}])
    nodes = flora.get(f"{canvas_path}/graph").json()["nodes"]
    assert [node["model_id"] for node in nodes] == ["t2i-flux-2-pro", "i2i-flux-kontext"]


def test_content_of_a_url_becomes_a_static_node(flora, canvas_path, change):
    change(add=[{"ref": "c", "type": "image", "content_url": URL}])
    (node,) = flora.get(f"{canvas_path}/graph").json()["nodes"]
    assert (node["type"], node["output_url"], node["model"]) == ("static_image", URL, None)


def test_group_is_made_before_its_members_and_removed_with_them(flora, canvas_path, change):
    inner = {"ref": "b", "type": "image", "group": "board", "position": {"x": 150, "y": 20}}
    board = {"ref": "board", "type": "group", "position": {"x": 100, "y": 0}}
    created = change(add=[inner, board, ADD[0]], connect=[{"from": "a", "to": "b"}]).json()["created"]
    definition = flora.get(f"{canvas_path}/canvas/definition").json()["definition"]
    assert [node.get("parent_id") for node in definition["nodes"]] == [None, created["board"]["node_id"], None]
    assert definition["nodes"][1]["position"] == {"x": 50, "y": 20}
    change(update=[{"id": "n1", "position": {"x": 0, "y": 0}}])
    positions = {node["id"]: node["position"] for node in flora.get(f"{canvas_path}/graph").json()["nodes"]}
    assert positions[created["b"]["id"]] == {"x": 50, "y": 20}
    assert change(remove=[{"id": "n1"}]).json()["applied"]["removed"] == 2
    left = flora.get(f"{canvas_path}/graph").json()
    assert ([node["id"] for node in left["nodes"]], left["edges"]) == ([created["a"]["id"]], [])


def test_group_and_its_member_may_both_be_named_for_removal(change):
    created = change(add=[{"ref": "board", "type": "group"}, {**ADD[1], "group": "board"}]).json()["created"]
    names = [created["board"]["id"], created["b"]["id"]]
    assert change(remove=[{"id": name} for name in names]).json()["applied"]["removed"] == 2
