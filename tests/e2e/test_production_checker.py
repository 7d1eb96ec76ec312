"""The checker of production campaigns finds what it is there to find: each of these has one thing wrong."""

from copy import deepcopy

import pytest

from tests.e2e.production.checker import History, Result, problems
from tests.e2e.production.nemesis import NO_VICTIM, Strike
from tests.e2e.production.workload import (
    DAG_RUNS,
    HONEST,
    OF_PARTS,
    OF_TASKS,
    SAVED,
    SENSORS,
    DagRun,
    draw_dag_runs,
    draw_faults,
)

SEEDS = (1, 2, 3)


def right(mode="replay"):
    """A DAG run of which all is right."""
    dag_run = DagRun("One", mode, {})
    result = Result(dag_run, state="success")
    for number, (prompt, (task_id, index)) in enumerate(dag_run.results().items()):
        run_id = f"run_{number}"
        result.runs.append({"run_id": run_id, "prompt": prompt, "status": "completed", "billed": True})
        result.outputs[run_id] = f"hash of {run_id}"
        files = [{"path": f"/saved/{run_id}.png", "sha256": f"hash of {run_id}"}]
        finished = {"state": "success", "tries": 1, "value": {"run_id": run_id, "files": files}}
        for name in filter(None, (task_id, SENSORS.get(task_id))):
            result.tasks[name, index] = deepcopy(finished)
            if name in SAVED:
                result.files[files[0]["path"]] = files[0]["sha256"]
        if task_id in SENSORS:
            result.tasks[task_id, index]["value"] = run_id
    return result


def found(result, **changes):
    return " ".join(problems(History(1, results=[result], **changes)))


def billed_again(result):
    result.runs.append(result.runs[0] | {"run_id": "run_again"})


def never_billed(result):
    del result.runs[0]


def of_nobody(result):
    result.runs.append(result.runs[0] | {"run_id": "run_x", "prompt": "Whose?"})


def going_on(result):
    result.runs[0]["status"] = "running"


def task_failed(result):
    result.tasks["deferred", 0]["state"] = "failed"


def task_missing(result):
    del result.tasks["deferred", 0]


def run_of_another(result):
    result.tasks["unsaved", 0]["value"] = result.tasks["unsaved", 1]["value"]


def awaited_another(result):
    result.tasks["started_awaited", 0]["value"]["run_id"] = "run_1"


def file_torn(result):
    [file] = result.tasks["deferred", 0]["value"]["files"]
    result.files[file["path"]] = "half of it"


def file_missing(result):
    [file] = result.tasks["action", 1]["value"]["files"]
    del result.files[file["path"]]


def file_of_another(result):
    [file] = result.tasks["action", 1]["value"]["files"]
    file["sha256"] = result.files[file["path"]] = "what another run has made"


def none_saved(result):
    result.tasks["action", 1]["value"]["files"] = []


def dag_run_failed(result):
    result.state = "failed"


WRONG = {
    billed_again: "was paid for 2 times",
    never_billed: "was paid for 0 times",
    of_nobody: "is of nobody",
    going_on: "run run_0 is running",
    task_failed: "('deferred', 0) is failed",
    task_missing: "('deferred', 0) has run None",
    run_of_another: "('unsaved', 0) has run",
    awaited_another: "started_awaited has awaited",
    file_torn: "is half of it",
    file_missing: "is None, FLORA shows",
    file_of_another: "is what another run has made",
    none_saved: "has 0 files",
    dag_run_failed: "ended as failed",
}


def test_campaign_that_is_right_has_no_problems():
    assert not found(right(), polls={1: 0.3, 2: 0.6})


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_checker_finds(wrong):
    result = right()
    wrong(result)
    assert WRONG[wrong] in found(result)


def test_flora_that_ignores_keys_may_be_paid_for_each_try_that_was_cut_off():
    result = right("none")
    billed_again(result)
    assert "was paid for 2 times" in found(result)
    result.tasks["started", 0]["tries"] = 2
    assert not found(result)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"triggers": 2}, "2 triggers are left"),
        ({"unfinished": 3}, "3 task instances have not ended"),
        ({"polls": {1: 0.3, 2: 0.7}}, "two triggerers sent 0.70 polls"),
        ({"batch_problems": ["batch: row 3 is lost"]}, "row 3 is lost"),
    ],
)
def test_checker_finds_what_is_left_behind(changes, message):
    assert message in found(right(), **changes)


def test_fault_that_has_struck_nothing_does_not_count():
    strikes = [Strike("task killed", 1.0, 0.1, "deferred[0]"), Strike("task killed", 9.0, 30.0, NO_VICTIM)]
    assert History(1, strikes=strikes, batch_kills=1).faults() == {"task killed": 1, "task of the batch killed": 1}


@pytest.mark.parametrize("seed", SEEDS)
def test_each_seed_has_every_fault_and_mostly_floras_that_know_keys(seed):
    assert {fault.what for fault in draw_faults(seed)} == {*OF_PARTS, *OF_TASKS}
    modes = [dag_run.mode for dag_run in draw_dag_runs(seed)]
    assert len(modes) == DAG_RUNS
    assert {*HONEST, "none"} == set(modes)
    assert modes.count("none") == 1


def test_seeds_have_hundreds_of_task_instances_and_a_hundred_faults():
    tasks = sum(len(right().tasks) for seed in SEEDS for _ in draw_dag_runs(seed))
    assert tasks >= 300
    assert sum(len(draw_faults(seed)) for seed in SEEDS) >= 100
