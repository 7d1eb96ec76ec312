"""A real Airflow sends to OpenLineage what became of runs and where their files are, and to OpenTelemetry the same."""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from devstack.airflow_rest import wait_until
from tests.e2e.dags.lineage import MODEL, SECRETS
from tests.e2e.scenarios import ObservedDagRun
from tests.e2e.traces import Trace

ENDS = {"started": "COMPLETE", "saved": "COMPLETE", "failed": "FAIL", "batch": "COMPLETE"}


class Sent:
    """A DAG run, what FLORA and Airflow know of it, and what was sent of it."""

    def __init__(self, cluster, collector, lineage, folder):
        self.folder, self.sandbox = folder, cluster.stage.sandbox
        self.dag_run = ObservedDagRun(cluster, "lineage", folder=str(folder))
        self.states = self.dag_run.wait_over(timeout=300)
        self.trace = Trace(collector, "lineage", runs=4)
        # Airflow has them sent after it has noted the end of a task.
        wait_until(lambda: self.ends(lineage) == ENDS, timeout=30)
        self.ended, self.events = self.ends(lineage), lineage.last_of_tasks("lineage")
        self.received = b"\n".join([*collector.bodies, *lineage.bodies])

    def ends(self, lineage):
        return {task: event["eventType"] for task, event in lineage.last_of_tasks("lineage").items()}

    def facet(self, task, name="flora_run"):
        return self.events[task]["run"]["facets"][name]

    def datasets(self, task, side):
        return [(one["namespace"], one["name"]) for one in self.events[task][side]]


@pytest.fixture(scope="module")
def sent(with_openlineage, collector, lineage, tmp_path_factory):
    return Sent(with_openlineage, collector, lineage, tmp_path_factory.mktemp("saved").resolve())


def test_each_task_ends_with_an_event(sent):
    assert sent.ended == ENDS
    assert sent.states == dict.fromkeys(ENDS, "success") | {"failed": "failed"}


def test_facet_says_which_run_it_was_and_what_became_of_it(sent):
    for task, status in {"saved": "completed", "failed": "failed"}.items():
        facet = sent.facet(task)
        assert (facet["model"], facet["status"], facet["quotedCostUsd"] > 0) == (MODEL, status, True)
    assert sent.facet("saved")["runId"] == sent.facet("started")["runId"] == sent.dag_run.xcom("started")
    assert sent.facet("saved")["chargedCostUsd"] == sent.dag_run.xcom("saved")["charged_cost"]
    assert sent.facet("failed")["errorCode"] == "LLM_REFUSAL"
    assert sent.facet("failed")["runId"] == sent.dag_run.xcom("failed", key="run_id")


def test_run_joins_the_task_that_started_it_and_the_sensor(sent):
    name = f"{sent.sandbox.project_id}/runs/{sent.facet('started')['runId']}"
    run = (f"flora://{sent.sandbox.workspace_id}", name)
    assert sent.datasets("started", "outputs") == [run]
    assert run in sent.datasets("saved", "inputs")


def test_saved_file_is_an_output_that_says_what_it_is(sent):
    [file] = (one for one in sent.events["saved"]["outputs"] if one["namespace"] == "file")
    [saved] = sent.dag_run.xcom("saved")["files"]
    facet, path = file["facets"]["flora_file"], Path(file["name"])
    assert (file["name"], path.parent) == (saved["path"], sent.folder / "saved")
    assert facet["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (facet["mediaType"], facet["size"]) == ("image/png", path.stat().st_size)


def test_batch_names_its_folder_and_its_manifest_and_what_it_cost(sent):
    summary, facet = sent.dag_run.xcom("batch"), sent.facet("batch", "flora_batch")
    assert sent.datasets("batch", "outputs") == [("file", str(sent.folder / "batch")), ("file", summary["manifest"])]
    assert (facet["rows"], facet["completed"], facet["costUsd"]) == (2, 2, summary["cost_usd"])


def test_each_run_is_one_span_below_that_of_the_task_or_trigger_that_had_it(sent):
    above = sorted((name, one["flora.status"]) for name, one in sent.trace.runs)
    assert above == [
        ("trigger.batch", "completed"),
        ("trigger.batch", "completed"),
        ("worker.failed", "failed"),
        ("worker.saved", "completed"),
    ]
    said = [attributes for _, attributes in sent.trace.runs]
    seen = {(run["run_id"], run["status"]) for run in sent.sandbox.runs()}
    assert sorted((one["flora.run_id"], one["flora.status"]) for one in said) == sorted(seen)
    assert {one["flora.model"] for one in said} == {MODEL}
    assert sum(one.get("flora.charged_cost_usd", 0) for one in said) == pytest.approx(
        sent.sandbox.stats()["usd_billed"]
    )


def test_nothing_secret_is_among_the_bytes_that_were_received(sent):
    outputs = [output["url"] for output in sent.dag_run.xcom("saved")["outputs"]]
    for secret in (sent.sandbox.api_key, *SECRETS, *(urlsplit(url).query for url in outputs)):
        assert secret
        assert secret.encode() not in sent.received
    assert sent.facet("saved")["runId"].encode() in sent.received
