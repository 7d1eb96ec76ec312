"""A changeset is applied whole or not at all."""

import pytest

ADD = [{"ref": "a", "type": "text", "prompt": "A fern"}, {"ref": "b", "type": "image"}]


@pytest.fixture
def at(flora):
    return f"/workspaces/{flora.sandbox.workspace_id}/projects/{flora.sandbox.project_id}"


@pytest.fixture
def change(flora, at):
    def change(**changes):
        return flora.post(f"{at}/canvas/changeset", json=changes)

    return change


def test_changeset_applies_its_operations_in_order(flora, at, change):
    answer = change(
        add=ADD,
        update=[{"id": "b", "label": "Picture", "position": {"x": 5, "y": 6}}],
        connect=[{"from": "a", "to": "b"}, {"from": "a", "to": "b", "in": "style"}],
        disconnect=[{"from": "a", "to": "b", "in": "style"}],
    ).json()
    assert answer["applied"] == {"added": 2, "updated": 1, "connected": 2, "disconnected": 1, "removed": 0}
    graph = flora.get(f"{at}/graph").json()
    assert answer["revision"] == graph["revision"]
    assert answer["created"] == {
        ref: {"id": node["id"], "node_id": node["node_id"]} for ref, node in zip("ab", graph["nodes"], strict=True)
    }
    assert (graph["nodes"][1]["label"], graph["nodes"][1]["position"]) == ("Picture", {"x": 5, "y": 6})
    assert graph["edges"] == [{"from": "n1", "to": "n2", "in": None}]


def test_node_is_named_by_id_short_id_or_ref(flora, at, change):
    node_id = change(add=ADD).json()["created"]["a"]["node_id"]
    answer = change(
        add=[{"ref": "c", "type": "image"}], connect=[{"from": node_id, "to": "n2"}, {"from": "n1", "to": "c"}]
    )
    assert answer.json()["applied"]["connected"] == 2
    assert change(remove=[{"id": node_id}]).json()["applied"]["removed"] == 1
    assert flora.get(f"{at}/graph").json()["edges"] == []


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"update": [{"id": "gone", "label": "x"}]}, "update[0].id"),
        ({"connect": [{"from": "n1", "to": "gone"}]}, "connect[0].to"),
        ({"disconnect": [{"from": "n1", "to": "n2"}]}, "disconnect[0]"),
        ({"remove": [{"id": "n1"}, {"id": "n1"}]}, "remove[1].id"),
        ({"add": [*ADD, ADD[0]]}, "add[2].ref"),
        ({"add": [{"ref": "c", "type": "hologram"}]}, "add[0].type"),
        ({"connect": [{"from": "n1"}]}, "connect[0].to"),
        ({"remove": ["n1"]}, "remove[0]"),
        ({"rename": []}, "rename"),
    ],
)
def test_changeset_with_one_bad_operation_changes_nothing(flora, at, change, bad, field):
    change(add=ADD)
    before = flora.get(f"{at}/graph").json()
    response = change(**({"add": [{"ref": "new", "type": "image"}]} | bad))
    assert response.status_code == 400
    assert [problem["field"] for problem in response.json()["error"]["fields"]] == [field]
    assert flora.get(f"{at}/graph").json() == before


def test_changeset_names_each_cause(change):
    response = change(update=[{"id": "x"}], connect=[{"from": "y", "to": "z"}], remove=[{"id": "w"}])
    fields = [problem["field"] for problem in response.json()["error"]["fields"]]
    assert fields == ["update[0].id", "connect[0].from", "connect[0].to", "remove[0].id"]
