"""Run batches on a real Airflow, kill what they run in, and gather what became of them."""

import csv
import hashlib
import json
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx

from devstack.airflow_rest import FINISHED, wait_until
from tests.e2e.batch.checker import Result
from tests.e2e.batch.workload import SAVED, draw_strikes, draw_workload
from tests.e2e.deployment import connection_to, control, sha256_at_flora

DAG, TASK = "batch_kills", ("batch", 0)
TIMEOUT = 2400  # seconds, of batches that go on together
PATIENT = {"timeout": 60}
AWAY = 15  # seconds for which no start succeeds
PAUSED = 45  # seconds; longer than a lease, and than Airflow takes to give the triggers to another
COMPARED = 10  # pictures of a batch that are compared with FLORA's


class Running:
    """One batch in a DAG run of its own, with a FLORA of its own.

    Args:
        cluster: where it runs.
        workload: what it is.
    """

    def __init__(self, cluster, workload):
        self.cluster = cluster
        self.workload = workload
        number = len([path for path in cluster.stage.folder.glob("batches/*") if path.is_dir()])
        self.folder = cluster.stage.folder / "batches" / f"{number:03}-seed-{workload.seed}"
        self.folder.mkdir(parents=True)
        conn_id = f"flora_batch_{number}"
        self.sandbox = cluster.new_sandbox(**workload.settings())
        # A busy machine may be slow to answer, and a start that is given up too early may be paid for twice.
        fields = connection_to(self.sandbox)
        cluster.rest.create_connection(conn_id, **fields | {"extra": json.dumps(json.loads(fields["extra"]) | PATIENT)})
        control(self.sandbox, "POST", "faults", json=workload.faults())
        batch = {**workload.arguments(), "requests": self._requests(), "flora_conn_id": conn_id}
        self.began = time.monotonic()
        self.run_id = cluster.rest.trigger(DAG, batch={**batch, "save_outputs_to": str(self.folder / "out")})
        self.ended = None

    def _requests(self):
        requests = [row.request() for row in self.workload.rows]
        path = self.folder / f"requests.{self.workload.form}"
        if self.workload.form == "list":
            return requests
        with path.open("w", newline="") as file:
            if self.workload.form == "jsonl":
                file.writelines(json.dumps(request) + "\n" for request in requests)
            else:
                table = csv.DictWriter(file, list(requests[0]))
                table.writeheader()
                table.writerows({**row, "model_params": json.dumps(row["model_params"])} for row in requests)
        return str(path)

    def started(self):
        """How many runs were started."""
        return self.sandbox.stats()["runs_started"]

    def ti(self):
        """Its task instance; empty before it is there."""
        found = self.cluster.rest.task_instances(DAG, self.run_id, TASK[0])
        return next((ti for ti in found if ti["map_index"] == TASK[1]), {})

    def is_saving(self):
        """Whether its task runs again after the deferral."""
        is_begun = any(note["dag_run"] == self.run_id and note.get("phase") == "save" for note in self.cluster.noted())
        return is_begun and self.ti().get("state") == "running"

    def is_over(self):
        """Whether its DAG run has ended; the first call that says so stops the clock."""
        if self.ended is None and self.cluster.rest.dag_run(DAG, self.run_id)["state"] in FINISHED:
            self.ended = time.monotonic()
        return self.ended is not None

    def result(self):
        """What became of it."""
        ti, rest = self.ti(), self.cluster.rest
        path = f"dags/{DAG}/dagRuns/{self.run_id}/taskInstances/{TASK[0]}/xcomEntries"
        keys = [entry["key"] for entry in rest.pages(path, "xcom_entries", map_index=TASK[1])]
        xcoms = {key: rest.xcom(DAG, self.run_id, *TASK, key=key) for key in keys}
        manifest = [row for file in self.folder.glob("out/batch-*/manifest.jsonl") for row in _lines(file)]
        stats = self.sandbox.stats()
        return Result(
            workload=self.workload,
            state=ti["state"],
            tries=ti["try_number"],
            summary=xcoms.get("summary", {}),
            xcoms={key: json.dumps(value) for key, value in xcoms.items()},
            manifest=manifest,
            files={
                file["path"]: (len(content), hashlib.sha256(content).hexdigest())
                for row in manifest
                for file in row["files"]
                if (content := _content(file["path"])) is not None
            },
            runs=self.sandbox.runs(),
            books=self._books([row for row in manifest if row["state"] == "completed"]),
            cut_off=cut_off(self.folder / "out"),
            kills=sum(note["dag_run"] == self.run_id and note["event"] == "killed" for note in self.cluster.noted()),
            seconds=(self.ended or time.monotonic()) - self.began,
            parts=len(list(self.folder.glob("out/**/.*.part"))),
            posts=stats["requests"].get("POST /generate", 0),
            usd_billed=stats["usd_billed"],
        )

    def _books(self, rows):
        """What FLORA shows of the runs of these rows, now that nothing fails any more."""
        httpx.delete(f"{self.sandbox.url}/_sandbox/faults").raise_for_status()
        control(self.sandbox, "POST", "settings", json={"latency_ms": 0.0})
        found, pictures = {}, 0
        headers = {"authorization": f"Bearer {self.sandbox.api_key}"}
        with httpx.Client(base_url=self.sandbox.base_url, headers=headers, timeout=30) as flora:
            for row in rows:
                run = flora.get(f"runs/{row['run_id']}").raise_for_status().json()
                [output] = run["outputs"]
                known = found[row["run_id"]] = {"charged_cost": run["charged_cost"]}
                is_text = output["type"] == "text"
                if is_text or pictures < COMPARED:
                    pictures += not is_text
                    known["sha256"] = sha256_at_flora(output)
        return found

    def log(self):
        """The end of the log of its last try."""
        ti = self.ti()
        with suppress(httpx.HTTPStatusError):
            entries = self.cluster.rest.task_log(DAG, self.run_id, *TASK, try_number=ti["try_number"])
            return "\n".join(str(entry) for entry in entries[-12:])
        return ""


