"""A run that FLORA expects to be short is awaited in the worker, for a few seconds at most, whatever FLORA expects."""

from contextlib import nullcontext

import pytest
from airflow.providers.common.compat.sdk import AirflowException, TaskDeferred

from flora_provider.api.errors import RunFailed, RunTimedOut
from flora_provider.sandbox.faults import Fault
from flora_provider.tasks import waiting

LONG = {"seconds": 10.0, "no_estimate": True}
estimates = pytest.mark.parametrize("estimate", [0, 3, 5.0])


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch):
    monkeypatch.setattr(waiting, "SHORT_WAIT", 0.4)


@pytest.fixture
def task(flora, generate, one_task):
    """A task that waits for a run, of which FLORA says that it takes `estimate` seconds."""

    def make(estimate, *, behavior, **kwargs):
        flora.inject(Fault("/generate", edit={"estimated_seconds": estimate}))
        return one_task(generate(behavior=behavior, wait_for_completion=True, **kwargs))

    return make


@estimates
def test_run_that_takes_longer_than_estimated_is_deferred_after_a_few_seconds(task, estimate):
    task(estimate, behavior=LONG).defers()


@pytest.mark.parametrize("estimate", [None, 6, 1e6, -1, "soon"])
def test_run_of_no_short_estimate_is_deferred_at_once(flora, task, estimate):
    task(estimate, behavior={"seconds": 0.0}).defers()
    assert flora.polls == 0


@estimates
def test_run_that_ends_within_a_few_seconds_needs_no_deferral(task, estimate):
    waiting_task = task(estimate, behavior={"seconds": 0.1})
    assert waiting_task.execute()["status"] == "completed"


def test_run_that_fails_within_a_few_seconds_fails_its_task(task):
    with pytest.raises(RunFailed, match="SERVER_ERROR"):
        task(0, behavior={"error_code": "SERVER_ERROR", "seconds": 0.0}).execute()


TROUBLE = {
    "a poll that hangs": {"delay": 5.0},
    "401": {"status": 401},
    "404": {"status": 404},
    "503": {"status": 503},
    "an answer that is cut off": {"delivery": "cut"},
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_run_that_cannot_be_seen_is_left_to_the_triggerer(flora, task, trouble):
    waiting_task = task(0, behavior={"seconds": 0.0})
    flora.inject(Fault("/runs/{run_id}", times=None, **trouble))
    waiting_task.defers()


def test_timeout_that_is_shorter_ends_the_wait_in_the_worker(task):
    with pytest.raises(AirflowException) as failure:
        task(0, behavior=LONG, timeout=0.2).execute()
    assert isinstance(failure.value, RunTimedOut)


def test_task_that_is_not_deferrable_waits_in_the_worker_for_as_long_as_it_takes(task):
    waiting_task = task(0, behavior={"seconds": 1.0}, deferrable=False)
    assert waiting_task.execute()["status"] == "completed"


@pytest.mark.parametrize("deferred", [True, False])
def test_operator_killed_after_its_run_completed_says_so(flora, generate, one_task, logged, deferred):
    behavior = {"no_estimate": True, "estimated_seconds": None}
    task = one_task(generate(behavior=behavior, wait_for_completion=True, deferrable=deferred))
    with pytest.raises(TaskDeferred) if deferred else nullcontext() as deferral:
        task.operator.execute(task.context)
    if deferred:
        task.operator.execute_complete(task.context, event=task.trigger(deferral.value))

    task.operator.on_kill()

    log = logged()
    assert f"Killed after FLORA run {flora.runs[0].run_id} had completed" in log
    assert "is billed" not in log
