"""What must be true after a campaign: nothing paid twice, nothing lost, no wait left behind, files whole. Pure."""

from collections import Counter
from dataclasses import dataclass, field

from tests.e2e.production.nemesis import NO_VICTIM
from tests.e2e.production.workload import SAVED, SENSORS, DagRun


@dataclass
class Result:
    """What became of one DAG run.

    Attributes:
        dag_run: what was drawn.
        state: of the DAG run.
        tasks: by task id and map index, `state`, `tries`, and `value`, its return value.
        runs: of its FLORA, with prompt, status and whether they are billed.
        files: SHA-256 of each file that is there, by path.
        outputs: SHA-256 of what FLORA shows of a run, by run id.
    """

    dag_run: DagRun
    state: str = ""
    tasks: dict = field(default_factory=dict)
    runs: list = field(default_factory=list)
    files: dict = field(default_factory=dict)
    outputs: dict = field(default_factory=dict)


@dataclass
class History:
    """What became of a seed.

    Attributes:
        seed: of all of it.
        results: of the DAG runs.
        strikes: in turn.
        triggers: rows that Airflow's table of triggers still has.
        unfinished: task instances that are in no final state.
        own_ends: parts that have ended by themselves, with their exit codes.
        polls: requests for each run, by the number of triggerers.
        batch: problems and figures of the batch; its task instances, and kills of its process.
        seconds: that it took.
    """

    seed: int
    results: list = field(default_factory=list)
    strikes: list = field(default_factory=list)
    triggers: int = 0
    unfinished: int = 0
    own_ends: list = field(default_factory=list)
    polls: dict = field(default_factory=dict)
    batch_problems: list = field(default_factory=list)
    batch_kills: int = 0
    batch_tasks: int = 0
    batch_runs: int = 0
    seconds: float = 0.0

    def faults(self):
        """How often each fault has struck something."""
        struck = Counter(strike.what for strike in self.strikes if strike.detail != NO_VICTIM)
        return struck + Counter({"task of the batch killed": self.batch_kills})

    def figures(self):
        """The figures, as a dict for JSON."""
        results = self.results
        return {
            "seed": self.seed,
            "seconds": round(self.seconds),
            "task_instances": sum(len(result.tasks) for result in results) + self.batch_tasks,
            "tries": sum(task["tries"] for result in results for task in result.tasks.values()),
            "faults": sum(self.faults().values()),
            "faults_by_kind": dict(sorted(self.faults().items())),
            "results_intended": sum(len(result.dag_run.results()) for result in results),
            "runs_billed": sum(run["billed"] for result in results for run in result.runs),
            "paid_twice_by_servers_that_ignore_keys": sum(map(extra, results)),
            "files": sum(len(result.files) for result in results),
            "rows_of_the_batch": self.batch_runs,
            "parts_ended_by_themselves": len(self.own_ends),
            "polls_per_run": {str(number): round(polls, 2) for number, polls in self.polls.items()},
            "problems": len(problems(self)),
        }


def problems(history):
    """What is wrong, each as a sentence."""
    found = [f"{result.dag_run.name}: {text}" for result in history.results for text in _problems_of(result)]
    found += history.batch_problems
    if history.triggers:
        found.append(f"{history.triggers} triggers are left behind")
    if history.unfinished:
        found.append(f"{history.unfinished} task instances have not ended")
    one, two = history.polls.get(1), history.polls.get(2)
    if one is not None and two is not None and two > 2 * one:
        found.append(f"two triggerers sent {two:.2f} polls for each run, one {one:.2f}")
    return found


def extra(result):
    """How many runs were billed beyond one for each intended result."""
    billed = Counter(run["prompt"] for run in result.runs if run["billed"])
    return sum(number - 1 for number in billed.values())


def _problems_of(result):
    if result.state != "success":
        yield f"ended as {result.state}"
    for prompt, address in result.dag_run.results().items():
        yield from _problems_of_bill(result, prompt, address)
    for address, task in result.tasks.items():
        yield from _problems_of_task(result, address, task)
    for task_id, sensor in SENSORS.items():
        if _run_ids(result, task_id) != _run_ids(result, sensor):
            yield f"{sensor} has awaited {_run_ids(result, sensor)} instead of {_run_ids(result, task_id)}"
    for run in result.runs:
        if run["prompt"] not in result.dag_run.results():
            yield f"run {run['run_id']} is of nobody: {run['prompt']}"
        if run["status"] != "completed":
            yield f"run {run['run_id']} is {run['status']}"


def _problems_of_bill(result, prompt, address):
    runs = {run["run_id"]: run for run in result.runs if run["prompt"] == prompt}
    billed = [run_id for run_id, run in runs.items() if run["billed"]]
    task = result.tasks.get(address, {"state": "missing", "tries": 0, "value": None})
    # A FLORA that ignores keys starts another run for each try that was cut off before it knew of the last one.
    most = task["tries"] if result.dag_run.mode == "none" else 1
    if not 1 <= len(billed) <= most:
        yield f"{prompt} was paid for {len(billed)} times, in {task['tries']} tries: {billed}"
    if _run_id(task["value"]) not in billed:
        yield f"{address} has run {_run_id(task['value'])} instead of {sorted(runs)}"


def _run_ids(result, task_id):
    return {index: _run_id(task["value"]) for (name, index), task in result.tasks.items() if name == task_id}


def _problems_of_task(result, address, task):
    if task["state"] != "success":
        yield f"{address} is {task['state']} after {task['tries']} tries"
    if address[0] not in SAVED or not isinstance(task["value"], dict):
        return
    files = task["value"].get("files", [])
    if len(files) != 1:
        yield f"{address} has {len(files)} files"
    for file in files:
        at_flora = result.outputs.get(task["value"]["run_id"])
        if not file["sha256"] == result.files.get(file["path"]) == at_flora:
            yield f"{address}: {file['path']} is {result.files.get(file['path'])}, FLORA shows {at_flora}: {file}"


def _run_id(value):
    return value["run_id"] if isinstance(value, dict) else value