def run_batches(cluster, seeds, rows, strikes=None, say=print):
    """Run the batches of these seeds at the same time; return their results. `strikes`: by default of the first."""
    cluster.rest.unpause(DAG)
    batches = [Running(cluster, draw_workload(seed, rows)) for seed in seeds]
    for strike in draw_strikes(seeds[0]) if strikes is None else strikes:
        _strike(cluster, batches, strike, say)
    deadline = time.monotonic() + TIMEOUT
    while not all([batch.is_over() for batch in batches]):  # noqa: C419 - each is asked
        cluster.stage.airflow.check_alive()
        if time.monotonic() > deadline:
            for batch in batches:
                say(f"seed {batch.workload.seed}: {batch.ti().get('state')}, {batch.started()} started; {batch.log()}")
            raise TimeoutError(f"batches of {list(seeds)} are not over after {TIMEOUT} s")
        time.sleep(1)
    return [batch.result() for batch in batches]


def triggers_left(cluster, timeout=60):
    """How many triggers of batches Airflow still has; it removes those that have fired within a while."""
    number = 0

    def is_clean():
        nonlocal number
        [[number]] = cluster.query("SELECT count(*) FROM trigger WHERE classpath LIKE '%FloraBatchTrigger'")
        return number == 0

    wait_until(is_clean, timeout, pause=2)
    return number


def _strike(cluster, batches, strike, say):
    """Have something befall the batches as soon as it is time, unless they are over before."""
    all_rows = sum(len(batch.workload.rows) for batch in batches)

    def is_time():
        if all([batch.is_over() for batch in batches]):  # noqa: C419 - each is asked
            return True
        if strike.share == SAVED:
            return any(batch.is_saving() for batch in batches)
        return sum(batch.started() for batch in batches) >= strike.share * all_rows

    wait_until(is_time, TIMEOUT, pause=0.3)
    time.sleep(strike.after)
    left = [batch.workload.seed for batch in batches if not batch.is_over()]
    started = sum(batch.started() for batch in batches)
    say(f"  {strike.what}, {started} of {all_rows} runs started, batches that go on: {left}")
    if strike.what == "triggerer killed":
        cluster.again("triggerer")
    elif strike.what == "scheduler killed":
        cluster.again("scheduler")
    elif strike.what == "triggerer paused":
        cluster.triggerer_paused(PAUSED)
    else:
        for batch in batches:
            _have_outage(batch.sandbox)
    cluster.stage.airflow.check_alive()


def _have_outage(sandbox):
    """Let no start succeed for a while; the first fault of the list counts, so those that are left follow it."""
    left = [{"route": "/generate", "method": "POST", "status": 503, "seconds": AWAY, "times": None}]
    for fault in control(sandbox, "GET", "faults")["faults"]:
        hits, times = fault.pop("hits"), fault.get("times", 1)
        if times is None or hits < times:
            left.append(fault | ({} if times is None else {"times": times - hits}))
    httpx.delete(f"{sandbox.url}/_sandbox/faults").raise_for_status()
    control(sandbox, "POST", "faults", json=left)


def cut_off(folder):
    """By prompt, how often a process ended between the POST of a row and the record of its answer."""
    prompts, found = {}, Counter()
    for plan in folder.glob("batch-*/plan-*.jsonl"):
        prompts |= {row["row"]: row["request"]["prompt"] for row in _lines(plan)}
    last = {}
    for part in sorted(folder.glob("batch-*/rows-*.jsonl")):
        claim = part.name.rpartition("-")[0]
        last |= {(claim, record["row"]): record["state"] for record in _lines(part)}
    found.update(prompts[row] for (_, row), state in last.items() if state == "intended")
    return found


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _content(path):
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
