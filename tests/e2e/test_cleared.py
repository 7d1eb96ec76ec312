"""A task that is cleared: while its process runs, as FLORA keeps it waiting, or at its end, to take its run again."""

import json

import pytest

from devstack.airflow_rest import wait_until
from tests.e2e.deployment import connection_to, control
from tests.e2e.scenarios import ObservedDagRun, prompts_billed


# Seconds until FLORA answers. Airflow ends a process six seconds after its task was cleared.
@pytest.mark.parametrize("answered_after", [4, 40], ids=["answered before its end", "answered after its end"])
def test_task_that_is_cleared_while_it_runs_is_a_new_run(cluster, answered_after):
    conn_id = f"flora_cleared_{answered_after}"
    sandbox = cluster.new_sandbox(conn_id)
    extra = json.loads(connection_to(sandbox)["extra"]) | {"timeout": 60}
    cluster.edit_connection(conn_id, extra=json.dumps(extra))
    control(sandbox, "POST", "faults", json=[{"route": "/generate", "delay": answered_after}])
    paid = begin(cluster, conn_id)
    assert wait_until(lambda: prompts_billed(sandbox), timeout=120, pause=0.1)
    [first] = control(sandbox, "GET", "runs")["runs"]

    clear(cluster, paid)

    paid.wait_well(timeout=180)
    assert prompts_billed(sandbox) == {conn_id: 2}
    assert paid.xcom("paid[0]", "run_id") != first["run_id"]


def test_cleared_task_that_is_to_reuse_takes_its_run_again(cluster):
    sandbox = cluster.new_sandbox("flora_reused")
    paid = begin(cluster, "flora_reused", on_clear="reuse")
    paid.wait_well(timeout=120)
    first = paid.xcom("paid[0]")

    clear(cluster, paid)

    paid.wait_well(timeout=120)
    assert paid.tries()["paid[0]"] == 2
    assert paid.xcom("paid[0]") == first
    assert prompts_billed(sandbox) == {"flora_reused": 1}


def begin(cluster, conn_id, **arguments):
    """Start a DAG run of one task that waits for its run."""
    behavior = {"sandbox": {"seconds": 1, "estimated_seconds": 20}}
    row = {"prompt": conn_id, "flora_conn_id": conn_id, "model_params": behavior, "wait_for_completion": True}
    return ObservedDagRun(cluster, "paid", rows=[row | arguments])


def clear(cluster, paid):
    body = {"dry_run": False, "only_failed": False, "dag_run_id": paid.run_id, "task_ids": ["paid"]}
    cluster.rest.request("POST", "dags/paid/clearTaskInstances", json=body)
