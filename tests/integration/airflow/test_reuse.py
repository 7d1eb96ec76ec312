"""A request that was paid for once is taken from the build cache."""

import json
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG

from flora_provider.api.errors import FloraInputError
from flora_provider.files import read_manifest
from flora_provider.operators.flora import FloraGenerateOperator, FloraRunActionOperator, FloraRunTechniqueOperator
from flora_provider.sandbox.server import SandboxServer
from flora_provider.transfers.object_storage import ObjectStorageToFloraOperator
from tests.support.airflow_tasks import succeeded

OPERATORS = {
    "generation": lambda **kwargs: FloraGenerateOperator(
        task_id="made", type="image", prompt="a fern of {{ ds }}", model="t2i-flux-2-pro", **kwargs
    ),
    "technique by id": lambda **kwargs: FloraRunTechniqueOperator(
        task_id="made", technique="tech_storybrd1", inputs={"instructions": "a fern"}, **kwargs
    ),
    "technique by slug": lambda **kwargs: FloraRunTechniqueOperator(
        task_id="made", technique="jingle", inputs={"brand": "Fern"}, **kwargs
    ),
    "action": lambda **kwargs: FloraRunActionOperator(
        task_id="made", action_id="find-and-replace-text-browser", inputs="a fern", **kwargs
    ),
}


@pytest.fixture
def fast(flora):
    flora.sandbox.settings.speed = 1000
    return flora


@pytest.fixture(params=OPERATORS)
def operator(request, tmp_path):
    """Makes a task of each kind, which waits, and uses the cache."""
    defaults = {"wait_for_completion": True, "poll_interval": 0.05, "reuse_from": str(tmp_path / "cache"), "retries": 2}
    return lambda **kwargs: OPERATORS[request.param](**{**defaults, **kwargs})


@pytest.mark.parametrize("deferrable", [True, False])
def test_second_task_takes_the_run_of_the_first_and_pays_nothing(fast, operator, one_task, deferrable):
    first = one_task(operator(deferrable=deferrable))
    made = first.run()
    requests = fast.requests

    second = one_task(operator(deferrable=deferrable))
    taken = second.run()

    assert fast.requests == requests, "nothing was asked of FLORA"
    assert "reused_from" not in made
    assert taken["run_id"] == made["run_id"] == second.xcoms["run_id"]
    assert taken["files"] == made["files"]
    assert [output["output_id"] for output in taken["outputs"]] == [output["output_id"] for output in made["outputs"]]
    assert taken["charged_cost"] == second.xcoms["charged_cost_usd"] == 0.0
    assert taken["reused_from"] == second.xcoms["reused_from"]
    assert Path(taken["reused_from"]).is_file()
    assert second.xcoms["flora_url"] == first.xcoms["flora_url"]
    assert not second.deferrals


def test_files_are_copied_where_the_task_saves_them_with_a_manifest_that_says_so(fast, operator, one_task, tmp_path):
    made = one_task(operator(save_outputs_to=str(tmp_path / "first"))).run()
    taken = one_task(operator(save_outputs_to=str(tmp_path / "second"))).run()

    for run, folder in ((made, "first"), (taken, "second")):
        manifest = read_manifest(run["manifest"])
        assert Path(run["manifest"]).parent == tmp_path / folder
        assert manifest.to_dict()["files"] == run["files"] != []
        assert all(Path(file.path).parent == tmp_path / folder for file in manifest.files)
    assert [Path(file["path"]).read_bytes() for file in taken["files"]] == [
        Path(file["path"]).read_bytes() for file in made["files"]
    ]
    assert read_manifest(made["manifest"]).reused_from is None
    manifest = read_manifest(taken["manifest"])
    assert (manifest.reused_from, manifest.charged_cost_usd) == (taken["reused_from"], 0.0)
    assert fast.started == 1


def entry_of(run, tmp_path):
    [path] = [path for path in (tmp_path / "cache").glob("??/*.json") if path.stem != run["run_id"]]
    return path


def remove_a_file(run, _entry):
    Path(run["files"][0]["path"]).unlink()


def cut_a_file(run, _entry):
    path = Path(run["files"][0]["path"])
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    "damage",
    [
        remove_a_file,
        cut_a_file,
        lambda _run, entry: entry.write_text("{"),
        lambda _run, entry: entry.write_text(json.dumps({**json.loads(entry.read_text()), "version": 2})),
        lambda _run, entry: entry.unlink(),
    ],
)
def test_entry_that_is_not_whole_is_a_miss_and_is_made_anew(fast, operator, one_task, tmp_path, damage):
    made = one_task(operator()).run()
    damage(made, entry_of(made, tmp_path))

    again = one_task(operator()).run()

    assert again["run_id"] != made["run_id"]
    assert one_task(operator()).run()["run_id"] == again["run_id"]
    assert fast.started == 2


def test_file_of_the_same_size_that_was_changed_is_never_passed_on(fast, operator, one_task, tmp_path):
    made = one_task(operator()).run()
    path = Path(made["files"][0]["path"])
    path.write_bytes(b"x" * path.stat().st_size)
    task = one_task(operator(save_outputs_to=str(tmp_path / "second")))
    task.fails_for_now(match="is not the file that was saved there: remove it")
    path.unlink()
    assert task.retry()["run_id"] == fast.runs[1].run_id


