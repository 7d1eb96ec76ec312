"""Airflow fails a deferred task that comes back before its scheduler has digested the deferral; ours do not."""

import random
import signal
import time
from collections import Counter

import pytest

from demo.airflow_rest import FINISHED
from demo.stage import Stage
from tests.e2e.chaos.field import DAGS, many_at_once

OURS = {"operator": 40, "resuming_operator": 25, "sensor": 25, "resuming_sensor": 15}
NAIVE = 40
PAUSE = 8.0  # seconds for which the scheduler stands still, as one does that is short of CPU or of a lock
PEACE = 4.0  # seconds between two pauses
TIMEOUT = 420


@pytest.fixture
def stage(tmp_path):
    # Not with the settings of the other tests here: they have supervisors that notice the end of a task early.
    with Stage(tmp_path, DAGS, many_at_once(tmp_path, tasks=12)) as stage:
        yield stage


def test_no_wait_fails_for_its_run_ends_just_after_the_deferral(stage):
    dice = random.Random(5)  # noqa: S311 - chance, not secrets
    waits = {kind: [round(dice.uniform(0.5, 15), 1) for _ in range(count)] for kind, count in OURS.items()}
    rest, scheduler = stage.airflow.rest, stage.airflow.parts["scheduler"]
    rest.unpause("short_waits")
    dag_run = rest.trigger("short_waits", naive=[3] * NAIVE, **waits)

    deadline = time.monotonic() + TIMEOUT
    while rest.dag_run("short_waits", dag_run)["state"] not in FINISHED:
        assert time.monotonic() < deadline
        if any(ti["state"] == "deferred" for ti in rest.task_instances("short_waits", dag_run)):
            scheduler.signal(signal.SIGSTOP)
            time.sleep(PAUSE)
            scheduler.signal(signal.SIGCONT)
        time.sleep(PEACE)

    ended = Counter((ti["task_id"], ti["state"]) for ti in rest.task_instances("short_waits", dag_run))
    assert {kind: ended[kind, "success"] for kind in OURS} == OURS
    assert ended["naive", "failed"] > 0, "the race was not run, so this has shown nothing"
    assert stage.sandbox.stats()["runs_billed"] == sum(OURS.values())
