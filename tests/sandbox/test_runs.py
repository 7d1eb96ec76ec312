import json

import pytest

MEDIA = {"image": "imageUrl", "video": "videoUrl", "audio": "audioUrl", "text": "text"}


def states(flora, run_id, steps, step):
    for _ in range(steps):
        yield flora.run(run_id)
        flora.sandbox.clock.advance(step)


def test_a_start_is_201_with_a_quote_an_estimate_and_no_status(flora):
    response = flora.generate(model="t2i-flux-2-pro")
    assert response.status_code == 201
    body = response.json()
    run_id = body.pop("run_id")
    assert run_id.startswith("run_")
    assert body == {
        "type": "generation",
        "charged_cost": 0.04,
        "estimated_seconds": 12,
        "poll_url": f"https://flora.test/api/v1/runs/{run_id}",
        "project_id": flora.sandbox.project_id,
        "model": {"model_id": "t2i-flux-2-pro"},
    }


@pytest.mark.parametrize("medium", MEDIA)
def test_a_run_of_any_type_goes_from_pending_to_completed(flora, medium):
    run_id = flora.start(type=medium)
    seen = list(states(flora, run_id, 200, 0.5))
    order = [state["status"] for state in seen]
    assert order == sorted(order, key=["pending", "running", "completed"].index)
    assert set(order) == {"pending", "running", "completed"}
    progress = [state["progress"] for state in seen]
    assert progress == sorted(progress)
    assert all(value % 10 == 0 for value in progress)
    assert {state["progress"] for state in seen if state["status"] == "running"} <= set(range(0, 100, 10))
    last = seen[-1]
    assert last["progress"] == 100
    assert last["created_at"] <= last["started_at"] <= last["completed_at"]
    assert [output["type"] for output in last["outputs"]] == [MEDIA[medium]]
    assert last["charged_cost"] > 0


def test_members_appear_with_the_state_they_belong_to(flora):
    run_id = flora.start()
    always = {"run_id", "status", "progress", "created_at", "poll_url"}
    assert set(flora.run(run_id)) == always
    flora.sandbox.clock.advance(6)
    assert set(flora.run(run_id)) == always | {"started_at"}
    flora.sandbox.clock.advance(60)
    assert set(flora.run(run_id)) == always | {"started_at", "completed_at", "outputs", "charged_cost"}


def test_a_run_takes_its_estimate_give_or_take_thirty_percent(make_flora):
    flora = make_flora(speed=2)
    durations = set()
    for _ in range(50):
        started = flora.generate().json()
        flora.sandbox.clock.advance(100)
        run = flora.run(started["run_id"])
        durations.add(run["completed_at"] - run["created_at"])
        assert started["estimated_seconds"] == 6
    assert len(durations) > 20
    assert all(0.7 * 6000 <= duration <= 1.3 * 6000 for duration in durations)


def test_settled_costs_differ_from_quotes_both_ways(flora):
    runs = [flora.start() for _ in range(40)]
    flora.sandbox.clock.advance(60)
    settled = {flora.run(run_id)["charged_cost"] for run_id in runs}
    assert min(settled) < 0.04 < max(settled)
    assert 0.04 in settled


def test_equal_seeds_and_requests_give_equal_answers(make_flora):
    def responses(seed):
        flora = make_flora(seed=seed)
        started = [flora.generate(type=medium).json() for medium in MEDIA]
        flora.sandbox.clock.advance(500)
        return started, [flora.run(run["run_id"]) for run in started]

    assert responses(1) == responses(1)
    assert responses(1) != responses(2)


