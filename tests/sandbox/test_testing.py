"""What a test of a DAG asks the fixture `flora_sandbox`, and tells it."""

import httpx
import pytest

from flora_provider.sandbox import ApiError, FloraSandbox, StartedRun
from flora_provider.sandbox.world.runs import RunInput

HOUR = 3600.0


@pytest.fixture
def scope(flora_sandbox):
    return {"workspace_id": flora_sandbox.sandbox.workspace_id, "project_id": flora_sandbox.sandbox.project_id}


@pytest.fixture
def client(flora_sandbox):
    headers = {"authorization": f"Bearer {flora_sandbox.sandbox.api_key}"}
    with httpx.Client(base_url=flora_sandbox.base_url, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
def generate(client, scope):
    return lambda **more: client.post("/generate", json={"type": "image", "prompt": "A fern", **scope, **more})


def test_sandbox_that_was_asked_for_nothing_has_no_runs_and_no_bill(flora_sandbox):
    assert isinstance(flora_sandbox, FloraSandbox)
    assert (flora_sandbox.runs, flora_sandbox.billed_usd) == ([], 0)


def test_runs_are_what_was_started_the_oldest_first(flora_sandbox, client, generate, scope):
    first = generate(model="t2i-flux-2-fast", params={"seed": 7}).json()["run_id"]
    action = {"action_id": "qr-code-generator-browser", "inputs": [{"type": "text", "text": "https://flora.ai"}]}
    second = client.post("/runs/action", json={**action, **scope}).json()["run_id"]
    flora_sandbox.advance(HOUR)
    generation, action = flora_sandbox.runs
    assert generation == StartedRun(
        run_id=first,
        type="generation",
        model="t2i-flux-2-fast",
        prompt="A fern",
        params={"seed": 7},
        inputs=(),
        status="completed",
        billed_usd=client.get(f"/runs/{first}").json()["charged_cost"],
    )
    assert (action.run_id, action.type, action.action, action.model) == (
        second,
        "action",
        "qr-code-generator-browser",
        None,
    )
    assert action.inputs == (RunInput("text", "text", "https://flora.ai"),)
    assert flora_sandbox.billed_usd == generation.billed_usd + action.billed_usd > 0


@pytest.mark.flora_sandbox(speed=1)
def test_advance_ends_a_run(flora_sandbox, client, generate):
    run_id = generate().json()["run_id"]
    assert flora_sandbox.runs[0].status != "completed"
    flora_sandbox.advance(HOUR)
    assert flora_sandbox.runs[0].status == client.get(f"/runs/{run_id}").json()["status"] == "completed"


def test_fail_next_fails_as_many_calls_of_the_route_and_starts_nothing(flora_sandbox, client, generate):
    flora_sandbox.fail_next(times=2)
    flora_sandbox.fail_next("/models", status=429)
    assert [generate().status_code for _ in range(3)] == [503, 503, 201]
    assert [client.get("/models").status_code for _ in range(2)] == [429, 200]
    assert len(flora_sandbox.runs) == 1


def test_fail_next_with_an_error_code_fails_the_run_which_costs_nothing(flora_sandbox, client, generate):
    flora_sandbox.fail_next(error_code="GENERATION_PROVIDER_TIMEOUT")
    response = generate()
    assert response.status_code == 201
    flora_sandbox.advance(HOUR)
    run = client.get(f"/runs/{response.json()['run_id']}").json()
    assert (run["status"], run["error_code"]) == ("failed", "GENERATION_PROVIDER_TIMEOUT")
    assert ([run.status for run in flora_sandbox.runs], flora_sandbox.billed_usd) == (["failed"], 0)


def test_fail_next_of_a_route_that_flora_has_not_is_refused(flora_sandbox):
    with pytest.raises(ApiError, match=r"'/generations/now'; expected one of .*/generate"):
        flora_sandbox.fail_next("/generations/now")
