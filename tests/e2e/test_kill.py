"""A task is killed, or marked as failed: nothing is cancelled, that is said, and a retry finds the run again."""

from contextlib import suppress

import httpx

from devstack.airflow_rest import wait_until
from tests.e2e.deployment import control

GOES_ON = "it goes on and is billed"


def test_killed_task_says_so_and_its_retry_takes_the_same_run(cluster):
    rest, sandbox = cluster.rest, cluster.stage.sandbox
    billed = sandbox.stats()["runs_billed"]
    rest.unpause("endless")
    dag_run = rest.trigger("endless")

    def said(task_id, attempt):
        with suppress(httpx.HTTPStatusError):  # no such try yet
            return str(rest.task_log("endless", dag_run, task_id, try_number=attempt))
        return ""

    def run_id_of(task_id):
        with suppress(httpx.HTTPStatusError):  # not pushed yet
            return rest.xcom("endless", dag_run, task_id, key="run_id")

    def states():
        return {ti["task_id"]: ti["state"] for ti in rest.task_instances("endless", dag_run)}

    assert wait_until(lambda: states() == {"in_worker": "running", "deferred": "deferred"}, timeout=60)
    assert wait_until(lambda: all(run_id_of(task_id) for task_id in states()), timeout=30)
    run_ids = {task_id: run_id_of(task_id) for task_id in states()}

    # As Kubernetes does it when it needs the machine: asks first.
    process = cluster.stage.airflow.task_processes("endless", dag_run, "in_worker")[0]
    process.terminate()
    assert wait_until(lambda: f"Killed while FLORA run {run_ids['in_worker']}" in said("in_worker", 1), timeout=60)
    assert GOES_ON in said("in_worker", 1)
    process.kill()
    assert wait_until(lambda: f"Found FLORA run {run_ids['in_worker']}" in said("in_worker", 2), timeout=60)

    # As a user does it.
    rest.mark("endless", dag_run, "deferred", "failed")
    assert wait_until(
        lambda: f"No longer waiting for FLORA run {run_ids['deferred']}" in said("deferred", 1), timeout=60
    )
    assert GOES_ON in said("deferred", 1)

    control(sandbox, "POST", "clock", json={"advance": 7200})
    rest.wait_for_dag_run("endless", dag_run, timeout=120)
    assert states() == {"in_worker": "success", "deferred": "failed"}
    assert rest.xcom("endless", dag_run, "in_worker")["run_id"] == run_ids["in_worker"]
    assert sandbox.stats()["runs_billed"] == billed + 2
