import httpx
import pytest

from flora_provider.sandbox.world.media import pictures

PNG = pictures.png(pictures.draw("A fox", "", "test", (64, 64)))


@pytest.fixture
def store(sandbox):
    return httpx.Client(transport=httpx.MockTransport(sandbox.handle))


def direct(flora, content=PNG, **fields):
    scope = {"workspace_id": flora.sandbox.workspace_id, **fields}
    return flora.post("/assets", data=scope, files={"file": ("fox.png", content, "image/png")})


def create(flora, **more):
    return flora.post("/assets", json={"workspace_id": flora.sandbox.workspace_id, **more})


def reserve(flora, **more):
    response = create(flora, source="signed-url", file_name="fox.png", content_type="image/png", **more)
    assert response.status_code == 201
    return response.json()


def upload(store, asset, content=PNG):
    form = asset["upload"]
    return store.post(form["url"], data=form["form_fields"], files={form["file_field"]: ("fox.png", content)})


def complete(flora, asset):
    return flora.post(f"/assets/{asset['asset_id']}/complete", json={})


def test_bytes_sent_along_are_ready_at_once(flora, store):
    response = direct(flora)
    assert response.status_code == 201
    asset = response.json()
    assert set(asset) == {"asset_id", "workspace_id", "status", "uploaded_via", "url", "visibility"}
    assert (asset["uploaded_via"], asset["status"], asset["visibility"]) == ("direct", "ready", "workspace")
    served = store.get(asset["url"])
    assert (served.content, served.headers["content-type"]) == (PNG, "image/png")
    awkward = b"\r\n--\r\n\r\n--boundary\r\n\x00\xff" * 50
    assert store.get(direct(flora, awkward).json()["url"]).content == awkward


@pytest.mark.parametrize(
    ("fields", "content", "field"),
    [
        ({"workspace_id": "x"}, PNG, "workspace_id"),
        ({"unknown": "red"}, PNG, "unknown"),
        ({"content_type": "text/html"}, PNG, "content_type"),
        ({}, b"x" * (4 * 1024 * 1024 + 1), "file"),
    ],
)
def test_direct_uploads_are_checked(flora, fields, content, field):
    response = direct(flora, content, **fields)
    assert response.status_code == 400
    assert response.json()["error"]["fields"][0]["field"] == field


def test_a_form_without_file_or_end_is_refused(flora, sandbox):
    content_type = {"content-type": "multipart/form-data; boundary=b"}
    for body in (b"", b'--b\r\ncontent-disposition: form-data; name="file"\r\n\r\n', b"--b--\r\n"):
        assert flora.post("/assets", content=body, headers=content_type).status_code == 400
    assert flora.post("/assets", content=b"", headers={"content-type": "multipart/form-data"}).status_code == 400
    assert flora.post("/assets", files={"workspace_id": (None, sandbox.workspace_id)}).status_code == 400


def test_a_url_is_fetched_after_a_moment(flora, sandbox, store):
    asset = create(flora, source="https://example.com/pictures/cat.png").json()
    assert (asset["uploaded_via"], asset["status"]) == ("url", "pending_upload")
    assert store.get(asset["url"]).status_code == 404
    sandbox.clock.advance(1)
    assert flora.get(f"/assets/{asset['asset_id']}").json()["status"] == "ready"
    assert store.get(asset["url"]).headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "source", ["upload", "data:image/png;base64,AA", "http://example.com/a.png", 1, {}, "https://10.1.2.3/a"]
)
def test_other_sources_are_refused(flora, source):
    assert create(flora, source=source).status_code == 400


def test_a_signed_upload_by_form(flora, store, sandbox):
    asset = reserve(flora)
    assert asset["status"] == "pending_upload"
    assert asset["expires_at"] == "2025-06-15T16:06:40.000Z"
    assert asset["upload"]["method"] == "POST"
    assert complete(flora, asset).json()["status"] == "pending_upload"
    assert upload(store, asset).status_code == 204
    assert flora.get(f"/assets/{asset['asset_id']}").json()["status"] == "pending_upload"
    done = complete(flora, asset).json()
    assert (done["status"], done["failure_message"]) == ("ready", None)
    assert "upload" not in done
    assert store.get(done["url"]).content == PNG
    assert sandbox.stats()["keys_leaked"]["storage"] == 0


