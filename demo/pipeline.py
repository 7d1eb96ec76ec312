"""The demo's DAG run: started, watched, and read back over Airflow's REST API."""

import csv
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image

from devstack.airflow_rest import FINISHED, AirflowRest
from devstack.stage import EXAMPLE_DAGS, Stage

DAG_ID = "flora_chain_from_csv"
GENERATE, TECHNIQUE, ACTION = STEPS = ("row.generate", "row.technique", "row.action")
SHOTS = EXAMPLE_DAGS / "data" / "shots.csv"


class ChainError(Exception):
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
            f"generated {self.counts[GENERATE, 'success']}   techniques {self.counts[TECHNIQUE, 'success']}   "
            f"saved {self.counts[ACTION, 'success']}   waiting {self.deferred}   "
            f"failed {sum(self.counts[step, 'failed'] for step in STEPS)}   worker slots taken {self.occupied}"
        )


@dataclass(frozen=True)
class Row:
    """One row of the CSV file that went through all steps.

    Attributes:
        name: What Airflow's pages show in place of its number.
        runs: The finished runs of its steps, in their order; the last one names its `manifest`.
        deferred_seconds: How long each step waited in the triggerer; None for one that was not deferred.
    """

    prompt: str
    name: str
    runs: tuple[dict[str, Any], ...]
    deferred_seconds: tuple[float | None, ...]

    @property
    def files(self) -> list[Path]:
        """Where its files are, as XCom says."""
        return [Path(file["path"]) for file in self.runs[-1]["files"]]


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


def shots() -> list[dict[str, str]]:
    """Return the rows of the CSV file."""
    with SHOTS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def draw_references(folder: Path) -> None:
    """Draw the reference pictures that the rows name."""
    folder.mkdir(parents=True)
    rows = shots()
    for index, shot in enumerate(rows):
        hue = round(index / len(rows) * 360)
        Image.new("RGB", (256, 256), f"hsl({hue}, 60%, 50%)").save(folder / shot["reference"])


def start(stage: Stage, references: Path, folder: Path) -> str:
    """Trigger the DAG so that it saves into `folder`; return the id of the DAG run."""
    stage.airflow.rest.unpause(DAG_ID)
    return stage.airflow.rest.trigger(DAG_ID, references=f"{references}/*.png", folder=str(folder))


def follow(stage: Stage, run_id: str, timeout: float) -> Iterator[Moment]:
    """Poll about once a second until the DAG run is over, in whatever way.

    Raises:
        ChainError: when it is not after `timeout` seconds.
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
            raise ChainError(f"the DAG run is still {state} after {timeout:.0f} s")
        time.sleep(1)


def _reason(rest: AirflowRest, run_id: str, failed: dict[str, Any]) -> str:
    log = rest.task_log(DAG_ID, run_id, failed["task_id"], failed["map_index"], failed["try_number"])
    errors = [f"{e['exc_type']}: {e['exc_value']}" for entry in log for e in entry.get("error_detail") or []]
    errors = errors or [entry["event"] for entry in log if entry.get("level") in {"error", "critical"}]
    return errors[-1] if errors else "its log names no error"


def results(stage: Stage, run_id: str) -> tuple[list[Row], list[FailedRow]]:
    """Put together what the tasks of a finished DAG run have left in XCom and in the audit log.

    Raises:
        ChainError: when there is nothing of a row, because what is before all rows has failed.
    """
    rest = stage.airflow.rest
    tasks = {(ti["task_id"], ti["map_index"]): ti for ti in rest.task_instances(DAG_ID, run_id)}
    deferred = _deferred_seconds(rest.events(DAG_ID, run_id), tasks)
    rows, failed_rows = [], []
    for index, shot in enumerate(shots()):
        of_row = [tasks[step, index] for step in STEPS if (step, index) in tasks]
        if not of_row:
            failed_tasks = [ti for ti in tasks.values() if ti["state"] == "failed"]
            raise ChainError(f"no row was begun: {[_reason(rest, run_id, ti) for ti in failed_tasks]}")
        states = tuple(ti["state"] for ti in of_row)
        if failed := [ti for ti in of_row if ti["state"] == "failed"]:
            reason = _reason(rest, run_id, failed[0])
            failed_rows.append(FailedRow(shot["prompt"], states, failed[0]["try_number"], reason))
            continue
        row = Row(
            prompt=shot["prompt"],
            name=tasks[ACTION, index]["rendered_map_index"],
            runs=tuple(rest.xcom(DAG_ID, run_id, step, index) for step in STEPS),
            deferred_seconds=tuple(deferred.get((step, index)) for step in STEPS),
        )
        rows.append(row)
    return rows, failed_rows


def _deferred_seconds(
    events: list[dict[str, Any]], tasks: dict[tuple[str, int], dict[str, Any]]
) -> dict[tuple[str, int], float]:
    # A task's history reads: running, deferred, and running again unless it ends in the triggerer, which the audit
    # log does not tell; then its end is where the deferral ended.
    seconds: dict[tuple[str, int], float] = {}
    since: dict[tuple[str, int], str] = {}
    ends = [{"event": "end", "when": ti["end_date"], **ti} for (step, _), ti in tasks.items() if step in STEPS]
    for event in [event for event in events if event["task_id"] in STEPS] + [end for end in ends if end["when"]]:
        key = (event["task_id"], event["map_index"])
        if (start := since.pop(key, None)) is not None:
            seconds[key] = seconds.get(key, 0) + _seconds_between(start, event["when"])
        if event["event"] == "deferred":
            since[key] = event["when"]
    return seconds


def _seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
