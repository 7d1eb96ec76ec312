"""Fifty tasks ask for the same thing at once, half of them are killed."""

import random

import pytest

from tests.e2e.chaos.workload import START

TASKS, KILLED = 50, 25


@pytest.mark.parametrize("mode", ["duplicate_409", "replay"])
def test_equal_tasks_take_no_run_of_each_other_though_half_are_killed(cluster, mode):
    dice = random.Random(mode)  # noqa: S311 - chance, not secrets
    kills = [[dice.choice(START)] for _ in range(KILLED)] + [[]] * (TASKS - KILLED)
    cluster.rest.unpause("crowd")
    dag_run = cluster.rest.trigger("crowd", conn_id=f"flora_{mode}", kills=kills)
    cluster.rest.wait_for_dag_run("crowd", dag_run, timeout=300)

    tasks = cluster.rest.task_instances("crowd", dag_run, "crowd")
    notes = [note for note in cluster.noted() if note["dag_run"] == dag_run]
    runs = {run["run_id"]: run for run in cluster.runs(mode) if run["prompt"] == "What everybody asks for."}
    assert sum(note["event"] == "killed" for note in notes) == KILLED
    assert len(tasks) == len(runs) == TASKS

    taken = set()
    for ti in tasks:
        address = ("crowd", dag_run, "crowd", ti["map_index"])
        if ti["state"] == "success":
            run_id = cluster.rest.xcom(*address)
            assert runs[run_id]["idempotency_key"] in keys_of(ti["map_index"], notes)
            taken.add(run_id)
        else:
            # FLORA said that it had started a run, and which one could not be told: that is said, with the candidates.
            log = str(cluster.rest.task_log(*address, try_number=ti["try_number"]))
            own = [run_id for run_id, run in runs.items() if run["idempotency_key"] in keys_of(ti["map_index"], notes)]
            assert "Nothing was sent again" in log
            assert own[0] in log
    assert len(taken) == sum(ti["state"] == "success" for ti in tasks) >= TASKS - KILLED


def keys_of(map_index, notes):
    return {note["key"] for note in notes if note["event"] == "sent" and note["index"] == map_index}
