"""Library folders, and what is saved into them."""

import pytest


@pytest.fixture
def at(flora):
    return f"/workspaces/{flora.sandbox.workspace_id}"


@pytest.fixture
def folder(flora, at):
    return flora.post(f"{at}/library/folders", json={"name": "Ferns"}).json()


def test_folder_is_made_filled_and_deleted_once(flora, at, folder):
    assert folder["name"] == "Ferns"
    path = f"{at}/library/folders/{folder['folder_id']}"
    text = flora.post(f"{path}/items", json={"type": "text", "text": "A fern"}).json()
    image = flora.post(f"{path}/items", json={"source": "https://example.com/fern.png", "description": "A fern"}).json()
    assert "asset_id" not in text
    flora.sandbox.clock.advance(10)
    assert flora.get(f"/assets/{image['asset_id']}").json()["status"] == "ready"
    assert flora.delete(path).json()["deleted"] is True
    assert flora.delete(path).status_code == 404
    assert flora.post(f"{path}/items", json={"type": "text", "text": "x"}).status_code == 404


def test_folder_needs_no_body(flora, at):
    assert flora.post(f"{at}/library/folders").json()["name"]


@pytest.mark.parametrize(
    ("item", "field"),
    [({"type": "image"}, "source"), ({"type": "text"}, "text"), ({}, "source"), ({"type": "video"}, "type")],
)
def test_item_without_its_content_is_refused(flora, at, folder, item, field):
    response = flora.post(f"{at}/library/folders/{folder['folder_id']}/items", json=item)
    assert [problem["field"] for problem in response.json()["error"]["fields"]] == [field]


def test_folder_of_another_workspace_is_not_found(flora, folder):
    second = flora.sandbox.state.add_workspace("Second").workspace_id
    assert flora.delete(f"/workspaces/{second}/library/folders/{folder['folder_id']}").status_code == 404
