import json

import pytest

from flora_provider.sandbox.http.limits import MAX_CANVAS, MAX_FORM, MAX_JSON, MAX_UPLOAD, max_body


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/api/v1/generate", MAX_JSON),
        ("POST", "/_sandbox/faults", MAX_UPLOAD),
        ("POST", "/api/v1/assets", MAX_FORM),
    ],
)
def test_body_over_the_limit_is_refused_with_413(flora, method, path, limit):
    url = f"https://flora.test{path}"
    response = flora.request(method, url, content=b" " * (limit + 1))
    assert response.status_code == 413
    assert response.json()["error"] == {
        "code": "payload_too_large",
        "message": f"The body is too large; at most {limit} bytes are accepted here.",
    }
    assert response.headers["request-id"].startswith("req_")
    assert flora.request(method, url, content=b" " * limit).status_code == 400


def test_upload_of_more_than_a_form_takes_is_no_problem_of_the_store(flora, sandbox):
    body = {"workspace_id": sandbox.workspace_id, "source": "signed-url", "content_type": "video/mp4"}
    asset = flora.post("/assets", json=body).json()
    fields, url = asset["upload"]["form_fields"], asset["upload_url"]
    file = {"file": ("a.mp4", bytes(MAX_FORM + 1), "video/mp4")}
    assert flora.post(url, data=fields, files=file).status_code == 204
    assert max_body("/_storage/x") == MAX_UPLOAD


def test_canvas_definition_may_be_larger_than_other_json(flora, sandbox):
    url = f"/workspaces/{sandbox.workspace_id}/projects/{sandbox.project_id}/canvas/definition"
    definition = {"nodes": [], "edges": [], "node_inputs": {}, "node_outputs": {}}
    content = json.dumps({"definition": definition}).encode()
    assert flora.put(url, content=content.ljust(MAX_CANVAS)).status_code == 200
    assert flora.put(url, content=content.ljust(MAX_CANVAS + 1)).status_code == 413


def test_too_large_body_is_counted_and_starts_nothing(flora, sandbox):
    assert flora.generate(prompt="x" * MAX_JSON).status_code == 413
    stats = sandbox.stats()
    assert (stats["statuses"], stats["runs_started"]) == ({"413": 1}, 0)
