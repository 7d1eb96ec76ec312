"""What every operator that starts runs does alike."""

from pathlib import Path

import pytest

from flora_provider.api.errors import FloraInputError
from flora_provider.files import read_manifest
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


@pytest.mark.parametrize("deferrable", [True, False])
def test_operator_saves_outputs_with_a_manifest_in_both_modes(fast, operator, one_task, tmp_path, deferrable):
    folder = tmp_path / "saved"
    task = one_task(operator(wait_for_completion=True, deferrable=deferrable, save_outputs_to=str(folder)))

    run = task.run()

    manifest = read_manifest(run["manifest"])
    assert Path(run["manifest"]).parent == folder
    assert run["files"] == manifest.to_dict()["files"]
    assert len(manifest.files) == len(run["outputs"])
    assert all(Path(file.path).stat().st_size == file.size for file in manifest.files)
    assert manifest.charged_cost_usd == run["charged_cost"]
    assert manifest.quoted_cost_usd == task.xcoms["quoted_cost_usd"]
    assert (manifest.task_id, manifest.run_id) == ("made", run["run_id"])
    request = task.xcoms["request"]
    assert {name: getattr(manifest, name) for name in ("kind", "prompt", "model", "technique", "action", "inputs")} == {
        name: request.get(name) for name in ("kind", "prompt", "model", "technique", "action", "inputs")
    }


def test_retry_after_a_failure_to_save_takes_the_run_that_is_paid(fast, operator, one_task, tmp_path):
    folder = tmp_path / "saved"
    folder.write_text("in the way")
    task = one_task(operator(wait_for_completion=True, save_outputs_to=str(folder)))
    error = task.fails_for_now()
    assert str(folder) in str(error)
    folder.unlink()
    assert read_manifest(task.retry()["manifest"]).run_id == fast.runs[0].run_id
    assert fast.started == 1


def test_folder_for_a_run_that_is_not_awaited_is_refused_when_the_dag_is_parsed(operator):
    with pytest.raises(FloraInputError, match="save_outputs_to needs wait_for_completion=True"):
        operator(save_outputs_to="/tmp")


@pytest.mark.parametrize("deferrable", [True, False])
def test_sensor_saves_outputs_in_a_worker(fast, operator, one_task, wait_for, tmp_path, deferrable):
    started = one_task(operator())
    run_id = started.run()
    technique = started.xcoms["request"].get("technique_route")
    task = one_task(wait_for(run_id, technique=technique, deferrable=deferrable, save_outputs_to=str(tmp_path)))
    run = task.run()
    assert read_manifest(run["manifest"]).to_dict()["files"] == run["files"] != []
