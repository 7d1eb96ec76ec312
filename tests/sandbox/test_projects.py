"""Projects, and what is on their canvas."""

import re

import pytest

from flora_provider.sandbox.app import ROUTES

ADD = [{"ref": "a", "type": "image"}]
PNG = b"\x89PNG\r\n\x1a\n"
SCOPED = [
    (route, kind)
    for route in ROUTES
    for kind in ("workspace", "project")
    if f"{{{kind}_id}}" in route.template and route.is_api
]


@pytest.fixture
def at(flora):
    return f"/workspaces/{flora.sandbox.workspace_id}"


@pytest.fixture
def nodes(flora):
    def nodes(project_id=flora.sandbox.project_id, **query):
        return flora.get(f"/projects/{project_id}/nodes", params=query).json()["nodes"]

    return nodes


def test_project_is_made_in_a_workspace_and_in_a_folder(flora, at):
    folder_id = flora.sandbox.state.add_folder(flora.sandbox.workspace_id)
    for path in (f"{at}/projects", f"{at}/folders/{folder_id}/projects"):
        response = flora.post(path, json={"name": "Posters"})
        assert response.status_code == 201
        assert response.json()["workspace_id"] == flora.sandbox.workspace_id
        assert flora.get(f"/projects/{response.json()['project_id']}").json() == response.json()
    assert flora.post(f"{at}/folders/fld_unknown/projects", json={"name": "Posters"}).status_code == 404
    assert flora.post(f"{at}/projects", json={}).status_code == 400


def test_key_is_good_for_one_call_per_workspace_in_the_path(flora, at):
    second = flora.sandbox.state.add_workspace("Second").workspace_id
    headers = {"idempotency-key": "once"}
    for path, status in ((at, 201), (f"/workspaces/{second}", 201), (at, 409)):
        assert flora.post(f"{path}/projects", json={"name": "Posters"}, headers=headers).status_code == status


@pytest.mark.parametrize(("route", "kind"), SCOPED, ids=lambda value: getattr(value, "name", value))
def test_malformed_ids_are_refused_and_others_not_found(flora, route, kind):
    state = flora.sandbox.state
    own = {"workspace": state.workspace.workspace_id, "project": state.project.project_id}
    foreign = {"workspace": state.foreign_workspace.workspace_id, "project": state.foreign_project.project_id}
    prefix = foreign[kind].split("_")[0]
    for wrong, status in ((foreign[kind], 404), (f"{prefix}_unknown", 404), (prefix, 400), ("n1", 400)):
        ids = {**own, kind: wrong, "folder": "fld_1", "asset": "asset_1", "node": "n1"}
        path = re.sub(r"{(\w+)_id}", lambda found, ids=ids: ids[found[1]], route.template)
        response = flora.request(route.method, path, json={"name": "Posters"})
        assert response.status_code == status, response.text


def test_project_whose_canvas_changed_last_is_listed_first(flora, at):
    ids = [flora.post(f"{at}/projects", json={"name": name}).json()["project_id"] for name in "abc"]
    changes = (
        lambda project: flora.patch(f"/projects/{project}/canvas", json={"diagram": "graph TD\n a"}),
        lambda project: flora.post(f"/projects/{project}/actions", json={"action_id": "qr-code-generator-browser"}),
        lambda project: flora.post(f"{at}/projects/{project}/canvas/changeset", json={"add": ADD}),
    )
    for project, change in zip(ids, changes, strict=True):
        flora.sandbox.clock.advance(1)
        assert change(project).is_success
        rows = flora.get("/projects", params={"workspace_id": flora.sandbox.workspace_id}).json()["projects"]
        assert rows[0]["project_id"] == project


def test_media_nodes_are_listed_newest_first(flora, at, nodes):
    hidden = {"id": "h", "type": "textBlock", "data": {}, "hidden": True}
    visible = {"id": "t", "type": "textBlock", "data": {"prompt": "A fern", "label": "Idea"}}
    definition = {"nodes": [hidden, visible], "edges": [], "node_inputs": {}, "node_outputs": {}}
    flora.put(f"{at}/projects/{flora.sandbox.project_id}/canvas/definition", json={"definition": definition})
    add = [{"ref": "g", "type": "group"}, {"ref": "i", "type": "image", "content_url": "https://example.com/i.png"}]
    flora.post(f"{at}/projects/{flora.sandbox.project_id}/canvas/changeset", json={"add": add})
    rows = [(row["type"], row["label"], row["url"]) for row in nodes()]
    assert rows == [("image", None, "https://example.com/i.png"), ("text", "Idea", "A fern")]
    assert len(nodes(limit=1)) == 1


def test_asset_is_on_every_canvas_it_was_attached_to(flora, at, nodes):
    second = flora.post(f"{at}/projects", json={"name": "Second"}).json()["project_id"]
    form = {"workspace_id": flora.sandbox.workspace_id, "project_id": flora.sandbox.project_id}
    asset_id = flora.post("/assets", data=form, files={"file": ("a.png", PNG, "image/png")}).json()["asset_id"]
    flora.post(f"/projects/{second}/assets/{asset_id}/attach")
    for project_id in (flora.sandbox.project_id, second):
        (row,) = flora.get("/assets", params={"project_id": project_id}).json()["assets"]
        (node,) = nodes(project_id)
        assert (row["asset_id"], row["project_id"], row["node_id"]) == (asset_id, project_id, node["node_id"])
