"""Fight the rounds in batches, each one DAG run, and gather what became of each round."""

import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace

import httpx

from devstack.airflow_rest import FINISHED, wait_until
from tests.e2e.chaos.workload import DISASTERS, RETRIES, Round, draw_nemeses, draw_rounds
from tests.e2e.deployment import control

BATCH = 25
TIMEOUT = 700  # seconds, of one batch
MOVED_FOR = 150  # seconds; then somebody notices that what the connection leads to knows nothing of the runs
CLEARED = 2  # tasks of a batch that are cleared after it, and by the disaster "tasks cleared"


@dataclass
class Result:
    """What became of one round.

    Attributes:
        round: what was drawn.
        task: of the DAG run: task id and map index.
        dag_run: its id.
        clears: how often it was cleared after its end.
        cleared_at: when it was cleared before its end, in unix seconds.
        was_running: whether it ran in a worker, and did not wait in the triggerer, when it was cleared so.
        state: of the task instance, at last.
        value: its return value.
        run_id: the XCom.
        errors: what the log of its last try says, if it failed.
        notes: of the journal, oldest first.
        disasters: what befell it besides, while it was not over.
        known: run ids that an XCom, an error or a log has named.
        before_clear: what had become of it when it was cleared.
        moved_back: whether its connection led back to where it began before it was over.
    """

    round: Round
    task: tuple[str, int]
    dag_run: str
    clears: int = 0
    cleared_at: list = field(default_factory=list)
    was_running: bool = False
    state: str = ""
    value: object = None
    run_id: str | None = None
    errors: str = ""
    notes: list = field(default_factory=list)
    disasters: set = field(default_factory=set)
    known: set = field(default_factory=set)
    before_clear: "Result | None" = None
    moved_back: bool = False


def run_rounds(cluster, seed, count, say=print, batch=BATCH, **options):
    """Run `count` rounds on a cluster; return their results, in order. `options`: of `draw_nemeses`."""
    rounds = draw_rounds(seed, count)
    batches = [rounds[start : start + batch] for start in range(0, count, batch)]
    cluster.rest.unpause("chaos")
    results = []
    for number, (drawn, nemesis) in enumerate(
        zip(batches, draw_nemeses(seed, len(batches), **options), strict=True), 1
    ):
        started = time.monotonic()
        found = _run_batch(cluster, drawn, nemesis)
        _clear_some(cluster, found, nemesis)
        cluster.stage.airflow.check_alive()
        results += found
        states = Counter(result.state for result in found)
        took = time.monotonic() - started
        names = ", ".join(nemesis.disasters) or "no disaster"
        say(f"batch {number} of {len(batches)}: {len(drawn)} rounds, {names}, {dict(states)}, {took:.0f} s")
    return results


def _run_batch(cluster, rounds, nemesis):
    for drawn in rounds:
        if faults := drawn.faults():
            for sandbox in cluster.all_sandboxes(drawn.mode):
                control(sandbox, "POST", "faults", content=json.dumps(faults))
    rows, results = {}, []
    for drawn in rounds:
        of_task = rows.setdefault(drawn.task_id, [])
        results.append(Result(drawn, (drawn.task_id, len(of_task)), ""))
        of_task.append(drawn.row())
    dag_run = cluster.rest.trigger("chaos", **rows)
    for result in results:
        result.dag_run = dag_run
    for number, disaster in enumerate(nemesis.disasters, 1):
        _strike(cluster, results, disaster, nemesis, nemesis.share * number / len(nemesis.disasters))
    if "connection moved" in nemesis.disasters:
        _move_back(cluster, results)
    _wait(cluster, dag_run)
    cluster.step_clock(0.0)
    _gather(cluster, results)
    return results


def _strike(cluster, results, disaster, nemesis, share):
    """Have a disaster as soon as a share of the rounds is over, and something is there to be hit."""

    def is_time():
        states = _states(cluster, results)
        over = sum(states.get(result.task) in FINISHED for result in results)
        exposed = DISASTERS[disaster] & {states.get(result.task) for result in results}
        return over == len(results) or (over >= share * len(results) and bool(exposed))

    wait_until(is_time, TIMEOUT, pause=0.2)
    states = _states(cluster, results)
    for result in results:
        if states.get(result.task) not in FINISHED:
            result.disasters.add(disaster)
    if disaster == "tasks cleared":
        exposed = [result for result in results if states.get(result.task) in DISASTERS[disaster]]
        for result in _picked(exposed, nemesis.picks[:CLEARED]):
            before = _instances(cluster, results)[result.task]["max_tries"]
            result.cleared_at.append(time.time())
            _clear(cluster, [result])
            # Which may be another state than was read above: Airflow moves this unless the task runs.
            result.was_running = _instances(cluster, results)[result.task]["max_tries"] == before
    elif disaster != "retries lowered":  # which shows when a task is cleared
        _strike_now(cluster, disaster, nemesis)


