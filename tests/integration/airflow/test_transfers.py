"""The transfers as tasks: from a finished run to files, and from files to assets."""

import json
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from flora_provider.api.errors import FloraInputError
from flora_provider.files import read_manifest
from flora_provider.sensors.flora import FloraRunSensor
from flora_provider.transfers.object_storage import FloraToObjectStorageOperator, ObjectStorageToFloraOperator
from tests.support.airflow_tasks import ENDLESS, state_of, succeeded

PNG = b"\x89PNG\r\n\x1a\n" + bytes(1000)


def save(tmp_path, **kwargs):
    return FloraToObjectStorageOperator(**{"task_id": "save", "destination": str(tmp_path / "out"), **kwargs})


def upload(source, **kwargs):
    return ObjectStorageToFloraOperator(task_id="upload", source=source, **kwargs)


def uploads(flora):
    return flora.sandbox.stats()["requests"].get("POST /assets", 0)


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("b.png", "a.png"):
        (folder / name).write_bytes(PNG + name.encode())
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_finished_run_is_saved(flora, one_task, wait_for, tmp_path):
    run = one_task(wait_for(flora.start())).run()
    task = one_task(save(tmp_path, run=run))
    manifest = task.run()
    assert [Path(file["path"]).read_bytes()[:4] for file in manifest["files"]] == [b"\x89PNG"]
    assert (manifest["dag_id"], manifest["task_id"], manifest["charged_cost_usd"]) == (
        "dag",
        "save",
        run["charged_cost"],
    )
    assert read_manifest(tmp_path / "out" / f"{run['run_id']}.json").to_dict() == manifest
    assert task.retry() == manifest


def test_run_is_saved_by_its_id(flora, one_task, tmp_path):
    run_id = flora.start()
    task = one_task(save(tmp_path, run=run_id))
    manifest = task.run()
    assert (manifest["run_id"], len(manifest["files"]), manifest["complete"]) == (run_id, 1, True)
    assert task.xcoms["charged_cost_usd"] == manifest["charged_cost_usd"]


def test_list_of_runs_gives_a_list_of_manifests(flora, one_task, tmp_path):
    ids = [flora.start(), flora.start()]
    assert [manifest["run_id"] for manifest in one_task(save(tmp_path, run=ids)).run()] == ids


def test_request_of_the_task_that_started_the_run_is_in_the_manifest(flora, run_dag, generate, wait_for, tmp_path):
    with DAG("save_behind_two", schedule=None) as dag:
        started = generate(prompt="a fern", model="t2i-flux-2-pro")
        save(tmp_path, run=wait_for(started.output).output)
    assert succeeded(run_dag(dag))
    (manifest,) = map(read_manifest, (tmp_path / "out").glob("*.json"))
    assert (manifest.prompt, manifest.model) == ("a fern", "t2i-flux-2-pro")


def test_request_of_an_operator_that_a_function_calls_is_in_the_manifest(flora, run_dag, generate, tmp_path):
    started = generate(prompt="a fern", model="t2i-flux-2-pro")
    with DAG("save_in_function", schedule=None) as dag:

        @task
        def start_and_save(**context):
            save(tmp_path, run=started.execute(context)).execute(context)

        start_and_save()
    assert succeeded(run_dag(dag))
    (manifest,) = map(read_manifest, (tmp_path / "out").glob("*.json"))
    assert (manifest.prompt, manifest.model) == ("a fern", "t2i-flux-2-pro")


def test_run_that_goes_on_is_left_to_the_retries(flora, one_task, tmp_path):
    run_id = flora.start(**ENDLESS)
    one_task(save(tmp_path, run=run_id)).fails_for_now(f"{run_id} has not ended .*FloraRunSensor.*task 'save'")


def test_run_that_failed_fails_the_task_for_good(flora, one_task, tmp_path):
    one_task(save(tmp_path, run=flora.start(error_code="provider_error"))).fails_for_good("failed")


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "5"},
        {"run": 5},
        {"run": {"outputs": []}},
        {"run": ["run_1", None]},
        {"run": "{'run_id': 'run_1'}"},
        {"destination": ""},
        {"file_name": "a/b"},
        {"file_name": "{nothing}"},
        {"file_name": "{ext}-{run_id}"},
        {"file_name": "{"},
        {"overwrite": "maybe"},
        {"max_bytes": -1},
    ],
    ids=str,
)
def test_literal_that_cannot_be_right_is_refused_at_parse(tmp_path, changes):
    with pytest.raises(FloraInputError, match=next(iter(changes))):
        save(tmp_path, **{"run": "run_1", **changes})


def test_address_that_is_none_names_the_task(flora, one_task, tmp_path):
    task = save(tmp_path, run=flora.start(), destination="nosuch://bucket/x")
    assert "task 'save'" in str(one_task(task).fails(match="nosuch"))


def test_pattern_uploads_its_files_in_their_order(flora, one_task, pictures):
    rows = one_task(upload(f"{pictures}/*.png")).run()
    assert [Path(row["source"]).name for row in rows] == ["a.png", "b.png"]
    assert [row["size_bytes"] for row in rows] == [len(PNG) + 5] * 2
    assert all(row["asset_id"].startswith("asset_") and row["url"] for row in rows)


def test_one_file_gives_one_dict(flora, one_task, pictures):
    row = one_task(upload(f"{pictures}/a.png")).run()
    assert (row["source"], row["content_type"]) == (f"{pictures}/a.png", "image/png")


def test_retry_uploads_only_what_is_missing_or_has_changed(flora, one_task, pictures):
    (pictures / "c.png").touch()  # FLORA takes no empty file
    task = one_task(upload(f"{pictures}/*.png"))
    task.fails(match="empty")
    assert uploads(flora) == 2
    (pictures / "c.png").write_bytes(PNG)
    rows = task.retry()
    assert (len(rows), uploads(flora)) == (3, 3)
    (pictures / "a.png").write_bytes(PNG + b"changed")
    again = task.retry()
    assert uploads(flora) == 4
    assert [row["asset_id"] for row in again[1:]] == [row["asset_id"] for row in rows[1:]]


def test_retry_without_a_state_store_uploads_again(flora, one_task, pictures):
    task = one_task(upload(f"{pictures}/a.png"), store=False)
    task.run()
    task.retry()
    assert uploads(flora) == 2


@pytest.mark.parametrize("name", ["nothing.png", "*.gif"])
def test_no_file_is_an_error_that_no_retry_cures(flora, one_task, pictures, name):
    one_task(upload(f"{pictures}/{name}")).fails_for_good(r"source is .*no.* file.*task 'upload'")


def test_source_that_cannot_be_right_is_refused_at_parse():
    for source in ("", 5, ["", "a.png"]):
        with pytest.raises(FloraInputError, match="source"):
            upload(source)


def test_chain_on_airflow_with_a_mapped_sensor(flora, run_dag, tmp_path):
    ids = [flora.start(), flora.start()]
    with DAG("saves", schedule=None) as dag:
        done = FloraRunSensor.partial(task_id="done", poll_interval=0.05, deferrable=False, poke_interval=0.05).expand(
            run_id=ids
        )
        save(tmp_path, run=done.output)
    dag_run = run_dag(dag)
    assert state_of(dag_run) == "success"
    manifests = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")]
    assert {manifest["run_id"] for manifest in manifests} == set(ids)
    assert {manifest["dag_run_id"] for manifest in manifests} == {dag_run.run_id}
