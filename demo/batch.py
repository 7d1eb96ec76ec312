"""The demo's DAG run: started, watched, and read back over Airflow's REST API."""

import csv
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from devstack.airflow_rest import FINISHED, AirflowRest
from devstack.stage import EXAMPLE_DAGS, Stage

DAG_ID = "flora_batch_from_csv"
GENERATE, WAIT, SAVE = STEPS = ("row.generate", "row.wait", "row.save")
PROMPTS = EXAMPLE_DAGS / "data" / "prompts.csv"


class BatchError(Exception):
    """The DAG run did not end as it should; the message says which task failed, and why."""


@dataclass(frozen=True)
class Moment:
    """What Airflow was doing at one moment.

    Attributes:
        counts: Number of task instances by task and state.
        deferred: Task instances that wait in the triggerer.
        occupied: Worker slots that are taken.
    """

    at: datetime
    counts: Counter[tuple[str, str | None]]
    deferred: int
    occupied: int

    def __str__(self) -> str:
        return (
            f"generated {self.counts[GENERATE, 'success']}   waiting {self.deferred}   "
            f"finished {self.counts[WAIT, 'success']}   saved {self.counts[SAVE, 'success']}   "
            f"failed {sum(self.counts[step, 'failed'] for step in STEPS)}   worker slots taken {self.occupied}"
        )


@dataclass(frozen=True)
class Row:
    """One row of the CSV file whose files were saved.

    Attributes:
        run: The finished run as the sensor returned it.
        name: What Airflow's pages show in place of its number.
        deferred_seconds: How long the sensor waited in the triggerer; None if its run was over at the first poll.
        file: Where the output was saved.
    """

    prompt: str
    type: str
    name: str
    run_id: str
    run: dict[str, Any]
    deferred_seconds: float | None
    file: Path

    @property
    def seconds(self) -> float:
        """How long FLORA took, from its own times."""
        return _seconds_between(self.run["created_at"], self.run["completed_at"])


@dataclass(frozen=True)
class FailedRow:
    """One row of the CSV file that has failed.

    Attributes:
        states: Of its three tasks, in their order.
        tries: Of the task that failed.
        reason: What that task's log says.
    """

    prompt: str
    states: tuple[str | None, ...]
    tries: int
    reason: str


def start(stage: Stage, folder: Path) -> str:
    """Trigger the DAG so that it saves into `folder`; return the id of the DAG run."""
    stage.airflow.rest.unpause(DAG_ID)
    return stage.airflow.rest.trigger(DAG_ID, folder=str(folder))


def follow(stage: Stage, run_id: str, timeout: float) -> Iterator[Moment]:
    """Poll about once a second until the DAG run is over, in whatever way.

    Raises:
        BatchError: when it is not after `timeout` seconds.
    """
    rest = stage.airflow.rest
    deadline = time.monotonic() + timeout
    while True:
        stage.airflow.check_alive()
        state = rest.dag_run(DAG_ID, run_id)["state"]
        pool = rest.pool()
        tasks = rest.task_instances(DAG_ID, run_id)
        yield Moment(
            at=datetime.now().astimezone(),
            counts=Counter((ti["task_id"], ti["state"]) for ti in tasks),
            deferred=pool["deferred_slots"],
            occupied=pool["occupied_slots"],
        )
        if state in FINISHED:
            break
        if time.monotonic() > deadline:
            raise BatchError(f"the DAG run is still {state} after {timeout:.0f} s")
        time.sleep(1)


def _reason(rest: AirflowRest, run_id: str, failed: dict[str, Any]) -> str:
    log = rest.task_log(DAG_ID, run_id, failed["task_id"], failed["map_index"], failed["try_number"])
    errors = [f"{e['exc_type']}: {e['exc_value']}" for entry in log for e in entry.get("error_detail") or []]
    errors = errors or [entry["event"] for entry in log if entry.get("level") in {"error", "critical"}]
    return errors[-1] if errors else "its log names no error"


def results(stage: Stage, run_id: str) -> tuple[list[Row], list[FailedRow]]:
    """Put together what the tasks of a finished DAG run have left in XCom and in the audit log.

    Raises:
        BatchError: when there is nothing of a row, because what is before all rows has failed.
    """
    rest = stage.airflow.rest
    tasks = {(ti["task_id"], ti["map_index"]): ti for ti in rest.task_instances(DAG_ID, run_id)}
    deferred = _deferred_seconds(rest.events(DAG_ID, run_id), [ti for (step, _), ti in tasks.items() if step == WAIT])
    with PROMPTS.open(newline="", encoding="utf-8") as file:
        prompts = list(csv.DictReader(file))
    rows, failed_rows = [], []
    for index, prompt in enumerate(prompts):
        of_row = [tasks[step, index] for step in STEPS if (step, index) in tasks]
        if not of_row:
            failed_tasks = [ti for ti in tasks.values() if ti["state"] == "failed"]
            raise BatchError(f"no row was begun: {[_reason(rest, run_id, ti) for ti in failed_tasks]}")
        states = tuple(ti["state"] for ti in of_row)
        if failed := [ti for ti in of_row if ti["state"] == "failed"]:
            reason = _reason(rest, run_id, failed[0])
            failed_rows.append(FailedRow(prompt["prompt"], states, failed[0]["try_number"], reason))
            continue
        [file] = rest.xcom(DAG_ID, run_id, SAVE, index)  # one output a run, so one file
        row = Row(
            prompt=prompt["prompt"],
            type=prompt["type"],
            name=tasks[SAVE, index]["rendered_map_index"],
            run_id=rest.xcom(DAG_ID, run_id, GENERATE, index, key="run_id"),
            run=rest.xcom(DAG_ID, run_id, WAIT, index),
            deferred_seconds=deferred.get(index),
            file=Path(file),
        )
        rows.append(row)
    return rows, failed_rows


def _deferred_seconds(events: list[dict[str, Any]], sensors: list[dict[str, Any]]) -> dict[int, float]:
    # A sensor's history reads: running, deferred, and running again unless it ends in the triggerer, which the audit
    # log does not tell; then its end is where the deferral ended.
    seconds: dict[int, float] = {}
    since: dict[int, str] = {}
    ends = [{"event": "end", "map_index": ti["map_index"], "when": ti["end_date"]} for ti in sensors]
    for event in [event for event in events if event["task_id"] == WAIT] + ends:
        index = event["map_index"]
        if (start := since.pop(index, None)) is not None:
            seconds[index] = seconds.get(index, 0) + _seconds_between(start, event["when"])
        if event["event"] == "deferred":
            since[index] = event["when"]
    return seconds


def _seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