def _strike_now(cluster, disaster, nemesis):
    happens = {
        "triggerer killed": lambda: cluster.again("triggerer"),
        "scheduler killed": lambda: cluster.again("scheduler"),
        "api-server away": lambda: cluster.api_server_away(nemesis.seconds),
        "secrets backend away": lambda: cluster.vault_away(nemesis.seconds),
        "key rotated": lambda: cluster.rotate_keys(nemesis.seconds),
        "connection moved": cluster.move_connections,
        "triggerer's clock stepped": lambda: cluster.step_clock(nemesis.clock),
    }
    happens[disaster]()


def _move_back(cluster, results):
    """A task that is to adopt its earlier run finds it only where that was started, however often it is retried."""
    if wait_until(lambda: cluster.rest.dag_run("chaos", results[0].dag_run)["state"] in FINISHED, MOVED_FOR, pause=2):
        return
    states = _states(cluster, results)
    for result in results:
        result.moved_back = states.get(result.task) not in FINISHED
    cluster.move_connections()


def _states(cluster, results):
    found = cluster.rest.task_instances("chaos", results[0].dag_run)
    return {(ti["task_id"], ti["map_index"]): ti["state"] for ti in found}


def _wait(cluster, dag_run):
    deadline = time.monotonic() + TIMEOUT
    while not wait_until(lambda: cluster.rest.dag_run("chaos", dag_run)["state"] in FINISHED, timeout=5):
        cluster.stage.airflow.check_alive()
        if time.monotonic() > deadline:
            left = Counter(ti["state"] for ti in cluster.rest.task_instances("chaos", dag_run))
            raise TimeoutError(f"DAG run {dag_run} is not over after {TIMEOUT} s: {dict(left)}")


def _clear_some(cluster, results, nemesis):
    """Clear some of the finished tasks: each is another intended run."""
    chosen = _picked(results, nemesis.picks[-CLEARED:])
    lowered = "retries lowered" in nemesis.disasters
    if lowered:
        # As many as leave `max_tries` of the first one what it was before.
        ti = _instances(cluster, results)[chosen[0].task]
        cluster.set_retries(max(ti["max_tries"] - ti["try_number"], 0))
    for result in chosen:
        result.before_clear = replace(result, cleared_at=[*result.cleared_at], notes=[*result.notes])
        result.clears += 1
    _clear(cluster, chosen, run_on_latest_version=True)
    _wait(cluster, chosen[0].dag_run)
    if lowered:
        cluster.set_retries(RETRIES)
    _gather(cluster, results)


def _picked(results, picks):
    indexes = {pick % len(results) for pick in picks} if results else set()
    return [results[index] for index in sorted(indexes)]


def _clear(cluster, results, **options):
    body = {
        "dry_run": False,
        "only_failed": False,
        "dag_run_id": results[0].dag_run,
        "task_ids": [list(result.task) for result in results],
        **options,
    }

    def is_cleared():
        try:
            cluster.rest.request("POST", "dags/chaos/clearTaskInstances", json=body)
        except httpx.HTTPStatusError as error:
            # Airflow gives a task a new id, which its database refuses while the task stores something under the old.
            if not error.response.is_server_error:
                raise
            return False
        return True

    assert wait_until(is_cleared, TIMEOUT)


def _instances(cluster, results):
    found = cluster.rest.task_instances("chaos", results[0].dag_run)
    return {(ti["task_id"], ti["map_index"]): ti for ti in found}


def _gather(cluster, results):
    notes = {}
    for note in cluster.noted():
        if note["dag_run"] == results[0].dag_run:
            notes.setdefault((note["task"], note["index"]), []).append(note)
    found = _instances(cluster, results)
    for result in results:
        ti = found[result.task]
        result.state = ti["state"]
        result.notes = notes.get(result.task, [])
        if result.state == "success":
            result.value = cluster.rest.xcom("chaos", result.dag_run, *result.task)
            result.run_id = cluster.rest.xcom("chaos", result.dag_run, *result.task, key="run_id")
            result.known.add(result.run_id)
        else:
            result.errors = _log(cluster, result, ti["try_number"])
        # Of a run that another one has replaced, a log tells at least, with its key where its id was lost. A task that
        # vanished while another was cleared may count as cleared: the README's limit.
        changed = result.round.edited or result.disasters & {"tasks cleared", "connection moved"}
        named = result.errors + ("".join(_log_files(cluster, result)) if changed else "")
        for run in cluster.runs(result.round.mode):
            names = {run["run_id"], *([run["idempotency_key"]] if changed else ())}
            if any(name in named for name in names):
                result.known.add(run["run_id"])


def _log(cluster, result, attempt):
    with suppress(httpx.HTTPStatusError):  # a try that never began has none
        entries = cluster.rest.task_log("chaos", result.dag_run, *result.task, try_number=attempt)
        return "\n".join(str(entry) for entry in entries)
    return ""


def _log_files(cluster, result):
    """What all its tries have logged. Airflow's API forgets tries that an outage of the api-server has cut off."""
    task_id, index = result.task
    of_task = f"dag_id=chaos/run_id={result.dag_run}/task_id={task_id}/map_index={index}"
    return [path.read_text(errors="replace") for path in sorted((cluster.stage.logs / of_task).glob("attempt=*"))]