def test_kept_run_that_is_too_old_is_a_miss(fast, operator, one_task):
    one_task(operator()).run()
    assert one_task(operator(reuse_max_age=3600)).run()["reused_from"]
    assert "reused_from" not in one_task(operator(reuse_max_age=1e-6)).run()
    assert fast.started == 2


def test_another_request_is_a_miss(fast, one_task, tmp_path):
    def generate(**kwargs):
        cache = {"wait_for_completion": True, "poll_interval": 0.05, "reuse_from": str(tmp_path), "retries": 2}
        return one_task(
            FloraGenerateOperator(**{"task_id": "made", "type": "text", "prompt": "a fern", **cache, **kwargs})
        )

    first = generate().run()
    assert generate(prompt="a moss").run()["run_id"] != first["run_id"]
    assert generate(type="image").run()["run_id"] != first["run_id"]
    assert generate().run()["run_id"] == first["run_id"]


def test_retry_takes_the_run_that_it_has_paid_and_keeps_it(fast, operator, one_task, tmp_path):
    cache = tmp_path / "cache"
    cache.write_text("in the way")
    task = one_task(operator())
    task.fails(match=str(cache))
    assert fast.started == 0, "the cache is read before anything is paid"
    cache.unlink()
    saved = tmp_path / "saved"
    saved.write_text("in the way")
    task = one_task(operator(save_outputs_to=str(saved)))
    task.fails_for_now(match=str(saved))
    saved.unlink()
    assert task.retry()["run_id"] == fast.runs[0].run_id
    assert one_task(operator()).run()["run_id"] == fast.runs[0].run_id
    assert fast.started == 1


def test_run_of_an_earlier_request_is_kept_under_no_key(fast, one_task, tmp_path):
    """A retry whose template varies takes the run of its first request, which is not what it asks for now."""
    fast.sandbox.settings.idempotency = "replay"
    fast.inject(route="/generate", delivery="drop", after=True)
    arguments = {"wait_for_completion": True, "poll_interval": 0.05, "reuse_from": str(tmp_path)}
    prompt = "a fern of try {{ ti.try_number }}"
    task = one_task(FloraGenerateOperator(task_id="made", type="text", prompt=prompt, **arguments))
    task.fails_for_now()
    task.retry()
    assert list(tmp_path.iterdir()) == []


def test_chain_is_reused_though_its_files_are_uploaded_again(fast, run_dag, tmp_path):
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    cached = {"wait_for_completion": True, "poll_interval": 0.05, "reuse_from": str(tmp_path / "cache")}
    with DAG("chain", schedule=None) as dag:
        asset = ObjectStorageToFloraOperator(task_id="upload", source=str(picture))
        technique = FloraRunTechniqueOperator(
            task_id="technique", technique="tech_cctvcam01", inputs={"input_image": asset.output}, **cached
        )
        FloraRunActionOperator(task_id="action", action_id="ken-burns-video", inputs=technique.output, **cached)

    assert succeeded(run_dag(dag))
    assert fast.started == 2
    assert succeeded(run_dag(dag))
    assert fast.started == 2


def test_output_of_a_run_that_was_taken_is_the_input_of_one_that_is_started(fast, run_dag, tmp_path):
    cached = {"wait_for_completion": True, "poll_interval": 0.05, "reuse_from": str(tmp_path / "cache")}
    with DAG("half", schedule=None, params={"action": "ken-burns-video"}) as dag:
        picture = FloraGenerateOperator(task_id="picture", type="image", prompt="a fern", **cached)
        FloraRunActionOperator(task_id="action", action_id="{{ params.action }}", inputs=picture.output, **cached)
    assert succeeded(run_dag(dag))
    assert succeeded(run_dag(dag, run_conf={"action": "resize-image-browser"}))
    first, second = (one.request.inputs[0].value for one in fast.runs[1:])
    assert first == second
    assert fast.started == 3


@pytest.mark.parametrize(("on_clear", "started"), [("new_run", 2), ("reuse", 1)])
def test_cleared_task_is_a_new_run_unless_it_is_to_reuse(fast, operator, one_task, on_clear, started):
    task = one_task(operator(on_clear=on_clear))
    task.run()
    task.clear()
    assert fast.started == started
    task = one_task(operator(on_clear=on_clear))
    assert task.run()["run_id"] == fast.runs[-1].run_id, "the last one is kept"
    task.clear()
    assert fast.started == {1: 1, 2: 3}[started]


def test_runs_of_another_flora_are_no_hits(fast, one_task, operator, monkeypatch):
    one_task(operator()).run()
    with SandboxServer() as other:
        other.sandbox.settings.speed = 1000
        monkeypatch.setenv("AIRFLOW_CONN_FLORA_DEFAULT", other.connection_uri)
        assert "reused_from" not in one_task(operator()).run()


def test_cache_needs_a_wait_and_an_age_needs_a_cache(operator):
    with pytest.raises(FloraInputError, match="reuse_from needs wait_for_completion=True"):
        operator(wait_for_completion=False)
    with pytest.raises(FloraInputError, match="reuse_max_age needs reuse_from"):
        operator(reuse_from=None, reuse_max_age=5)
    with pytest.raises(FloraInputError, match="reuse_max_age is -1"):
        operator(reuse_max_age=-1)