def test_a_failed_run_shows_full_progress_and_costs_nothing(flora, sandbox):
    run_id = flora.start(params={"sandbox": {"error_code": "GPU_PROVIDER_ERROR", "error_message": "Refused."}})
    sandbox.clock.advance(60)
    run = flora.run(run_id)
    assert (run["status"], run["progress"], run["error_code"]) == ("failed", 100, "GPU_PROVIDER_ERROR")
    assert run["error_message"] == "Refused."
    assert "completed_at" in run
    assert "charged_cost" not in run
    assert "outputs" not in run
    assert (sandbox.stats()["runs_started"], sandbox.stats()["runs_billed"], sandbox.stats()["usd_billed"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("behavior", "wait", "before", "after"),
    [
        ({"never_ends": True}, 1_000_000, {"status": "running", "progress": 90}, {"status": "running", "progress": 90}),
        ({"seconds": 30}, 30, {"status": "running"}, {"status": "completed"}),
        ({"seconds": 10, "cost_lag": 60}, 70, {"status": "completed"}, {"status": "completed"}),
    ],
)
def test_behavior_sets_duration_and_lag_of_the_cost(flora, sandbox, behavior, wait, before, after):
    run_id = flora.start(params={"sandbox": behavior})
    sandbox.clock.advance(wait - 0.01)
    early = flora.run(run_id)
    assert before.items() <= early.items()
    assert "charged_cost" not in early
    sandbox.clock.advance(0.01)
    late = flora.run(run_id)
    assert after.items() <= late.items()
    assert (late.get("charged_cost", 0) > 0) is (late["status"] == "completed")


@pytest.mark.parametrize(("behavior", "estimate"), [({"estimated_seconds": 7}, 7), ({"no_estimate": True}, None)])
def test_behavior_sets_the_estimate(flora, behavior, estimate):
    assert flora.generate(params={"sandbox": behavior}).json()["estimated_seconds"] == estimate


@pytest.mark.parametrize(("behavior", "status"), [({"hidden_for": 5}, 404), ({"listed_after": 5}, 200)])
def test_behavior_hides_a_run_for_a_while(flora, sandbox, behavior, status):
    run_id = flora.start(params={"sandbox": behavior})
    assert flora.get(f"/runs/{run_id}").status_code == status
    assert flora.get("/generations").json()["generations"] == []
    sandbox.clock.advance(5)
    assert flora.run(run_id)["status"] == "running"
    assert [row["run_id"] for row in flora.get("/generations").json()["generations"]] == [run_id]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_run_can_have_any_number_of_outputs(flora, sandbox, number):
    run_id = flora.start(params={"sandbox": {"outputs": number, "output_type": "modelUrl"}})
    sandbox.clock.advance(60)
    outputs = flora.run(run_id)["outputs"]
    assert [output["output_id"] for output in outputs] == [f"output_{n}" for n in range(1, number + 1)]
    assert {output["type"] for output in outputs} <= {"modelUrl"}


@pytest.mark.parametrize("behavior", [{"unknown": "red"}, {"seconds": "long"}, "fail"])
def test_invalid_behavior_is_refused(flora, behavior):
    response = flora.generate(params={"sandbox": behavior})
    assert response.status_code == 400
    assert response.json()["error"]["fields"][0]["field"].startswith("params.sandbox")


def test_the_deprecated_twin_starts_generations_too(flora):
    assert flora.post("/runs/generation", json=flora.body()).json()["type"] == "generation"


class TestTechniques:
    IMAGE = "https://media.flora.ai/cat.png"

    def start(self, flora, **more):
        body = {"technique_id": "tech_cctvcam01", "workspace_id": flora.sandbox.workspace_id}
        return flora.post("/runs/technique", json={**body, "inputs": {"input_image": self.IMAGE}, **more})

    def nested(self, flora, inputs=None, name="cctv-cam", **more):
        inputs = [{"id": "input_image", "type": "imageUrl", "value": self.IMAGE}] if inputs is None else inputs
        return flora.post(f"/techniques/{name}/runs", json={"inputs": inputs, "mode": "async", **more})

    def test_the_plain_route_answers_a_start_polled_like_a_generation(self, flora):
        response = self.start(flora)
        assert response.status_code == 201
        body = response.json()
        assert (body["type"], body["charged_cost"]) == ("technique", 0.05)
        assert body["technique"] == {"technique_id": "tech_cctvcam01", "name": "CCTV cam"}
        assert flora.run(body["run_id"])["status"] == "pending"
        assert flora.get(f"/techniques/cctv-cam/runs/{body['run_id']}").status_code == 404

    @pytest.mark.parametrize("name", ["cctv-cam", "tech_cctvcam01"])
    def test_the_nested_route_answers_a_state_and_is_polled_under_itself(self, flora, sandbox, name):
        body = self.nested(flora, name=name).json()
        assert (body["status"], body["progress"]) == ("pending", 0)
        assert body["poll_url"].endswith(f"/techniques/tech_cctvcam01/runs/{body['run_id']}")
        sandbox.clock.advance(100)
        path = f"/techniques/{name}/runs/{body['run_id']}"
        assert flora.get(path).json()["status"] == "completed"
        assert flora.get(f"/runs/{body['run_id']}").status_code == 404
        assert flora.get(f"/techniques/storyboard/runs/{body['run_id']}").status_code == 404

    def test_their_history_is_a_list_of_their_own(self, flora):
        run_id = self.start(flora).json()["run_id"]
        nested = self.nested(flora).json()["run_id"]
        rows = flora.get("/technique-runs", params={"technique_id": "tech_cctvcam01"}).json()["technique_runs"]
        assert [row["technique_run_id"] for row in rows] == [nested, run_id]
        assert rows[0]["technique"]["name"] == "CCTV cam"
        assert flora.get("/technique-runs?technique_id=tech_storybrd1").json()["technique_runs"] == []
        assert flora.get("/generations").json()["generations"] == []

    @pytest.mark.parametrize(
        ("inputs", "field"),
        [
            ({}, "inputs.input_image"),
            ({"input_image": "http://media.flora.ai/cat.png"}, "inputs.input_image"),
            ({"input_image": IMAGE, "instructions": ""}, "inputs.instructions"),
            ({"input_image": IMAGE, "unknown": "red"}, "inputs.unknown"),
        ],
    )
    def test_inputs_must_fit_the_slots(self, flora, inputs, field):
        response = self.start(flora, inputs=inputs)
        assert response.status_code == 400
        assert [problem["field"] for problem in response.json()["error"]["fields"]] == [field]
        items = [
            {"id": name, "type": "text" if name == "instructions" else "imageUrl", "value": value}
            for name, value in inputs.items()
        ]
        assert self.nested(flora, items).status_code == 400

    @pytest.mark.parametrize(
        "item", ["text", {"id": "input_image", "value": IMAGE}, {"id": "input_image", "type": "text", "value": "x"}]
    )
    def test_items_of_the_nested_route_need_id_type_and_value(self, flora, item):
        assert self.nested(flora, [item]).status_code == 400

    def test_unknown_techniques_are_404(self, flora):
        assert self.start(flora, technique_id="tech_nothing").status_code == 404
        assert self.nested(flora, name="nothing").status_code == 404
        assert flora.get("/techniques/nothing").status_code == 404

    def test_the_output_of_one_run_is_an_input_of_the_next(self, flora, sandbox):
        run_id = flora.start()
        sandbox.clock.advance(60)
        url = flora.run(run_id)["outputs"][0]["url"]
        assert self.start(flora, inputs={"input_image": url}).status_code == 201


class TestActions:
    def start(self, flora, **more):
        body = {key: value for key, value in flora.body().items() if key.endswith("_id")}
        inputs = [{"type": "image", "url": "https://media.flora.ai/cat.png"}]
        return flora.post("/runs/action", json={"action_id": "ken-burns-video", "inputs": inputs, **body, **more})

    def test_an_action_is_free_and_leaves_a_row_without_model(self, flora, sandbox):
        response = self.start(flora, params={"fps": "24", "anything": 1})
        assert response.status_code == 201
        body = response.json()
        assert (body["type"], body["charged_cost"]) == ("action", 0)
        assert body["action"] == {"action_id": "ken-burns-video"}
        sandbox.clock.advance(60)
        assert flora.run(body["run_id"])["outputs"][0]["type"] == "videoUrl"
        row = flora.get("/generations").json()["generations"][0]
        assert (row["generation_id"], row["model"]) == (body["run_id"], {"model_id": None})

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"params": {"fps": "25"}}, "params.fps"),
            ({"action_id": "make-coffee"}, "action_id"),
            ({"inputs": [{"type": "image", "unknown": "red"}]}, "inputs[0].unknown"),
            ({"inputs": []}, "inputs"),
        ],
    )
    def test_actions_check_what_they_are_given(self, flora, change, field):
        response = self.start(flora, **change)
        assert response.status_code == 400
        assert response.json()["error"]["fields"][0]["field"] == field


