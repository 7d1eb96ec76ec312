"""Names and facets of OpenLineage's datasets, of any path, address and run."""

import json
import re
from dataclasses import fields
from pathlib import Path

import attr
import pytest
from airflow.providers.openlineage.utils.utils import TaskInfoComplete
from hypothesis import given
from hypothesis import strategies as st
from openlineage.client.serde import Serde

from flora_provider.batch.outcome import summary_of
from flora_provider.files import SavedFile
from flora_provider.sensors.flora import FloraRunSensor
from flora_provider.tasks import lineage
from flora_provider.telemetry import openlineage
from flora_provider.telemetry.facts import RunFacts
from flora_provider.transfers.object_storage import FloraToObjectStorageOperator

SIGNED = st.sampled_from(["?signature=s3cr3t", "#s3cr3t", "?a=b&X-Amz-Signature=s3cr3t#top", ""])
USERS = st.sampled_from(["s3cr3t@", "key:s3cr3t@", ""])


def name_of(dataset):
    return (dataset.namespace, dataset.name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/tmp/fern.png", ("file", "/tmp/fern.png")),
        ("file:///tmp/fern.png", ("file", "/tmp/fern.png")),
        ("s3://bucket/a/fern.png", ("s3://bucket", "a/fern.png")),
        ("s3://aws_default@bucket/a/fern.png", ("s3://bucket", "a/fern.png")),
        ("gcs://google@bucket/fern.png", ("gs://bucket", "fern.png")),
        ("abfs://container/fern.png", ("abfs://container", "fern.png")),
        ("s3://bucket", ("s3://bucket", "/")),
        ("s3://bucket/folder/", ("s3://bucket", "folder")),
        ("https://host.example/fern.png?X=1", ("https://host.example", "fern.png")),
    ],
)
def test_path_is_named_as_openlineage_names_it(path, name):
    assert name_of(openlineage.path_dataset(path)) == name


@given(user=USERS, path=st.text("abc/%", max_size=20), signature=SIGNED)
def test_address_is_named_without_what_it_is_signed_with(user, path, signature):
    text = f"see https://{user}cdn.example:8443/{path}{signature} and that"
    found = openlineage.address_datasets(openlineage.addresses_in([{"image": [text]}, None, 3]))
    assert [name_of(one) for one in found] == [("https://cdn.example:8443", path.lstrip("/") or "/")]


@given(st.text(max_size=60) | st.sampled_from(["https://[", "https://h:port/x", "https:///x"]))
def test_text_that_is_no_address_is_no_dataset_and_raises_nothing(text):
    for dataset in openlineage.address_datasets([text, *openlineage.addresses_in(text)]):
        assert dataset.namespace.startswith(("http://", "https://"))


def test_many_files_are_named_by_their_folder():
    files = [{"path": f"s3://aws@bucket/pictures/{number}.png"} for number in range(openlineage.MAX_DATASETS + 1)]
    assert len(openlineage.file_datasets(files[1:])) == openlineage.MAX_DATASETS
    assert [name_of(one) for one in openlineage.file_datasets(files)] == [("s3://bucket", "pictures")]


def test_ten_thousand_runs_make_an_event_of_bounded_size():
    manifests = [
        {"run_id": f"run_{number}", "files": [{"path": f"/tmp/out/{number}.png", "size": 1}]}
        for number in range(10_000)
    ]
    task = FloraToObjectStorageOperator(task_id="saved", run="run_1", destination="/tmp/out")
    task.done.manifests = manifests
    found = lineage.saving_lineage(task)
    assert len(found.inputs) == openlineage.MAX_DATASETS
    assert [name_of(one) for one in found.outputs] == [("file", "/tmp/out")]


def test_file_of_which_nothing_is_known_is_a_dataset():
    dataset = openlineage.file_dataset({"path": "/tmp/fern.png"})
    assert set(dataset.facets) == {"flora_file"}
    assert dataset.outputFacets == {}


@pytest.mark.parametrize(
    ("schema", "members"),
    [
        ("FloraRunFacet", {field.name for field in fields(RunFacts)}),
        ("FloraFileFacet", SavedFile.model_fields.keys() - {"path"}),
        ("FloraBatchFacet", summary_of([], [], "").keys() - {"manifest"}),
    ],
)
def test_schema_of_a_facet_has_each_member(schema, members):
    schemas = json.loads(Path(openlineage.__file__).with_name("facets.json").read_text())
    properties = schemas["$defs"][schema]["properties"].keys() - {"_producer", "_schemaURL"}
    assert {re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name) for name in properties} == members


def test_facet_has_each_fact():
    facts = RunFacts.started("run_1", {"kind": "action", "workspace_id": "ws_1", "quoted_cost_usd": 0.5})
    facet = attr.asdict(openlineage.run_facet(facts)["flora_run"])
    known = {name: value for name, value in facet.items() if value is not None and not name.startswith("_")}
    assert known == {"runId": "run_1", "kind": "action", "workspaceId": "ws_1", "quotedCostUsd": 0.5}


def test_task_that_failed_before_it_had_a_run_says_only_what_its_author_declared():
    task = FloraRunSensor(task_id="finished", run_id="run_1")
    task.run_id = "None"  # as a template of a missing value renders
    found = lineage.run_lineage(task)
    assert (found.inputs, found.outputs, found.run_facets) == ([], [], {})


@pytest.mark.parametrize("waiting", [{"deferrable": True}, {"deferrable": False}], ids=["deferred", "in the worker"])
def test_attributes_of_an_operator_hold_no_signed_address_of_what_it_has_made(flora, generate, one_task, waiting):
    task = one_task(generate(wait_for_completion=True, **waiting))
    assert "?sig=" in task.run()["outputs"][0]["url"]
    assert "?sig=" not in all_attributes(task.copy)


def test_attributes_of_a_sensor_hold_no_signed_address_of_what_it_has_found(flora, wait_for, one_task):
    task = one_task(wait_for(flora.start(), mode="poke"))
    assert "?sig=" in task.run()["outputs"][0]["url"]
    assert "?sig=" not in all_attributes(task.copy)


def all_attributes(task):
    """What OpenLineage is sent of a task that has ended, where its `include_full_task_info` is set."""
    return Serde.to_json(dict(TaskInfoComplete(task)))
