"""What becomes of a task for each answer that FLORA may give."""

from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from flora_provider.api.errors import RunFailed
from flora_provider.hooks.flora import FloraHook
from flora_provider.sandbox.faults import Fault

HTML = {"body": "<html><h1>Bad gateway</h1></html>", "content_type": "text/html"}
ANY = {"times": None}

NO_CREDITS = (402, "insufficient_credits", "Insufficient credits", "Top up the workspace's credits")  # of a poll
REFUSED_KEY = (401, "invalid_api_key", "Invalid API key", "Give a current API key (the connection's password")
# Of a request that names no workspace.
NO_CREDITS = (402, "insufficient_credits", "Insufficient credits", "Top up the workspace's credits")
FINAL = [
    (402, "insufficient_credits", "Insufficient credits", "Top up the credits of workspace 'ws_"),
    (403, "forbidden", "Forbidden", "Check the role of the key's owner"),
    (404, "not_found", "Not found", "a workspace this API key cannot see"),
    (400, "input_validation_error", "Invalid input", ""),
    (422, "idempotency_conflict", "Invalid", ""),
    (418, "teapot", "Short and stout", ""),
]


@pytest.mark.parametrize(("status", "code", "sentence", "remedy"), FINAL, ids=lambda case: str(case)[:20])
def test_final_error_fails_the_task_for_good_in_floras_words(flora, generate, one_task, status, code, sentence, remedy):
    flora.inject(route="/generate", status=status, code=code, message=f"{sentence}.", headers={"request-id": "req_7"})

    error = one_task(generate()).fails_for_good()

    message = str(error)
    assert message.startswith(f"FLORA answered {status} {code}: {sentence} (request req_7)")
    assert remedy in message
    assert message.endswith("[task 'picture', connection 'flora_default']")
    assert (flora.posts, flora.billed) == (1, 0)


def test_refused_key_starts_nothing_and_is_left_to_retries(flora, generate, one_task):
    flora.inject(route="/generate", status=401)
    task = one_task(generate())
    task.fails_for_now(match="FLORA answered 401")
    task.retry()
    assert flora.billed == 1


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("status", "code", "sentence", "remedy"), [REFUSED_KEY, NO_CREDITS, *FINAL[1:3]], ids=lambda case: str(case)[:20]
)
def test_sensor_says_the_same_of_a_run_that_it_may_not_see(
    flora, wait_for, one_task, deferrable, status, code, sentence, remedy
):
    run_id = flora.start()
    flora.inject(Fault("/runs/{run_id}", status=status, code=code, message=f"{sentence}.", **ANY))
    task = one_task(wait_for(run_id, deferrable=deferrable, timeout=0.2))

    error = task.fails_for_now()

    assert f"FLORA answered {status} {code}: {sentence}" in str(error)
    assert remedy in str(error)
    assert run_id in str(error)


def test_every_field_that_flora_refuses_is_named(flora, generate, one_task):
    error = one_task(generate(model="t2v-no-such-model", validate_params=False)).fails_for_good()
    assert "FLORA answered 400 input_validation_error: model: Unknown image model" in str(error)
    assert "(request req_" in str(error)


PASSING = {
    "429": {"status": 429, "headers": {"retry-after-ms": "10"}},
    "500": {"status": 500, "headers": {"retry-after-ms": "10"}},
    "502 with an HTML page": {"status": 502, "headers": {"retry-after-ms": "10"}, **HTML},
    "503": {"status": 503, "headers": {"retry-after-ms": "10"}},
}
BROKEN = {"cut-off body": {"delivery": "cut"}, "reset": {"delivery": "drop"}}


@pytest.mark.parametrize("fault", [*PASSING.values(), *BROKEN.values()], ids=[*PASSING, *BROKEN])
def test_transient_error_is_retried_with_the_same_key(flora, generate, one_task, fault):
    flora.connect(extra={"max_retries": 2})
    flora.inject(route="/generate", **fault)

    task = one_task(generate(), store=False)
    if fault.get("delivery") == "cut":
        # The run was started, its answer lost; the key keeps the second request from starting another.
        task.fails_for_good(match="has already started a run, but not which one")
    else:
        task.run()

    assert (flora.posts, flora.billed) == (2, 1)


