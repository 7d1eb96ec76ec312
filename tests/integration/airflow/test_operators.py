"""What every operator that starts runs does alike."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from flora_provider.api.errors import FloraInputError
from flora_provider.files import read_manifest
from flora_provider.operators.flora import FloraGenerateOperator, FloraRunActionOperator, FloraRunTechniqueOperator
from tests.support.airflow_tasks import succeeded

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
    flora.sandbox.settings.speed = 1000
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


def test_cleared_task_saves_its_run_again_and_pays_nothing_if_it_is_to_reuse(fast, operator, one_task, tmp_path):
    folder = tmp_path / "saved"
    task = one_task(operator(wait_for_completion=True, save_outputs_to=str(folder), on_clear="reuse"))
    first = task.run()
    shutil.rmtree(folder)
    again = task.clear()
    assert again["run_id"] == first["run_id"]
    assert again["files"] == first["files"]
    assert all(Path(file["path"]).stat().st_size == file["size"] for file in again["files"])
    assert read_manifest(again["manifest"]).charged_cost_usd == first["charged_cost"]
    assert fast.started == 1


def test_reuse_is_refused_where_airflow_cannot_tell_which_run_a_cleared_task_had(fast, operator, one_task):
    task = one_task(operator(on_clear="reuse"), store=False)
    task.fails_for_good(match="on_clear is 'reuse', which needs the task state store of Airflow 3.3")
    assert fast.started == 0


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


@pytest.mark.parametrize("store", [True, False])
def test_retry_after_a_lost_answer_pays_nothing_twice(fast, operator, one_task, store):
    # A server that repeats its answer, for only then a retry finds its run without looking for it.
    fast.sandbox.settings = replace(fast.sandbox.settings, idempotency="replay")
    fast.inject(method="POST", delivery="drop", after=True)
    task = one_task(operator(), store=store)
    task.fails_for_now()
    assert task.retry() == fast.runs[0].run_id
    assert fast.started == 1


def test_request_is_sent_although_the_catalog_cannot_be_had(fast, operator, one_task, logged):
    for path in ("/models", "/techniques/{technique_id}", "/actions/{action_id}"):
        fast.inject(route=path, method="GET", status=503, times=None)
    assert one_task(operator()).run() == fast.runs[0].run_id
    assert "could not be read, so the request is sent unchecked" in logged()


BAD = {
    "generation": (
        lambda: FloraGenerateOperator(
            task_id="made",
            type="image",
            prompt="a fern",
            model="t2i-flux-2-pro",
            model_params={"aspect": "1:1", "num_images": 9, "image_url": PICTURE},
        ),
        ["model_params.aspect is unknown", "model_params.num_images is 9", "model_params.image_url would be ignored"],
    ),
    "technique": (
        lambda: FloraRunTechniqueOperator(
            task_id="made", technique="tech_turntabl1", inputs={"input_image": "run_1", "color": "red"}
        ),
        ["inputs.input_image is 'run_1': it is a run's id", "inputs.color is unknown to the technique"],
    ),
    "technique that is none": (
        lambda: FloraRunTechniqueOperator(task_id="made", technique="tech_none", inputs={"a": "b"}),
        ["technique 'tech_none' is unknown to FLORA"],
    ),
    "action": (
        lambda: FloraRunActionOperator(
            task_id="made",
            action_id="stitch-videos",
            inputs={"videos": "https://media.flora.ai/a.mp4"},
            action_params={"transition": "spiral", "speed": 2},
        ),
        ["inputs.videos has 1 values", "action_params.transition is 'spiral'", "action_params.speed is unknown"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_all_that_the_catalog_refuses_is_named_before_anything_is_sent(fast, one_task, name):
    make, problems = BAD[name]
    error = one_task(make()).fails_for_good()
    for problem in problems:
        assert problem in str(error)
    assert fast.started == 0


def test_output_of_one_run_is_the_input_of_another_however_it_is_given(fast, run_dag, bodies):
    common = {"wait_for_completion": True, "poll_interval": 0.05}
    with DAG("chain", schedule=None, render_template_as_native_obj=True, params={"factor": 3}) as dag:
        clip = OPERATORS["technique by id"](**common)

        @task
        def values(run):
            return [{"inputs": run, "action_params": {"duration": 2}}, {"inputs": run["outputs"][0]}]

        ken_burns = {"action_id": "ken-burns-video", **common}
        FloraRunActionOperator(task_id="xcom_arg", inputs=clip.output, **ken_burns)
        FloraRunActionOperator(task_id="by_slot", inputs={"image": clip.output}, **ken_burns)
        clip >> FloraRunActionOperator(task_id="jinja", inputs="{{ ti.xcom_pull('made') }}", **ken_burns)
        FloraRunActionOperator.partial(task_id="rows", **ken_burns).expand_kwargs(values(clip.output))
        FloraRunTechniqueOperator.partial(task_id="slugs", inputs={"input_image": clip.output}, **common).expand(
            technique=["cctv-cam", "tech_cctvcam01"]
        )
        FloraGenerateOperator(
            task_id="video",
            type="video",
            model="i2v-kling-2",
            prompt="x",
            model_params={"image_url": clip.output, "duration": "{{ params.factor }}"},
            **common,
        )
    assert succeeded(run_dag(dag))
    first, *others = fast.runs
    address = first.state(fast.sandbox.clock.now(), fast.server.base_url.removesuffix("/api/v1"))["outputs"][0]["url"]
    assert [[one.value for one in run.request.inputs] for run in others] == [[address]] * 8
    assert fast.billed == 9
