"""What OpenLineage's provider sends, over HTTP, of one task of each kind: the DAG of `dags/lineage.py`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from flora_provider.sandbox import Sandbox, Settings
from flora_provider.telemetry import openlineage
from tests.support.media import png
from tests.support.openlineage import lineage_server

DAG = Path(__file__).parent / "dags" / "lineage.py"
SCHEMAS = json.loads(Path(openlineage.__file__).with_name("facets.json").read_text())
ENDED = {"COMPLETE", "FAIL"}


class Lineage:
    """The last event of each task, and what it says."""

    def __init__(self, folder, server, events):
        self.folder = folder
        self.sandbox = server.sandbox
        self.media = server.base_url.removesuffix("/api/v1")
        self.events = events

    def datasets(self, task, side):
        return [(one["namespace"], one["name"]) for one in self.events[task][side]]

    def facet(self, task, name="flora_run"):
        found = self.events[task]["run"]["facets"].get(name, {})
        return {name: value for name, value in found.items() if not name.startswith("_")}

    def run(self, task):
        """The dataset of the run that a task names."""
        scope, run_id = self.sandbox, self.facet(task)["runId"]
        return (f"flora://{scope.workspace_id}", f"{scope.project_id}/runs/{run_id}")


@pytest.fixture(scope="module")
def lineage(port, tmp_path_factory):
    """The DAG in a process of its own, for Airflow reads OpenLineage's settings as it starts."""
    port.sandbox = Sandbox(Settings(speed=20))  # not one that an earlier test has given faults
    folder = tmp_path_factory.mktemp("lineage")
    (folder / "fern.png").write_bytes(png(3, 4))
    (folder / "rows.csv").write_text("prompt\nfern 1\nfern 2\n")
    with lineage_server() as server:
        environment = {
            **os.environ,
            **server.environment,
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAG.parent),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": "60",
            "AIRFLOW_CONN_FLORA_DEFAULT": port.connection_uri,
            "FLORA_TEST_LINEAGE_FOLDER": str(folder),
        }
        done = subprocess.run(
            [sys.executable, str(DAG)], env=environment, capture_output=True, text=True, timeout=900, check=False
        )
        events = server.last_of_tasks("lineage")
    assert {event["eventType"] for event in events.values()} == ENDED, done.stdout + done.stderr
    return Lineage(folder, port, events)


def test_each_task_ends_with_an_event(lineage):
    ended = dict.fromkeys(
        ("start", "finished", "saved", "waited", "reused", "action", "failed", "upload", "batch"), "COMPLETE"
    )
    assert {task: event["eventType"] for task, event in lineage.events.items()} == ended | {"failed": "FAIL"}


def test_run_is_the_output_of_the_task_that_starts_it_and_the_input_of_those_after_it(lineage):
    assert lineage.datasets("start", "outputs") == [lineage.run("start")]
    assert lineage.datasets("finished", "inputs") == [lineage.run("start")]
    assert lineage.datasets("saved", "inputs") == [lineage.run("start")]


def test_facet_of_a_run_says_what_it_was_and_what_it_cost(lineage):
    facet = lineage.facet("finished")
    assert facet.pop("chargedCostUsd") > 0
    assert facet == lineage.facet("start") | {"status": "completed"}
    started = lineage.facet("start")
    assert started.pop("runId").startswith("run_")
    assert started.pop("quotedCostUsd") > 0
    assert started == {
        "kind": "generation",
        "type": "image",
        "model": "t2i-flux-2-pro",
        "workspaceId": lineage.sandbox.workspace_id,
        "projectId": lineage.sandbox.project_id,
    }


def test_failed_run_says_why(lineage):
    facet = lineage.facet("failed")
    assert (facet["status"], facet["errorCode"], facet["model"]) == ("failed", "LLM_REFUSAL", "t2i-flux-2-pro")
    assert lineage.datasets("failed", "outputs") == [lineage.run("failed")]


def test_outputs_are_named_by_their_address_and_by_where_they_were_saved(lineage):
    (host, name), (namespace, path) = lineage.datasets("finished", "outputs")
    assert (host, namespace) == (lineage.media, "file")
    assert name.startswith("media/")
    assert Path(path).is_relative_to(lineage.folder / "sensor")
    assert Path(path).exists()


def test_saved_file_says_what_is_known_of_it(lineage):
    (saved,) = lineage.events["saved"]["outputs"]
    size, facet = Path(saved["name"]).stat().st_size, saved["facets"]["flora_file"]
    assert (facet["mediaType"], facet["size"], facet["type"]) == ("image/png", size, "imageUrl")
    assert facet["sha256"] == saved["facets"]["version"]["datasetVersion"]
    assert facet["width"] > 0
    assert saved["outputFacets"]["outputStatistics"]["size"] == size


def test_run_from_the_build_cache_says_so_and_costs_nothing(lineage):
    facet = lineage.facet("reused")
    assert (facet["reused"], facet["chargedCostUsd"], facet["runId"]) == (True, 0, lineage.facet("waited")["runId"])
    assert lineage.datasets("reused", "outputs")[-1] == lineage.datasets("waited", "outputs")[2]


def test_outlet_of_the_author_is_an_output_too(lineage):
    assert ("s3://bucket", "declared.png") in lineage.datasets("waited", "outputs")


def test_input_is_named_without_its_signature(lineage):
    assert lineage.datasets("action", "inputs") == [("https://media.flora.ai", "clips/fern.mp4")]
    assert lineage.facet("action")["action"] == "speed-up-video"


def test_uploaded_file_is_an_input_once_and_the_asset_an_output(lineage):
    (file,) = lineage.events["upload"]["inputs"]
    assert (file["namespace"], file["name"]) == ("file", str(lineage.folder / "fern.png"))
    assert file["facets"]["flora_file"]["mediaType"] == "image/png"
    ((host, _),) = lineage.datasets("upload", "outputs")
    assert host == lineage.media


def test_batch_names_its_rows_its_folder_and_its_manifest(lineage):
    assert lineage.datasets("batch", "inputs") == [("file", str(lineage.folder / "rows.csv"))]
    folder, (_, manifest) = lineage.datasets("batch", "outputs")
    assert folder == ("file", str(lineage.folder / "batch"))
    assert manifest.endswith("/manifest.jsonl")
    facet = lineage.facet("batch", "flora_batch")
    assert (facet["rows"], facet["completed"], facet["failed"]) == (2, 2, 0)
    assert facet["costUsd"] > 0


def test_no_event_holds_a_key_a_prompt_or_a_signature(lineage):
    for event in lineage.events.values():
        said = json.dumps([event["inputs"], event["outputs"], lineage.facet(event["job"]["name"].split(".")[1])])
        for secret in ("confidential", "s3cr3t", lineage.sandbox.api_key):
            assert secret not in said


def test_facets_are_as_their_schema_says(lineage):
    checked = set()
    for event in lineage.events.values():
        for part in (event["run"], *event["inputs"], *event["outputs"]):
            for name, facet in part.get("facets", {}).items():
                if name.startswith("flora_"):
                    definition = facet["_schemaURL"].rpartition("/")[2]
                    jsonschema.validate(facet, {**SCHEMAS, "$ref": f"#/$defs/{definition}"})
                    assert set(facet) <= set(SCHEMAS["$defs"][definition]["properties"])
                    assert facet["_producer"] == openlineage.PRODUCER
                    checked.add(definition)
    assert checked == set(SCHEMAS["$defs"])
