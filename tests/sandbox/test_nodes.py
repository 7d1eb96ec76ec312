"""Running nodes of a canvas."""

import pytest


@pytest.fixture
def run(flora, canvas_path):
    def run(*node_ids):
        return flora.post(f"{canvas_path}/nodes/run", json={"node_ids": node_ids}).json()["runs"]

    return run


IMAGE = {"ref": "fern", "type": "image", "prompt": "A fern", "model": "t2i-flux-2-pro"}


def node(flora, canvas_path, node_id):
    return next(node for node in flora.get(f"{canvas_path}/graph").json()["nodes"] if node["node_id"] == node_id)


def test_node_run_is_polled_billed_and_shown_in_the_graph(flora, canvas_path, change, run):
    node_id = change(add=[IMAGE]).json()["created"]["fern"]["node_id"]
    (started,) = run(node_id)
    assert (started["status"], started["type"], started["charged_cost"]) == ("started", "generation", 0.04)
    assert node(flora, canvas_path, node_id)["status"] == "generating"
    assert flora.sandbox.stats()["runs_billed"] == 1
    flora.sandbox.clock.advance(100)
    done, state = node(flora, canvas_path, node_id), flora.run(started["run_id"])
    assert (done["status"], done["output_url"]) == ("done", state["outputs"][0]["url"])
    row = flora.get(f"/projects/{flora.sandbox.project_id}/nodes").json()["nodes"][0]
    assert (row["type"], row["url"]) == ("image", done["output_url"])


def test_node_whose_run_failed_shows_why(flora, canvas_path, change, run):
    params = {"sandbox": {"error_code": "LLM_REFUSAL", "error_message": "No."}}
    node_id = change(add=[{**IMAGE, "params": params}]).json()["created"]["fern"]["node_id"]
    run(node_id)
    flora.sandbox.clock.advance(100)
    failed = node(flora, canvas_path, node_id)
    assert (failed["status"], failed["error_code"], failed["error_message"]) == ("error", "LLM_REFUSAL", "No.")


