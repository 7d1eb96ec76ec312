"""Every operator does the same on a real Airflow, however it waits, and a sensor waits for every route's runs."""

from pathlib import Path

import pytest

from devstack.airflow_rest import wait_until
from flora_provider.files import read_manifest
from tests.e2e.deployment import control
from tests.e2e.scenarios import ObservedDagRun

KINDS = ("generation", "technique_by_id", "technique_by_slug", "action")
WAYS = ("deferred", "in_worker", "mapped[0]", "mapped[1]")
ROUTES = ("/generate", "/runs/technique", "/techniques/{technique_id}/runs", "/runs/action")
SENSORS = ("technique_by_id_awaited", "technique_by_slug_awaited")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saved")


@pytest.fixture(scope="module")
def sandbox(cluster):
    sandbox = cluster.new_sandbox("flora_every_operator")
    behavior = {"times": None, "behavior": {"seconds": 8, "estimated_seconds": 20}}
    for route in ROUTES:
        control(sandbox, "POST", "faults", json=[{"route": route, **behavior}])
    return sandbox


@pytest.fixture(scope="module")
def observed(cluster, sandbox, folder):
    cluster.rest.unpause("follower")
    observed = ObservedDagRun(cluster, "every_operator", prompt="A fern", folder=str(folder))
    observed.wait_well(timeout=300)
    return observed


@pytest.fixture(scope="module")
def deferrals(cluster, observed):
    """Ids of the tasks that were deferred, by the audit log."""
    return {
        event["task_id"]
        for event in cluster.rest.events("every_operator", observed.run_id)
        if event["event"] == "deferred"
    }


def test_each_run_is_paid_for_once(observed, sandbox):
    runs = control(sandbox, "GET", "runs")["runs"]
    assert sorted(run["run_id"] for run in runs) == sorted(
        [observed.xcom(f"{kind}_{way}")["run_id"] for kind in KINDS for way in WAYS]
        + [observed.xcom(sensor)["run_id"] for sensor in SENSORS]
    )
    assert set(observed.tries().values()) == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_result_is_equal_however_the_task_waits(observed, deferrals, kind):
    first, *others = (outline(observed.xcom(f"{kind}_{way}")) for way in WAYS)
    assert others == [first] * len(others)
    assert {f"{kind}_deferred", f"{kind}_mapped"} <= deferrals
    assert f"{kind}_in_worker" not in deferrals


def outline(run):
    """What is the same of every run of a kind; FLORA charges each as it likes."""
    return {
        "members": sorted(run),
        "status": run["status"],
        "outputs": [(output["output_id"], output["type"]) for output in run["outputs"]],
        "is_charged": run["charged_cost"] is not None,
        "files": [(file["output_id"], file["media_type"], sorted(file)) for file in run["files"]],
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_outputs_are_saved_beside_a_manifest_that_says_what_was_asked(observed, folder, kind, way):
    run = observed.xcom(f"{kind}_{way}")
    manifest = read_manifest(run["manifest"])
    assert manifest.to_dict()["files"] == run["files"] != []
    assert all(
        Path(file.path).parent == folder and Path(file.path).stat().st_size == file.size for file in manifest.files
    )
    asked = "A fern" if "[" not in way else f"A fern, row {way[-2]}"
    assert asked in str([manifest.prompt, manifest.inputs])
    assert manifest.task_id == f"{kind}_{way.partition('[')[0]}"
    assert manifest.charged_cost_usd == run["charged_cost"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_link_leads_to_the_project(cluster, sandbox, observed, kind, way):
    task, _, index = way.partition("[")
    assert sandbox.project_id in link(cluster, observed, f"{kind}_{task}", int(index[:-1]) if index else -1)


@pytest.mark.parametrize("name", SENSORS)
def test_runs_of_both_routes_of_techniques_are_awaited_with_no_worker(cluster, sandbox, observed, name):
    run = observed.xcom(name)
    assert run["run_id"] == observed.xcom(name.replace("awaited", "started"))
    assert run["status"] == "completed"
    assert run["outputs"]
    ti = observed.tasks()[name]
    assert (ti["pid"], ti["hostname"] or "") == (None, ""), "a task that a worker has had has a process and a host"
    assert sandbox.project_id in link(cluster, observed, name)


def test_dag_that_is_scheduled_on_the_project_reads_which_run_it_was(cluster, observed):
    rest = cluster.rest
    assert wait_until(
        lambda: [run["state"] for run in rest.pages("dags/follower/dagRuns", "dag_runs")] == ["success"], 60
    )
    [dag_run] = rest.pages("dags/follower/dagRuns", "dag_runs")
    extra, run = rest.xcom("follower", dag_run["dag_run_id"], "read"), observed.xcom("generation_deferred")
    assert extra["run_id"] == run["run_id"]
    assert extra["charged_cost_usd"] == run["charged_cost"]
    assert extra["files"] == [file["path"] for file in run["files"]]


def link(cluster, observed, task_id, map_index=-1):
    path = f"dags/every_operator/dagRuns/{observed.run_id}/taskInstances/{task_id}/links"
    return cluster.rest.request("GET", path, params={"map_index": map_index})["extra_links"]["FLORA project"]