NO_TEXT = "half an emoji: \ud83d, and a zero: \x00"


def script_behavior(flora, **behavior):
    """Script the next run's behavior over HTTP; the JSON is ASCII, as the standard library writes it."""
    body = json.dumps([{"route": "/generate", "behavior": behavior}])
    response = flora.post("https://flora.test/_sandbox/faults", content=body)
    assert response.status_code == 200, response.text
    assert json.loads(response.content)["faults"][0]["behavior"]["seconds"] == 0


def test_error_message_may_hold_any_character_and_travels_as_escapes(flora):
    script_behavior(flora, seconds=0, error_code="SERVER_ERROR", error_message=NO_TEXT)
    response = flora.get(f"/runs/{flora.start()}")
    assert b"\\ud83d" in response.content
    assert b"\\u0000" in response.content
    assert json.loads(response.content)["error_message"] == NO_TEXT


@pytest.mark.parametrize("text", [NO_TEXT, "", "a fern"])
def test_text_of_a_text_output_may_be_chosen(flora, text):
    script_behavior(flora, seconds=0, text=text)
    response = flora.get(f"/runs/{flora.start(type='text')}")
    assert json.loads(response.content)["outputs"][0]["url"] == text


def test_text_with_half_a_surrogate_pair_is_refused_from_clients(flora):
    body = json.dumps(flora.body(prompt="\ud83d"))
    assert flora.post("/generate", content=body).json()["error"]["code"] == "invalid_json"