@pytest.mark.parametrize("fault", [*PASSING.values(), *BROKEN.values()], ids=[*PASSING, *BROKEN])
def test_lasting_error_is_left_to_the_tasks_retries(flora, generate, one_task, fault):
    flora.inject(Fault("/generate", times=None, **fault))
    error = one_task(generate()).fails_for_now()
    assert "[task 'picture', connection 'flora_default']" in str(error)


def test_success_that_is_html_is_not_sent_again(flora, generate, one_task):
    flora.inject(route="/generate", after=True, times=None, **HTML)
    one_task(generate()).fails(match=r"the body is HTML.*a proxy may stand between")
    assert (flora.posts, flora.billed) == (1, 1)


@pytest.mark.parametrize("deferrable", [True, False])
def test_unknown_status_is_polled_again(flora, wait_for, one_task, deferrable):
    run_id = flora.start()
    flora.inject(route="/runs/{run_id}", edit={"status": "polishing", "progress": 100}, times=3)
    run = one_task(wait_for(run_id, deferrable=deferrable)).run()
    assert run["status"] == "completed"
    assert flora.polls == 4


def test_unknown_type_of_output_passes_through(flora, wait_for, one_task):
    run_id = flora.start(output_type="hologramUrl")
    (output,) = one_task(wait_for(run_id)).run()["outputs"]
    assert output["type"] == "hologramUrl"
    assert output["url"].startswith(flora.server.url)


def test_unknown_members_are_ignored(flora, generate, one_task):
    flora.inject(Fault("/generate", edit={"mood": {"happy": [1, 2]}, "estimated_seconds": 0}))
    flora.inject(Fault("/runs/{run_id}", edit={"mood": "happy", "outputs_v2": []}))
    assert one_task(generate(wait_for_completion=True)).run()["status"] == "completed"


@pytest.mark.parametrize("deferrable", [True, False])
def test_bill_that_is_settled_later_is_waited_for(flora, generate, wait_for, one_task, monkeypatch, deferrable):
    monkeypatch.setattr("flora_provider.runs.poller.BILL_PAUSE", 0.05)
    sensor = one_task(wait_for(flora.start(cost_lag=1), deferrable=deferrable))
    operator = one_task(generate(behavior={"cost_lag": 1}, wait_for_completion=True, deferrable=deferrable))
    for task in (sensor, operator):
        assert task.run()["charged_cost"] == task.xcoms["charged_cost_usd"] > 0
    assert len(sensor.deferrals) == deferrable


@pytest.mark.parametrize("deferrable", [True, False])
def test_retry_that_finds_its_run_waits_for_the_bill_too(flora, generate, one_task, monkeypatch, deferrable):
    monkeypatch.setattr("flora_provider.runs.poller.BILL_PAUSE", 0.05)
    task = one_task(generate(behavior={"cost_lag": 1}, deferrable=deferrable))
    task.run()
    task.operator.wait_for_completion = True
    assert task.retry()["charged_cost"] > 0
    assert flora.posts == 1


@pytest.mark.parametrize("deferrable", [True, False])
def test_bill_costs_no_finished_run_its_deadline(flora, wait_for, one_task, deferrable):
    run_id = flora.start(cost_lag=60)
    run = one_task(wait_for(run_id, deferrable=deferrable, timeout=0.5, poke_interval=0.3)).run()
    assert (run["status"], run["charged_cost"]) == ("completed", None)


def test_bill_that_is_not_settled_in_time_is_none_and_no_xcom(flora, generate, wait_for, one_task, monkeypatch):
    monkeypatch.setattr("flora_provider.runs.tolerance.BILL_FOR", 0.3)
    sensor = one_task(wait_for(flora.start(cost_lag=60)))
    operator = one_task(generate(behavior={"cost_lag": 60}, wait_for_completion=True))

    assert sensor.run()["charged_cost"] is None
    assert operator.run()["charged_cost"] is None
    assert "charged_cost_usd" not in sensor.xcoms
    assert "charged_cost_usd" not in operator.xcoms


