"""Fight the rounds in batches, each one DAG run, and gather what became of each round."""

import time
from collections import Counter
from dataclasses import dataclass, field, replace

from demo.airflow_rest import FINISHED, wait_until
from tests.e2e.chaos.field import control
from tests.e2e.chaos.rounds import Round, disasters, draw

BATCH = 25
TIMEOUT = 400  # seconds, of one batch
CLEARED = 2  # tasks of a batch that are cleared after it


@dataclass
class Result:
    """What became of one round.

    Attributes:
        round: what was drawn.
        task: of the DAG run: task id and map index.
        dag_run: its id.
        clears: how often it was cleared.
        state: of the task instance, at last.
        value: its return value.
        run_id: the XCom.
        errors: what the log of its last try says, if it failed.
        notes: of the journal, oldest first.
        disaster: what befell it besides, if it was not over by then.
        known: run ids that an XCom or an error has named.
        before_clear: what had become of it when it was cleared.
    """

    round: Round
    task: tuple[str, int]
    dag_run: str
    clears: int = 0
    state: str = ""
    value: object = None
    run_id: str | None = None
    errors: str = ""
    notes: list = field(default_factory=list)
    disaster: str = "no disaster"
    known: set = field(default_factory=set)
    before_clear: "Result | None" = None


def fight(place, seed, count, say=print, batch=BATCH):
    """Fight `count` rounds on a field; return their results, in order."""
    rounds = draw(seed, count)
    batches = [rounds[start : start + batch] for start in range(0, count, batch)]
    place.rest.unpause("chaos")
    results = []
    for number, (drawn, (disaster, share, picks)) in enumerate(
        zip(batches, disasters(seed, len(batches)), strict=True), 1
    ):
        started = time.monotonic()
        found = _fight_batch(place, drawn, disaster, share)
        _clear_some(place, found, picks)
        results += found
        states = Counter(result.state for result in found)
        took = time.monotonic() - started
        say(f"batch {number} of {len(batches)}: {len(drawn)} rounds, {disaster}, {dict(states)}, {took:.0f} s")
    return results


def _fight_batch(place, rounds, disaster, share):
    for drawn in rounds:
        if faults := drawn.faults():
            control(place.sandboxes[drawn.mode], "POST", "faults", json=faults)
    kinds = {"chaos": [], "resuming": []}
    for drawn in rounds:
        kinds["resuming" if drawn.style == "resumed" else "chaos"].append(drawn)
    dag_run = place.rest.trigger("chaos", **{kind: [drawn.row() for drawn in rows] for kind, rows in kinds.items()})
    results = [
        Result(drawn, (kind, index), dag_run) for kind, rows in kinds.items() for index, drawn in enumerate(rows)
    ]
    if disaster != "no disaster":
        _strike(place, results, disaster, share)
    _wait(place, dag_run)
    _gather(place, results)
    return results


def _strike(place, results, disaster, share):
    """Kill a part as soon as a share of the rounds is over, and something is there to be hit."""
    part = disaster.split()[0]
    exposed = {"triggerer": {"deferred"}, "scheduler": {"running", "queued"}}[part]

    def is_time():
        states = _states(place, results)
        over = sum(state in FINISHED for state in states.values())
        return over == len(results) or (over >= share * len(results) and bool(exposed & set(states.values())))

    wait_until(is_time, TIMEOUT, pause=0.2)
    place.again(part)
    states = _states(place, results)
    for result in results:
        if states.get(result.task) not in FINISHED:
            result.disaster = disaster


def _states(place, results):
    found = place.rest.task_instances("chaos", results[0].dag_run)
    return {(ti["task_id"], ti["map_index"]): ti["state"] for ti in found}


def _wait(place, dag_run):
    deadline = time.monotonic() + TIMEOUT
    while not wait_until(lambda: place.rest.dag_run("chaos", dag_run)["state"] in FINISHED, timeout=5):
        place.stage.airflow.check_alive()
        if time.monotonic() > deadline:
            left = Counter(ti["state"] for ti in place.rest.task_instances("chaos", dag_run))
            raise TimeoutError(f"DAG run {dag_run} is not over after {TIMEOUT} s: {dict(left)}")


def _clear_some(place, results, picks):
    """Clear some of the finished tasks: each is another intended run."""
    picked = {pick % len(results) for pick in picks[:CLEARED]}
    chosen = [result for index, result in enumerate(results) if index in picked]
    body = {
        "dry_run": False,
        "only_failed": False,
        "dag_run_id": chosen[0].dag_run,
        "task_ids": [list(result.task) for result in chosen],
    }
    place.rest.request("POST", "dags/chaos/clearTaskInstances", json=body)
    for result in chosen:
        result.before_clear = replace(result)
        result.clears += 1
    _wait(place, chosen[0].dag_run)
    _gather(place, results)


def _gather(place, results):
    notes = {}
    for note in place.noted():
        if note["dag_run"] == results[0].dag_run:
            notes.setdefault((note["task"], note["index"]), []).append(note)
    found = {(ti["task_id"], ti["map_index"]): ti for ti in place.rest.task_instances("chaos", results[0].dag_run)}
    for result in results:
        ti = found[result.task]
        result.state = ti["state"]
        result.notes = notes.get(result.task, [])
        if result.state == "success":
            result.value = place.rest.xcom("chaos", result.dag_run, *result.task)
            result.run_id = place.rest.xcom("chaos", result.dag_run, *result.task, key="run_id")
            result.known.add(result.run_id)
        else:
            log = place.rest.task_log("chaos", result.dag_run, *result.task, try_number=ti["try_number"])
            result.errors = "\n".join(str(entry) for entry in log)
            result.known |= {run["run_id"] for run in place.runs(result.round.mode) if run["run_id"] in result.errors}
