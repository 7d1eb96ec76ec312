"""Airflow fails a deferred task that comes back before its scheduler has digested the deferral; ours do not."""

import random
import signal
import time
from collections import Counter

import pytest

from devstack.airflow_rest import FINISHED

OURS = {"operator": 40, "resuming_operator": 25, "sensor": 25, "resuming_sensor": 15}
NAIVE = 40
ATTEMPTS = 3  # to meet the race: which tasks return within a pause is chance
PAUSE = 8.0  # seconds for which the scheduler stands still, as one does that is short of CPU or of a lock
PEACE = 4.0  # seconds between two pauses
TIMEOUT = 300  # seconds for an attempt; one takes about 130


def test_wait_does_not_fail_when_its_run_ends_just_after_the_deferral(on_sqlite):
    stage = on_sqlite.stage
    billed = stage.sandbox.stats()["runs_billed"]
    stage.airflow.rest.unpause("short_waits")
    dice = random.Random(5)  # noqa: S311 - chance, not secrets
    for attempt in range(1, ATTEMPTS + 1):
        ended = ends_under_pauses(stage, dice)
        assert {kind: ended[kind, "success"] for kind in OURS} == OURS
        assert stage.sandbox.stats()["runs_billed"] == billed + attempt * sum(OURS.values())
        if ended["naive", "failed"]:
            return
    pytest.fail("the race was not run, so this has shown nothing")


def ends_under_pauses(stage, dice):
    """Run the DAG while its scheduler stands still again and again; return how many instances of a task ended how."""
    waits = {kind: [round(dice.uniform(0.5, 15), 1) for _ in range(count)] for kind, count in OURS.items()}
    rest, scheduler = stage.airflow.rest, stage.airflow.parts["scheduler"]
    dag_run = rest.trigger("short_waits", naive=[1] * NAIVE, **waits)
    deadline = time.monotonic() + TIMEOUT
    while rest.dag_run("short_waits", dag_run)["state"] not in FINISHED:
        assert time.monotonic() < deadline
        if any(ti["state"] in ("running", "deferred") for ti in rest.task_instances("short_waits", dag_run)):
            scheduler.signal(signal.SIGSTOP)
            time.sleep(PAUSE)
            scheduler.signal(signal.SIGCONT)
        time.sleep(PEACE)
    return Counter((ti["task_id"], ti["state"]) for ti in rest.task_instances("short_waits", dag_run))
