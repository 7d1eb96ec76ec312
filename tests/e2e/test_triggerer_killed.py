"""All waits go on in a triggerer that was killed and started again."""

from collections import Counter

from devstack.airflow_rest import wait_until

SENSORS, OPERATORS = 100, 8  # of dags/waits.py


def test_a_triggerer_that_is_killed_and_started_again_goes_on_with_every_wait(cluster):
    rest = cluster.rest
    billed = cluster.stage.sandbox.stats()["runs_billed"]
    rest.unpause("waits")
    dag_run = rest.trigger("waits")

    def waiting():
        return [ti for ti in rest.task_instances("waits", dag_run) if ti["state"] == "deferred"]

    assert wait_until(lambda: len(waiting()) == SENSORS + OPERATORS, timeout=120)
    cluster.again("triggerer")
    assert len(waiting()) == SENSORS + OPERATORS, "some were over before the triggerer was killed"
    rest.wait_for_dag_run("waits", dag_run, timeout=240)

    tasks = rest.task_instances("waits", dag_run)
    assert Counter(ti["state"] for ti in tasks) == {"success": SENSORS + OPERATORS + 2}
    assert cluster.stage.sandbox.stats()["runs_billed"] == billed + SENSORS + OPERATORS
    for number in range(SENSORS):
        run = rest.xcom("waits", dag_run, f"sensor_{number}")
        assert run["run_id"] == rest.xcom("waits", dag_run, "start", key=f"run_{number}")
        assert run["status"] == "completed"
    # Nothing of a sensor was ever given to a worker: such a task has no process, and no host.
    sensors = [ti for ti in tasks if ti["task_id"].startswith("sensor_")]
    assert {(ti["pid"], ti["hostname"] or "") for ti in sensors} == {(None, "")}
