"""Whether each row of a batch was billed once, its manifest is right, and its policy was applied. Pure."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from math import ceil, isclose

from tests.e2e.batch.workload import RETRIES, Workload

MOST_XCOM = 10_000  # bytes of JSON
_MAY_PASS = {"open", "going_on", "not_started", "unsaved"}
_UNSETTLED = {"unknown", "open", "going_on", "not_started"}


@dataclass
class Result:
    """What became of one batch.

    Attributes:
        workload: what was drawn.
        state: of its task, at last.
        tries: of its task.
        summary: the XCom.
        xcoms: by key, the JSON of each.
        manifest: its rows.
        files: size and SHA-256 of each that the manifest names and that is there, by path.
        runs: those of its FLORA, with prompt, and whether they are billed.
        books: by run id, what FLORA says of a completed run: its bill, and the SHA-256 of some of its outputs.
        cut_off: by prompt, how often a process ended between the POST of a row and the record of its answer.
        kills: of the task's process that have struck.
        seconds: that it took.
        parts: files that killed writers have left half written.
        posts: starts that FLORA has answered.
        usd_billed: by FLORA's own count.
    """

    workload: Workload
    state: str = ""
    tries: int = 0
    summary: dict = field(default_factory=dict)
    xcoms: dict = field(default_factory=dict)
    manifest: list = field(default_factory=list)
    files: dict = field(default_factory=dict)
    runs: list = field(default_factory=list)
    books: dict = field(default_factory=dict)
    cut_off: Counter = field(default_factory=Counter)
    kills: int = 0
    seconds: float = 0.0
    parts: int = 0
    posts: int = 0
    usd_billed: float = 0.0

    def states(self):
        """How many rows of the manifest are in which state."""
        return Counter(row["state"] for row in self.manifest)


def problems(result):
    """What is wrong with a batch, each as a sentence."""
    if len(result.manifest) != len(result.workload.rows):
        return [f"the manifest has {len(result.manifest)} rows instead of {len(result.workload.rows)}"]
    return [*_about_bills(result), *_about_rows(result), *_about_files(result), *_about_policy(result)]


def doubles(result):
    """By prompt, the billed runs that are more than what its rows account for."""
    found = {}
    for prompt, rows in _by_prompt(result).items():
        own = {row["run_id"] for row in rows if row["state"] == "completed"}
        others = [run["run_id"] for run in result.runs if run["prompt"] == prompt and run["billed"]]
        extra = [run_id for run_id in others if run_id not in own]
        unsettled = sum(row["state"] in _UNSETTLED for row in rows)
        if len(extra) > unsettled:
            found[prompt] = extra[unsettled:]
    return found


def _by_prompt(result):
    rows = defaultdict(list)
    for row in result.manifest:
        rows[row["prompt"]].append(row)
    return rows


def _about_bills(result):
    lost = Counter(row.prompt for row in result.workload.rows if row.lost)
    for prompt, extra in doubles(result).items():
        # A FLORA that ignores keys starts another run for each POST whose answer nobody has.
        known = lost[prompt] + result.cut_off[prompt] if result.workload.mode == "none" else 0
        if len(extra) > known:
            yield f"{prompt} was paid for {len(extra)} times too often ({', '.join(extra)}), {known} of it known"
    asked = {row.prompt for row in result.workload.rows}
    for run in result.runs:
        if run["prompt"] not in asked:
            yield f"run {run['run_id']} is of no row: {run['prompt']}"
    if result.workload.mode == "none":
        return
    for prompt, rows in _by_prompt(result).items():
        started = sum(run["prompt"] == prompt for run in result.runs)
        if not any(row["state"] in _UNSETTLED for row in rows) and started != sum(row["runs"] for row in rows):
            yield f"{prompt} had {started} runs, and its rows tell of {[row['runs'] for row in rows]}"


def _about_rows(result):
    runs = {run["run_id"]: run for run in result.runs}
    named = Counter(row["run_id"] for row in result.manifest if row["run_id"])
    yield from (f"run {run_id} is of {number} rows" for run_id, number in named.items() if number > 1)
    for number, (drawn, row) in enumerate(zip(result.workload.rows, result.manifest, strict=True), 1):
        run = runs.get(row["run_id"])
        name = f"row {number} ({row['state']}, {row['run_id']})"
        if (row["row"], row["prompt"], row["type"]) != (number, drawn.prompt, drawn.medium):
            yield f"{name} of the manifest is not the row that was asked for"
        if row["run_id"] and (run is None or run["prompt"] != drawn.prompt):
            yield f"{name} has the run of {run and run['prompt']}"
        if row["state"] == "completed" and not (run and run["billed"] and run["status"] == "completed"):
            yield f"{name} has a run that is {run}"
        if row["state"] == "failed" and not (run and run["status"] == "failed" and row["code"]):
            yield f"{name}, code {row['code']}, has a run that is {run}"
        if (row["state"] == "refused") != drawn.is_refused or (drawn.is_moderated and row["state"] == "completed"):
            yield f"{name}: {row['code']} {row['message']}; drawn was {drawn}"
        bill = result.books.get(row["run_id"], {}).get("charged_cost")
        if row["state"] == "completed" and row["charged_cost_usd"] != bill:
            yield f"{name} costs {row['charged_cost_usd']} by the manifest and {bill} by FLORA"


def _about_files(result):
    for row in result.manifest:
        if (row["state"] == "completed") != (len(row["files"]) == 1):
            yield f"row {row['row']} is {row['state']} and has {len(row['files'])} files"
        for file in row["files"]:
            there = result.files.get(file["path"])
            if there != (file["size"], file["sha256"]):
                yield f"{file['path']} is {there} instead of {file['size']} bytes, SHA-256 {file['sha256']}"
            at_flora = result.books.get(row["run_id"], {}).get("sha256")
            if at_flora and file["sha256"] != at_flora:
                yield f"{file['path']} is not what FLORA shows of {row['run_id']}"


def _about_policy(result):
    states, rows = result.states(), len(result.manifest)
    needed = ceil(round(result.workload.min_success * rows, 9))
    is_enough = states["completed"] >= needed
    if result.state != ("success" if is_enough else "failed"):
        yield f"{states['completed']} of {rows} rows completed, {needed} were needed, and the task is {result.state}"
    may_pass = [row["row"] for row in result.manifest if _may_pass(row)]
    if not is_enough and may_pass and result.tries <= RETRIES:
        yield f"it gave up after {result.tries} tries although rows may pass: {may_pass[:9]}"
    counts = {name: result.summary.get(name) for name in ("rows", "completed", "failed", "refused", "unknown")}
    meant = {"rows": rows} | {name: states[name] for name in counts if name != "rows"}
    if counts != meant:
        yield f"the summary says {counts}, and the manifest {meant}"
    costs = sum(row["charged_cost_usd"] or 0.0 for row in result.manifest)
    if not isclose(result.summary.get("cost_usd", -1.0), costs, abs_tol=1e-5) and not states.keys() & _UNSETTLED:
        yield f"the summary says {result.summary.get('cost_usd')} USD, and the rows cost {costs}"
    is_whole = not states.keys() & _UNSETTLED and not doubles(result)
    if is_whole and not isclose(result.usd_billed, costs, abs_tol=1e-5):
        yield f"FLORA has billed {result.usd_billed} USD, and the rows cost {costs}"
    for key, content in result.xcoms.items():
        if len(content) > MOST_XCOM:
            yield f"XCom {key} has {len(content)} bytes"
    if result.state == "success" and json.loads(result.xcoms.get("return_value", "null")) != result.summary:
        yield f"it returned {result.xcoms.get('return_value')} instead of {result.summary}"


def _may_pass(row):
    return row["state"] in _MAY_PASS or (row["state"] == "failed" and row["code"] != "GENERATION_PROMPT_MODERATED")


def figures(result):
    """One line about a batch."""
    drawn, states = result.workload, dict(result.states())
    lost = sum(bool(row.lost) for row in drawn.rows)
    extra = sum(map(len, doubles(result).values()))
    return (
        f"seed {drawn.seed}, {drawn.mode}, {len(drawn.rows)} rows as {drawn.form}, {drawn.max_in_flight} in flight, "
        f"on_unknown {drawn.on_unknown}: {result.state} in {result.tries} tries and {result.seconds:.0f} s "
        f"(min_success {drawn.min_success}), {states}, {len(result.runs)} runs, "
        f"{sum(run['billed'] for run in result.runs)} billed, {result.usd_billed:.2f} USD; {lost} answers lost, "
        f"{result.cut_off.total()} starts cut off, paid twice: {extra}; {result.kills} kills of the task, "
        f"{result.parts} torn files, largest XCom {max(map(len, result.xcoms.values()), default=0)} bytes"
    )