def test_nodes_that_cannot_run_are_skipped_in_order_with_a_reason(flora, canvas_path, change, run):
    definition = {"nodes": [{"id": "bare", "type": "videoBlock", "data": {"prompt": "x"}}], "edges": []}
    flora.put(
        f"{canvas_path}/canvas/definition", json={"definition": {**definition, "node_inputs": {}, "node_outputs": {}}}
    )
    odd = {"ref": "odd", "type": "image", "prompt": "x", "params": {"sandbox": {"spelling": "wrong"}}}
    created = change(add=[IMAGE, {"ref": "group", "type": "group"}, {"ref": "mute", "type": "text"}, odd]).json()[
        "created"
    ]
    ids = {ref: made["node_id"] for ref, made in created.items()}
    rows = run("n99", ids["group"], "bare", ids["mute"], ids["odd"], ids["fern"], ids["fern"])
    assert [row.get("reason") for row in rows] == [
        "node_not_found", "node_not_executable", "no_model_configured", "run_failed_to_start",
        "run_failed_to_start", None, "generation_already_running",
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


def test_action_node_runs_on_what_is_connected_to_it(flora, canvas_path, change, run):
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
    assert node(flora, canvas_path, node_id)["action"] == body
    assert flora.post(f"/projects/{flora.sandbox.project_id}/actions/{fern}/run").status_code == 404


@pytest.mark.parametrize(("fps", "status"), [("24", 200), (24, 400)])
def test_params_of_an_action_node_are_checked(flora, change, fps, status):
    project = f"/projects/{flora.sandbox.project_id}"
    action = {"action_id": "ken-burns-video", "params": {"fps": fps}}
    assert flora.post(f"{project}/actions", json=action).status_code == (201 if status == 200 else status)
    node_id = flora.post(f"{project}/actions", json={"action_id": "ken-burns-video"}).json()["node_id"]
    assert change(update=[{"id": node_id, "params": {"fps": fps}}]).status_code == status


def test_fifty_nodes_may_run_at_once_and_no_more(flora, canvas_path):
    for count, status in ((0, 400), (1, 200), (50, 200), (51, 400)):
        assert flora.post(f"{canvas_path}/nodes/run", json={"node_ids": ["n1"] * count}).status_code == status


def test_repeated_key_runs_nodes_once(flora, canvas_path, change):
    node_id = change(add=[IMAGE]).json()["created"]["fern"]["node_id"]
    for status in (200, 409):
        headers = {"idempotency-key": "once"}
        answer = flora.post(f"{canvas_path}/nodes/run", json={"node_ids": [node_id]}, headers=headers)
        assert answer.status_code == status
    assert flora.sandbox.stats()["runs_started"] == 1


def test_chain_runs_in_one_request_whatever_its_order(flora, change, run):
    first = {**IMAGE, "params": {"sandbox": {"seconds": 50}}}
    second = {"ref": "greener", "type": "image", "prompt": "Greener", "params": {"sandbox": {"seconds": 5}}}
    ids = change(add=[first, second], connect=[{"from": "fern", "to": "greener"}]).json()["created"]
    later, sooner = run(ids["greener"]["id"], ids["fern"]["id"])
    assert [later["node_id"], sooner["node_id"]] == [ids["greener"]["id"], ids["fern"]["id"]]
    flora.sandbox.clock.advance(52)
    assert [flora.run(row["run_id"])["status"] for row in (sooner, later)] == ["completed", "running"]
    flora.sandbox.clock.advance(4)
    assert flora.run(later["run_id"])["status"] == "completed"
    (made,) = flora.run(sooner["run_id"])["outputs"]
    assert [item.value for item in flora.sandbox.state.runs[later["run_id"]].request.inputs] == [made["url"]]


def test_run_that_waits_for_one_that_never_ends_does_not_end_either(flora, change, run):
    first = {**IMAGE, "params": {"sandbox": {"never_ends": True}}}
    ids = change(add=[first, {**IMAGE, "ref": "b"}], connect=[{"from": "fern", "to": "b"}]).json()["created"]
    rows = run(ids["fern"]["id"], ids["b"]["id"])
    flora.sandbox.clock.advance(10_000)
    assert [flora.run(row["run_id"])["status"] for row in rows] == ["running", "running"]
    assert flora.sandbox.state.runs[rows[1]["run_id"]].request.inputs == ()


def test_circle_of_nodes_runs_once(change, run):
    ids = change(
        add=[IMAGE, {**IMAGE, "ref": "b"}], connect=[{"from": "fern", "to": "b"}, {"from": "b", "to": "fern"}]
    ).json()["created"]
    assert [row["status"] for row in run(ids["fern"]["id"], ids["b"]["id"])] == ["started", "started"]


def test_output_of_an_action_node_is_taken_by_the_next_node(flora, change, run):
    project = f"/projects/{flora.sandbox.project_id}"
    action = flora.post(f"{project}/actions", json={"action_id": "qr-code-generator-browser"}).json()["node_id"]
    ids = change(add=[IMAGE], connect=[{"from": action, "to": "fern"}]).json()["created"]
    action_run = flora.post(f"{project}/actions/{action}/run").json()["run_id"]
    flora.sandbox.clock.advance(100)
    (row,) = run(ids["fern"]["id"])
    (item,) = flora.sandbox.state.runs[row["run_id"]].request.inputs
    assert item.value == flora.run(action_run)["outputs"][0]["url"]


def test_texts_that_double_in_a_circle_stop_at_a_bound(flora, change, run):
    text = {"type": "text", "prompt": "A fern"}
    links = [{"from": a, "to": b} for a, b in ("ab", "ac", "ba", "ca")]
    ids = change(add=[{"ref": ref, **text} for ref in "abc"], connect=links).json()["created"]
    rows = []
    for _ in range(14):
        for ref in "abc":
            rows += run(ids[ref]["id"])
            flora.sandbox.clock.advance(100)
    assert rows[0]["status"] == "started"
    assert rows[-3]["reason"] == "run_failed_to_start"