def test_a_signed_upload_by_put(flora, store):
    asset = reserve(flora)
    assert store.put(asset["upload_url"], content=PNG).status_code == 403
    assert store.put(asset["upload_url"], content=PNG, headers={"content-type": "image/png"}).status_code == 200
    assert complete(flora, asset).json()["status"] == "ready"


def test_the_store_wants_every_field_and_then_the_file(flora, store):
    form = reserve(flora)["upload"]
    fields = dict(form["form_fields"])
    assert store.post(form["url"], files={"file": ("f", PNG)}).status_code == 400
    wrong = store.post(form["url"], data={**fields, "policy": "x"}, files={"file": ("f", PNG)})
    assert (wrong.status_code, wrong.headers["content-type"][:15]) == (400, "application/xml")
    file_first = {"file": ("f", PNG), **{name: (None, value) for name, value in fields.items()}}
    assert store.post(form["url"], files=file_first).status_code == 400
    assert store.post(form["url"] + "0", data=fields, files={"file": ("f", PNG)}).status_code == 403


def test_an_empty_upload_fails_and_can_be_retried(flora, store):
    asset = reserve(flora)
    upload(store, asset, b"")
    failed = complete(flora, asset).json()
    assert (failed["status"], failed["failure_message"]) == ("failed", "The uploaded file is empty.")
    assert complete(flora, asset).status_code == 409
    again = flora.post(f"/assets/{asset['asset_id']}/retry").json()
    assert again["upload"]["url"] != asset["upload"]["url"]
    assert upload(store, asset).status_code == 403
    assert upload(store, again).status_code == 204
    assert complete(flora, asset).json()["status"] == "ready"


def test_a_reservation_expires_and_can_be_retried(flora, store, sandbox):
    asset = reserve(flora)
    sandbox.clock.advance(3600)
    assert upload(store, asset).status_code == 403
    state = flora.get(f"/assets/{asset['asset_id']}").json()
    assert (state["status"], state["failure_message"]) == ("failed", "The upload reservation expired.")
    assert upload(store, flora.post(f"/assets/{asset['asset_id']}/retry", json={}).json()).status_code == 204


def test_an_asset_in_the_wrong_state_is_a_conflict(flora, store):
    ready, pending = direct(flora).json()["asset_id"], reserve(flora)["asset_id"]
    for path in (f"{ready}/complete", f"{ready}/retry", f"{pending}/retry"):
        response = flora.post(f"/assets/{path}")
        assert (response.status_code, response.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize(("body", "status"), [(b"", 200), (b"{}", 200), (b"{", 400), (b'{"a":1}', 400)])
def test_complete_takes_no_body_or_an_empty_object(flora, body, status):
    assert flora.post(f"/assets/{reserve(flora)['asset_id']}/complete", content=body).status_code == status


def test_assets_are_listed_newest_first_and_filtered(flora, sandbox):
    first = direct(flora, file_name="first.png", project_id=sandbox.project_id).json()["asset_id"]
    second = reserve(flora)["asset_id"]

    def found(**query):
        return [row["asset_id"] for row in flora.get("/assets", params=query).json()["assets"]]

    assert found() == [second, first]
    assert found(query="FIRST") == [first]
    assert found(project_id=sandbox.project_id, workspace_id=sandbox.workspace_id) == [first]
    row = flora.get("/assets?query=first").json()["assets"][0]
    assert isinstance(row["created_at"], int)
    assert (row["project_id"], row["size_bytes"], row["status"]) == (sandbox.project_id, len(PNG), "ready")
    single = flora.get(f"/assets/{first}").json()
    assert single["created_at"] == "2025-06-15T15:06:40.000Z"
    assert "node_id" not in single


def test_a_ready_asset_can_be_put_on_a_canvas(flora, sandbox):
    asset_id = direct(flora).json()["asset_id"]
    response = flora.post(f"/projects/{sandbox.project_id}/assets/{asset_id}/attach")
    assert response.status_code == 201
    assert set(response.json()) == {"project_id", "asset_id", "node_id", "canvas_url"}
    body = flora.get(f"/projects/{sandbox.project_id}/nodes").json()
    assert [(node["node_id"], node["type"]) for node in body["nodes"]] == [(response.json()["node_id"], "image")]
    assert body["meta"] == {"next_cursor": None}
    pending = reserve(flora)["asset_id"]
    assert flora.post(f"/projects/{sandbox.project_id}/assets/{pending}/attach").status_code == 409
