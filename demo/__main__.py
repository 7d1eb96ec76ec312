"""`make demo` and `make ui`: a DAG of 20 generations on a real Airflow, without an account at FLORA."""

import argparse
import shutil
import signal
import sys
import time
import traceback
from types import FrameType
from typing import NoReturn

import httpx

from demo import batch, checks, report
from devstack.airflow_instance import AirflowError
from devstack.processes import INTERRUPTS
from devstack.sandbox_process import SandboxError
from devstack.stage import EXAMPLE_DAGS, ROOT, Stage, StageError

FOLDER = ROOT / ".demo"
FILES = FOLDER / "files"

# Longer than Airflow needs to start all 20 sensors on two cores, so that each of them has something to wait for.
RUN_SECONDS = [50.0 + row % 5 for row in range(20)]

# FLORA's moderation refuses this row of the file; the others go on.
REFUSED = "A banknote with a film star's face, exactly as printed"
TIMEOUT_SECONDS = 300

PROBLEMS = (StageError, SandboxError, AirflowError, batch.BatchError, TimeoutError, httpx.HTTPError, OSError)


def demo() -> bool:
    """Run the DAG, show what came of it, and return whether all is as it should be."""
    started = time.monotonic()
    print("Starting the sandbox and a real Airflow …", flush=True)
    with _new_stage() as stage:
        stage.sandbox.refuse_prompt(REFUSED)
        stage.sandbox.let_runs_take(RUN_SECONDS)
        print(f"Airflow is up after {time.monotonic() - started:.0f} s, running {batch.DAG_ID} …", flush=True)
        run_id = batch.start(stage, FILES)
        moments = []
        progress = report.Progress()
        try:
            for moment in batch.follow(stage, run_id, TIMEOUT_SECONDS):
                moments.append(moment)
                progress.show(moment)
        finally:
            progress.end()
        rows, failed = batch.results(stage, run_id)
        stats = stage.sandbox.stats()
    outcomes = [
        checks.all_succeeded(rows, expected=19),
        checks.refused_alone(failed, REFUSED),
        checks.rows_have_names(rows),
        checks.no_run_twice(rows, stats),
        checks.sensors_deferred(rows),
        checks.no_slot_held(moments),
        checks.files_open(rows),
        checks.key_stays_secret(stage.sandbox.api_key, FOLDER, stage.airflow.database),
        checks.no_discovery_errors(stage.logs),
        checks.nothing_runs(stage.still_running()),
    ]
    print(f"\n{report.table(rows, FILES)}\n\n{report.checked(outcomes)}\n")
    print(f"files: {FILES}\nlogs:  {stage.logs}\ntook:  {time.monotonic() - started:.0f} s")
    return all(check.passed for check in outcomes)


def ui() -> NoReturn:
    """Keep Airflow and the sandbox up until Ctrl-C."""
    print("Starting the sandbox and a real Airflow …", flush=True)
    with _new_stage() as stage:
        for file in EXAMPLE_DAGS.glob("*.py"):
            stage.airflow.rest.unpause(file.stem)
        airflow = stage.airflow
        print(f"\nAirflow   {airflow.url}\nuser      {airflow.user}\npassword  {airflow.password}")
        print(f"sandbox   {stage.sandbox.url}\nlogs      {stage.logs}\n\nCtrl-C ends it.", flush=True)
        while True:
            airflow.check_alive()
            time.sleep(1)


def _new_stage() -> Stage:
    stage = Stage(FOLDER, env={"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"})
    stage.refuse_if_running()
    shutil.rmtree(FOLDER, ignore_errors=True)
    return stage


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    # Stopping takes some seconds, which a second Ctrl-C must not cut short.
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    print("\nStopping …", flush=True)
    raise KeyboardInterrupt


def main() -> int:
    """Return 0 if all went well, 1 if not, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--ui", action="store_true", help="keep Airflow and the sandbox up instead, until Ctrl-C")
    options = parser.parse_args()
    # A closed terminal and a `kill` end everything as Ctrl-C does.
    for number in INTERRUPTS:
        signal.signal(number, _interrupt)
    try:
        if options.ui:
            ui()
        return 0 if demo() else 1
    except KeyboardInterrupt:
        print("Everything is stopped.")
        return 130
    except Exception as problem:  # noqa: BLE001 - whatever it is, say where to look
        if not isinstance(problem, PROBLEMS):
            traceback.print_exc()
        print(f"\nFAILED: {problem}\nlogs: {FOLDER / 'airflow' / 'logs'}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
