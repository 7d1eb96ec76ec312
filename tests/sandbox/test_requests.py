import httpx
import pytest


def error(response):
    return response.json()["error"]


def test_every_answer_has_a_request_id_of_its_own(flora):
    responses = [flora.get(path) for path in ("/models", "/nowhere", "/runs/x", "https://flora.test/_sandbox/stats")]
    responses += [flora.post("/generate", content=b"{"), flora.get("/models", headers={"authorization": ""})]
    ids = [response.headers["request-id"] for response in responses]
    assert all(name.startswith("req_") for name in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        *((header, "unauthorized") for header in (None, "", "Bearer ", "Basic abc")),
        *((header, "invalid_api_key") for header in ("Bearer wrong", "Bearer schlüssel")),
    ],
)
def test_a_key_is_needed_and_must_be_the_right_one(sandbox, header, code):
    client = httpx.Client(transport=httpx.MockTransport(sandbox.handle), base_url="https://flora.test/api/v1")
    headers = {} if header is None else {"authorization": header.encode()}
    response = client.get("/workspaces", headers=headers)
    assert (response.status_code, error(response)["code"]) == (401, code)


def test_all_problems_of_a_body_are_reported_at_once(flora):
    response = flora.post("/generate", json={"type": "t2i", "prompt": "", "workspace_id": "x", "unknown": "red"})
    assert (response.status_code, error(response)["code"]) == (400, "input_validation_error")
    fields = {item["field"]: item["message"] for item in error(response)["fields"]}
    assert set(fields) == {"type", "prompt", "workspace_id", "project_id", "unknown"}
    assert fields["project_id"] == "Required"
    assert '"ws_"' in fields["workspace_id"]
    assert "project_id: Required" in error(response)["message"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        *((body, "invalid_json") for body in (b"", b"{", b"\xff", b"[1,")),
        *((body, "input_validation_error") for body in (b"[]", b'"text"', b"1", b"null")),
    ],
)
def test_body_that_is_no_json_object_is_refused(flora, body, code):
    response = flora.post("/generate", content=body)
    assert (response.status_code, error(response)["code"]) == (400, code)


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        *(("/runs/abc", "run_"), ("/runs/run_", "run_"), ("/projects/abc", "prj_"), ("/assets/abc", "asset_")),
        *(("/projects?workspace_id=abc", "ws_"), ("/generations?project_id=abc", "prj_")),
        ("/technique-runs?technique_id=abc", "tech_"),
    ],
)
def test_malformed_ids_are_400_and_the_message_names_the_prefix(flora, path, prefix):
    response = flora.get(path)
    assert response.status_code == 400
    assert f'"{prefix}"' in error(response)["message"]


def test_unknown_and_foreign_things_and_routes_are_the_same_404(flora, sandbox):
    foreign = sandbox.state.foreign_project
    paths = ["/runs/run_nothing", "/projects/prj_nothing", f"/projects/{foreign.project_id}", "/assets/asset_nothing"]
    paths += [f"/projects?workspace_id={foreign.workspace_id}", "/actions/nothing"]
    paths += ["/nowhere", "/runs", "/runs/", "/runs/a/b", "/generate"]
    for path in paths:
        response = flora.get(path)
        assert (response.status_code, error(response)["code"]) == (404, "not_found")


def test_a_project_of_another_workspace_is_refused_in_floras_words(flora, sandbox):
    response = flora.generate(project_id=sandbox.state.foreign_project.project_id)
    assert response.status_code == 400
    assert error(response)["message"] == "Project does not belong to the specified workspace."
    assert flora.generate(workspace_id=sandbox.state.foreign_workspace.workspace_id).status_code == 404
    assert sandbox.stats()["runs_started"] == 0


@pytest.mark.parametrize("model", ["nothing", "t2v-veo-3"])
def test_an_unknown_model_is_refused_with_the_list(flora, model):
    response = flora.generate(model=model)
    assert (response.status_code, error(response)["code"]) == (400, "input_validation_error")
    assert "t2i-flux-2-pro" in error(response)["message"]


def test_unknown_params_are_accepted_and_billed(flora, sandbox):
    flora.start(params={"unknown": "red"})
    assert sandbox.stats()["runs_billed"] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("0", "101", "-1", "ten", "1.5")),
        *(("cursor", value) for value in ("x", "e30", "eyJvZmZzZXQiOi0xfQ", "ü")),
    ],
)
def test_invalid_page_size_or_cursor_is_refused(flora, name, value):
    response = flora.get("/generations", params={name: value})
    assert (response.status_code, error(response)["fields"][0]["field"]) == (400, name)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        *(("https://example.com/hook", 201), ("http://example.com/hook", 400), (7, 400)),
        *((f"https://{host}/hook", 400) for host in ("10.0.0.1", "169.254.169.254", "db.internal")),
        *((f"http://{host}/hook", 201) for host in ("localhost:80", "127.0.0.1", "[::1]:4711")),
    ],
)
def test_callback_must_be_https_and_public_or_of_this_machine(flora, url, status):
    assert flora.generate(callback_url=url).status_code == status
