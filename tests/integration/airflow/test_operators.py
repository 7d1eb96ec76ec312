"""What every operator that starts runs does alike."""

import pytest

from flora_provider.operators.flora import FloraGenerateOperator, FloraRunActionOperator, FloraRunTechniqueOperator

PICTURE = "https://media.flora.ai/a.png"
OPERATORS = {
    "generation": lambda **kwargs: FloraGenerateOperator(
        task_id="made", type="image", prompt="a fern", model="t2i-flux-2-pro", model_params={"num_images": 2}, **kwargs
    ),
    "technique by id": lambda **kwargs: FloraRunTechniqueOperator(
        task_id="made", technique="tech_cctvcam01", inputs={"input_image": PICTURE}, **kwargs
    ),
    "technique by slug": lambda **kwargs: FloraRunTechniqueOperator(
        task_id="made", technique="cctv-cam", inputs={"input_image": PICTURE, "instructions": "darker"}, **kwargs
    ),
    "technique with callback": lambda **kwargs: FloraRunTechniqueOperator(
        task_id="made",
        technique="tech_cctvcam01",
        inputs={"input_image": PICTURE},
        callback_url="https://a.example/",
        **kwargs,
    ),
    "action": lambda **kwargs: FloraRunActionOperator(
        task_id="made",
        action_id="speed-up-video",
        inputs="https://media.flora.ai/a.mp4",
        action_params={"factor": 2},
        **kwargs,
    ),
}


@pytest.fixture(params=OPERATORS)
def operator(request):
    """Makes a task of each kind, which polls often."""
    return lambda **kwargs: OPERATORS[request.param](**{"poll_interval": 0.05, **kwargs})


@pytest.fixture
def fast(flora):
    """Runs take a hundredth of the time."""
    flora.sandbox.clock.speed = 1000
    return flora


@pytest.mark.parametrize("deferrable", [True, False])
def test_operator_returns_the_run_that_it_started_in_both_modes(fast, operator, one_task, deferrable):
    task = one_task(operator(wait_for_completion=True, deferrable=deferrable))
    run = task.run()
    assert run["status"] == "completed"
    assert run["outputs"]
    assert [run["run_id"]] == [started.run_id for started in fast.runs]
    assert task.xcoms["run_id"] == run["run_id"]
    assert task.xcoms["charged_cost_usd"] == run["charged_cost"]
    assert task.xcoms["quoted_cost_usd"] is not None
    assert task.xcoms["flora_url"].endswith(f"/projects/{fast.sandbox.project_id}")
    assert task.xcoms["request"]["run_id"] == run["run_id"]


def test_retry_takes_the_run_of_the_first_try(fast, operator, one_task):
    task = one_task(operator())
    first = task.run()
    assert task.retry() == first
    assert fast.started == 1
    assert task.xcoms["quoted_cost_usd"] is not None