MODERATED = {"error_code": "GENERATION_PROMPT_MODERATED", "error_message": "The prompt was flagged."}
HIDDEN_REFUSAL = {"error_code": "GPU_PROVIDER_ERROR", "error_message": "Blocked by the provider's safety system"}
TROUBLE = {"error_code": "GENERATION_PROVIDER_TIMEOUT"}


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(("behavior", "final"), [(MODERATED, True), (HIDDEN_REFUSAL, True), (TROUBLE, False)])
def test_failed_run_fails_its_task_with_code_message_and_run_id(flora, generate, one_task, behavior, final, deferrable):
    task = one_task(
        generate(behavior=behavior | {"no_estimate": True}, wait_for_completion=True, deferrable=deferrable)
    )

    error = task.fails()

    assert f"FLORA run {task.xcoms['run_id']} failed: {behavior['error_code']}" in str(error)
    assert behavior.get("error_message", "").rstrip(".") in str(error)
    assert isinstance(error, AirflowFailException) == final
    assert len(task.deferrals) == deferrable
    assert flora.billed == 0


@pytest.mark.parametrize("mode", [{}, {"deferrable": False}, {"mode": "poke"}], ids=str)
@pytest.mark.parametrize("soft", [{}, {"soft_fail": True}], ids=str)
@pytest.mark.parametrize("code", ["GENERATION_PROVIDER_TIMEOUT", "GENERATION_QUEUE_TOO_LARGE", "LLM_REFUSAL", "X"])
def test_sensor_of_a_failed_run_fails_for_good_or_skips_and_names_the_task_to_clear(
    flora, wait_for, one_task, code, mode, soft
):
    run_id = flora.start(error_code=code)
    error = one_task(wait_for(run_id, **mode, **soft)).fails(AirflowSkipException if soft else AirflowFailException)
    message = str(error)
    assert f"{run_id} failed: {code}" in message
    assert f"clear the task that started {run_id}" in message
    assert "a retry starts a new run" not in message.lower()


def test_operator_of_a_failed_run_says_that_its_retry_starts_a_new_one(flora, generate, one_task):
    for kwargs in ({}, {"deferrable": False}):
        error = one_task(generate(behavior=TROUBLE, wait_for_completion=True, **kwargs)).fails()
        assert "a retry starts a new run [task 'picture'" in str(error)
        assert "clear the task" not in str(error)


def test_hook_that_waits_for_a_failed_run_promises_no_retry(flora):
    """It does not know who started the run."""
    run_id = flora.start(**TROUBLE)
    with FloraHook() as hook, pytest.raises(RunFailed, match="another run may succeed") as failure:
        hook.wait_for_run(run_id)
    assert "retry starts" not in str(failure.value)


def test_run_that_completed_without_an_output_fails_its_task(flora, generate, one_task):
    task = one_task(generate(behavior={"outputs": 0}, wait_for_completion=True))
    task.fails(match="completed without an output")
    assert task.xcoms["run_id"] == flora.runs[0].run_id


def test_run_id_that_no_run_has_is_given_up_after_a_minute(flora, wait_for, one_task):
    task = one_task(wait_for("run_unknown", deferrable=False, mode="poke"))
    task.ti.start_date -= timedelta(minutes=2)
    task.fails_for_now(match=r"FLORA run run_unknown.*404 not_found")


def test_bill_and_quote_are_two_xcoms(flora, generate, one_task):
    task = one_task(generate(wait_for_completion=True, behavior={"seconds": 0.0}))
    flora.inject(Fault("/generate", edit={"charged_cost": 0.5, "estimated_seconds": 0}))
    flora.inject(Fault("/runs/{run_id}", edit={"charged_cost": 0.25}))

    run = task.run()

    assert run["charged_cost"] == 0.25
    assert task.xcoms["quoted_cost_usd"] == 0.5
    assert task.xcoms["charged_cost_usd"] == 0.25
    assert {type(task.xcoms[name]) for name in ("quoted_cost_usd", "charged_cost_usd")} == {float}
