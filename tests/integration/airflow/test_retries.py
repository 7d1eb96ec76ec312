"""A retry finds the run that an earlier try started; a cleared task and a sibling start their own."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from flora_provider.sandbox.faults import Fault
from tests.support.airflow_tasks import ENDLESS

WAITS = {
    "not waiting": {},
    "waiting in the worker": {"wait_for_completion": True, "deferrable": False},
    "deferred": {"wait_for_completion": True, "deferrable": True},
}
waits = pytest.mark.parametrize("waiting", WAITS.values(), ids=WAITS)


@pytest.fixture(params=["ledger", "key alone"])
def memory(request, flora):
    """What tells a retry: the task state store of Airflow 3.3, or FLORA that repeats its answer to a known key."""
    if request.param == "key alone":
        flora.sandbox.settings.idempotency = "replay"
    return {"store": request.param == "ledger"}


def run_id_of(returned):
    return returned if isinstance(returned, str) else returned["run_id"]


@waits
def test_retry_returns_the_run_that_is_already_done_and_starts_none(flora, generate, one_task, memory, waiting):
    task = one_task(generate(**waiting), **memory)
    first, second = task.run(), task.retry()
    assert run_id_of(first) == run_id_of(second) == task.xcoms["run_id"]
    assert (flora.started, flora.billed) == (1, 1)


@waits
def test_retry_after_a_wait_that_timed_out_waits_for_the_same_run(flora, generate, one_task, memory, waiting):
    if not waiting:
        waiting = {"wait_for_completion": True, "deferrable": False}
    task = one_task(generate(behavior={"seconds": 1.0, "no_estimate": True}, timeout=0.2, **waiting), **memory)

    task.fails(match="a larger timeout")
    flora.sandbox.clock.advance(10)

    assert task.retry()["run_id"] == flora.runs[0].run_id
    assert (flora.started, flora.billed) == (1, 1)


@waits
def test_answer_that_was_lost_costs_nothing_twice(flora, generate, one_task, waiting):
    flora.sandbox.settings.idempotency = "replay"
    flora.inject(route="/generate", delivery="drop", after=True)
    task = one_task(generate(**waiting))
    task.fails(match=r"the connection to .* broke")
    task.retry()
    assert (flora.posts, flora.started, flora.billed) == (2, 1, 1)


@waits
def test_run_that_failed_and_may_be_retried_is_followed_by_another(flora, generate, one_task, memory, waiting):
    flora.inject(Fault("/runs/{run_id}", edit={"status": "failed", "error_code": "SERVER_ERROR"}, times=1))
    waiting = {**waiting, "wait_for_completion": True}
    task = one_task(generate(**waiting), **memory)

    task.fails_for_now(match="SERVER_ERROR")
    flora.inject(Fault("/runs/{run_id}", edit={"status": "failed", "error_code": "SERVER_ERROR"}, times=1))

    assert task.retry()["run_id"] == flora.runs[1].run_id
    assert flora.started == 2
    assert len({run.request.idempotency_key for run in flora.runs}) == 2


@waits
def test_run_that_failed_and_must_not_be_retried_fails_the_retry_too(flora, generate, one_task, memory, waiting):
    task = one_task(generate(behavior={"error_code": "LLM_REFUSAL"}, **waiting), **memory)
    if waiting:
        task.fails_for_good(match="LLM_REFUSAL")
    else:
        task.run()

    task.retry_fails(AirflowFailException, match="LLM_REFUSAL")

    assert flora.started == 1


@waits
def test_cleared_task_is_a_new_run(flora, generate, one_task, memory, waiting):
    task = one_task(generate(**waiting), **memory)
    first, second = run_id_of(task.run()), run_id_of(task.clear())
    assert first != second
    assert run_id_of(task.retry()) == second
    assert (flora.started, flora.billed) == (2, 2)


def test_task_that_is_cleared_hours_into_its_dag_run_is_a_new_run(flora, generate, one_task):
    started = datetime.now(UTC) - timedelta(hours=5)
    task = one_task(generate(), dag_run_started=started)
    flora.start()  # somebody else's run of the same project, which the history shows
    first, second = task.run(), task.clear()
    assert first != second


def test_mapped_tasks_with_the_same_prompt_are_runs_of_their_own(flora, generate, one_task, memory):
    operator = generate()
    tasks = [one_task(operator, map_index=index, **memory) for index in range(3)]
    run_ids = {task.run() for task in tasks}
    assert len(run_ids) == flora.billed == 3
    assert {task.retry() for task in tasks} == run_ids


def test_another_dag_run_and_another_connection_are_runs_of_their_own(flora, generate, one_task, memory):
    other = flora.connect("other")

    run_ids = {
        one_task(generate(), **memory).run(),
        one_task(generate(), run_id="manual__2", **memory).run(),
        one_task(generate(), dag_id="another", **memory).run(),
        one_task(generate(flora_conn_id=other), **memory).run(),
    }

    assert len(run_ids) == flora.billed == 4


def test_duplicate_without_a_ledger_fails_for_good_and_starts_nothing(flora, generate, one_task):
    task = one_task(generate(), store=False)
    run_id = task.run()
    task.retry_fails(AirflowFailException, match=f"already started a run, but not which one.*{run_id}")
    assert (flora.started, flora.billed) == (1, 1)


@pytest.mark.parametrize(("choice", "runs"), [("adopt", 1), ("submit_again", 2)])
def test_on_unknown_outcome_lets_a_user_choose_to_adopt_or_to_pay_again(flora, generate, one_task, choice, runs):
    task = one_task(generate(on_unknown_outcome=choice), store=False)
    assert len({task.run(), task.retry()}) == flora.billed == runs


def test_run_of_another_task_is_not_adopted(flora, generate, one_task):
    operator = generate(on_unknown_outcome="adopt")
    sibling = one_task(operator, map_index=0, store=False)
    task = one_task(operator, map_index=1, store=False, others=[sibling.ti])
    own, other = task.run(), sibling.run()
    assert task.retry() == own != other
    assert flora.billed == 2


def test_link_of_a_task_leads_to_the_page_of_its_project(flora, generate, one_task):
    task = one_task(generate(behavior=ENDLESS))
    task.run()
    page = httpx.get(task.xcoms["flora_url"], trust_env=False)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_run_id_is_in_xcom_before_any_wait(flora, generate, one_task):
    task = one_task(generate(behavior=ENDLESS, wait_for_completion=True))
    task.defers()
    run_id = flora.runs[0].run_id
    assert task.xcoms["run_id"] == run_id
    assert task.xcoms["flora_url"] == f"{flora.server.url}/projects/{flora.sandbox.project_id}"
    assert flora.polls == 0


@pytest.mark.parametrize("deferrable", [True, False])
def test_run_id_is_in_xcom_when_the_wait_fails(flora, generate, one_task, monkeypatch, deferrable):
    monkeypatch.setattr("flora_provider.runs.tolerance.REFUSED_FOR", 0.3)
    task = one_task(generate(behavior=ENDLESS, wait_for_completion=True, deferrable=deferrable))
    flora.inject(Fault("/runs/{run_id}", status=401, times=None))
    task.fails(match="and may go on and be billed: FLORA answered 401")
    assert task.xcoms["run_id"] == flora.runs[0].run_id


def test_on_kill_of_an_operator_is_logged_and_sends_nothing(flora, generate, one_task, logged):
    operator = generate(behavior=ENDLESS, wait_for_completion=True)
    task = one_task(operator)
    running = operator.prepare_for_execution()
    running.on_kill()
    with pytest.raises(TaskDeferred):
        running.execute(task.context)
    before = flora.requests

    running.on_kill()

    assert flora.requests == before
    assert flora.posts == 1
    log = logged()
    assert "Killed before FLORA said which run it started" in log
    assert f"Killed while FLORA run {flora.runs[0].run_id} was going on. It cannot be cancelled" in log


def test_retry_of_a_task_that_was_killed_between_post_and_answer_names_the_candidates(flora, generate, one_task):
    """The one window in which the ledger holds no run id, with a server that does not tell which run it started."""
    flora.inject(route="/generate", delivery="drop", after=True)
    task = one_task(generate())
    task.fails()
    task.retry_fails(AirflowFailException, match=f"Runs of the history that fit: {flora.runs[0].run_id}")
    assert flora.billed == 1
