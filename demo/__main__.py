"""`make demo` and `make ui`: 20 rows through a pipeline on a real Airflow, without an account at FLORA."""

import argparse
import shutil
import signal
import sys
import time
import traceback
from types import FrameType
from typing import NoReturn

import httpx

from demo import checks, pipeline, report
from devstack.airflow_instance import AirflowError
from devstack.processes import INTERRUPTS
from devstack.sandbox_process import SandboxError
from devstack.stage import EXAMPLE_DAGS, ROOT, Stage, StageError

FOLDER = ROOT / ".demo"
FILES = FOLDER / "files"

REFERENCES = FOLDER / "references"

# Long enough for the triggerer to be worth it, and for many to wait at once; while they do, workers start the others.
STEP_SECONDS = {
    "/generate": 15.0,
    "/runs/technique": 12.0,
    "/techniques/{technique_id}/runs": 12.0,
    "/runs/action": 1.0,
}

# FLORA's moderation refuses this row of the file; the 20 others go on.
REFUSED = "A banknote with a film star's face, exactly as printed"
TIMEOUT_SECONDS = 300

PROBLEMS = (StageError, SandboxError, AirflowError, pipeline.ChainError, TimeoutError, httpx.HTTPError, OSError)


def demo() -> bool:
    """Run the DAG, show what came of it, and return whether all is as it should be."""
    started = time.monotonic()
    print("Starting the sandbox and a real Airflow …", flush=True)
    with _new_stage() as stage:
        pipeline.draw_references(REFERENCES)
        stage.sandbox.refuse_prompt(REFUSED)
        stage.sandbox.let_runs_take(STEP_SECONDS)
        print(f"Airflow is up after {time.monotonic() - started:.0f} s, running {pipeline.DAG_ID} …", flush=True)
        run_id = pipeline.start(stage, REFERENCES, FILES)
        moments = []
        progress = report.Progress()
        try:
            for moment in pipeline.follow(stage, run_id, TIMEOUT_SECONDS):
                moments.append(moment)
                progress.show(moment)
        finally:
            progress.end()
        rows, failed = pipeline.results(stage, run_id)
        runs, stats = stage.sandbox.runs(), stage.sandbox.stats()
    outcomes = [
        checks.all_succeeded(rows, expected=20),
        checks.refused_alone(failed, REFUSED),
        checks.rows_have_names(rows),
        checks.each_step_billed_once(rows, runs, stats),
        checks.waits_deferred(rows),
        checks.no_slot_held(moments),
        checks.files_whole(rows, FILES),
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
