"""Running nodes of a canvas."""

import pytest


@pytest.fixture
def at(flora):
    return f"/workspaces/{flora.sandbox.workspace_id}/projects/{flora.sandbox.project_id}"


@pytest.fixture
def change(flora, at):
    def change(**changes):
        return flora.post(f"{at}/canvas/changeset", json=changes)

    return change


@pytest.fixture
def run(flora, at):
    def run(*node_ids):
        return flora.post(f"{at}/nodes/run", json={"node_ids": node_ids}).json()["runs"]

    return run


IMAGE = {"ref": "fern", "type": "image", "prompt": "A fern", "model": "t2i-flux-2-pro"}


def node(flora, at, node_id):
    return next(node for node in flora.get(f"{at}/graph").json()["nodes"] if node["node_id"] == node_id)


def test_node_run_is_polled_billed_and_shown_in_the_graph(flora, at, change, run):
    node_id = change(add=[IMAGE]).json()["created"]["fern"]["node_id"]
    (started,) = run(node_id)
    assert (started["status"], started["type"], started["charged_cost"]) == ("started", "generation", 0.04)
    assert node(flora, at, node_id)["status"] == "generating"
    assert flora.sandbox.stats()["runs_billed"] == 1
    flora.sandbox.clock.advance(100)
    shown, state = node(flora, at, node_id), flora.run(started["run_id"])
    assert (shown["status"], shown["output_url"]) == ("done", state["outputs"][0]["url"])
    row = flora.get(f"/projects/{flora.sandbox.project_id}/nodes").json()["nodes"][0]
    assert (row["type"], row["url"]) == ("image", shown["output_url"])


def test_node_whose_run_failed_shows_why(flora, at, change, run):
    params = {"sandbox": {"error_code": "LLM_REFUSAL", "error_message": "No."}}
    node_id = change(add=[{**IMAGE, "params": params}]).json()["created"]["fern"]["node_id"]
    run(node_id)
    flora.sandbox.clock.advance(100)
    shown = node(flora, at, node_id)
    assert (shown["status"], shown["error_code"], shown["error_message"]) == ("error", "LLM_REFUSAL", "No.")


def test_nodes_that_cannot_run_are_skipped_in_order_with_a_reason(flora, change, run):
    created = change(
        add=[
            IMAGE,
            {"ref": "group", "type": "group"},
            {"ref": "bare", "type": "image", "prompt": "x"},
            {"ref": "mute", "type": "text", "model": "t2t-writer"},
        ]
    ).json()["created"]
    ids = {ref: made["node_id"] for ref, made in created.items()}
    rows = run("n99", ids["group"], ids["bare"], ids["mute"], ids["fern"], ids["fern"])
    assert [row.get("reason") for row in rows] == [
        "node_not_found", "node_not_executable", "no_model_configured", "run_failed_to_start", None,
        "generation_already_running",
    ]  # fmt: skip
    assert flora.sandbox.stats()["runs_started"] == 1


def test_node_takes_the_texts_and_pictures_that_are_connected_to_it(flora, change, run):
    ids = change(
        add=[{"ref": "idea", "type": "text", "prompt": "in the rain"}, IMAGE],
        connect=[{"from": "idea", "to": "fern", "in": "prompt"}],
    ).json()["created"]
    run(ids["fern"]["node_id"])
    request = next(iter(flora.sandbox.state.runs.values())).request
    assert request.prompt == "A fern in the rain"
    assert [(item.name, item.medium, item.value) for item in request.inputs] == [("prompt", "text", "in the rain")]


def test_action_node_runs_on_what_is_connected_to_it(flora, at, change, run):
    fern = change(add=[IMAGE]).json()["created"]["fern"]["node_id"]
    body = {"action_id": "rotate-image-browser", "params": {"angle": 90}}
    made = flora.post(f"/projects/{flora.sandbox.project_id}/actions", json=body)
    assert made.status_code == 201
    node_id = made.json()["node_id"]
    change(connect=[{"from": fern, "to": node_id}])
    run(fern)
    flora.sandbox.clock.advance(100)
    started = flora.post(f"/projects/{flora.sandbox.project_id}/actions/{node_id}/run")
    assert started.status_code == 201
    assert started.json()["action"] == {"action_id": "rotate-image-browser"}
    flora.sandbox.clock.advance(100)
    assert flora.run(started.json()["run_id"])["status"] == "completed"
    assert node(flora, at, node_id)["action"] == body
    assert flora.post(f"/projects/{flora.sandbox.project_id}/actions/{fern}/run").status_code == 404


def test_fifty_nodes_may_run_at_once_and_no_more(flora, at):
    for count, status in ((0, 400), (1, 200), (50, 200), (51, 400)):
        assert flora.post(f"{at}/nodes/run", json={"node_ids": ["n1"] * count}).status_code == status


def test_repeated_key_runs_nodes_once(flora, at, change):
    node_id = change(add=[IMAGE]).json()["created"]["fern"]["node_id"]
    for status in (200, 409):
        headers = {"idempotency-key": "once"}
        answer = flora.post(f"{at}/nodes/run", json={"node_ids": [node_id]}, headers=headers)
        assert answer.status_code == status
    assert flora.sandbox.stats()["runs_started"] == 1
