"""What changes between two tries: the prompt, the model, the connection, the key's age, the list of requests."""

import json
from dataclasses import replace

import pytest

from flora_provider.api import calls, errors
from flora_provider.api.errors import RequestChanged, RunOutcomeUnknown
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.runs.ledger import LedgerRecord
from flora_provider.runs.request import RunRequest, differences
from tests.support.fake_flora import KEY_WINDOW, RUN_SECONDS, SCOPE, FakeFlora
from tests.support.tasks import ProcessKilled, Task, answer_lost, request_lost


@pytest.fixture
def flora():
    return FakeFlora("replay")


def prompts(flora):
    """What was asked for, by the runs that were started."""
    return [json.loads(post.body)["prompt"] for post in flora.posts]


# ── Several requests in one task ──────────────────────────────────────────────────────────────────────────────────────


def all_of(task, wanted):
    task.tries += 1
    found = []
    for prompt in wanted:
        task.prompt = prompt
        found.append(task.execute().run_id)
    return found


@pytest.mark.parametrize("mode", ["replay", "duplicate_409", "none"])
def test_task_with_several_requests_has_a_run_for_each_and_finds_each_again(mode):
    flora = FakeFlora(mode)
    task = Task(flora)
    runs = all_of(task, ["fern", "moss", "fern", "ivy"])
    assert len(set(runs)) == 4
    assert all_of(task, ["fern", "moss", "fern", "ivy"]) == runs
    assert all_of(task, ["ivy", "fern", "moss", "fern"]) == [runs[3], runs[0], runs[1], runs[2]]
    assert len(flora.runs) == 4


def test_task_whose_list_changed_starts_only_what_is_new(flora):
    task = Task(flora)
    runs = all_of(task, ["fern", "moss", "ivy"])
    assert all_of(task, ["moss", "ivy", "oak"])[:2] == runs[1:]
    assert prompts(flora) == ["fern", "moss", "ivy", "oak"]


def test_request_that_failed_is_followed_by_the_next_one_of_the_same_try(flora):
    task = Task(flora)
    task.fails(errors.FloraPaymentError, outages=[402])
    task.prompt = "moss"
    task.execute()
    task.prompt = "a fern"
    assert task.execute().run_id == "run_2"
    assert prompts(flora) == ["a fern", "moss", "a fern"]


def test_task_killed_between_two_requests_starts_the_rest_only(flora):
    task = Task(flora)
    task.tries = 1
    task.execute()
    task.prompt = "moss"
    with pytest.raises(ProcessKilled):
        task.execute(kill_at=0)
    task.prompt = "a fern"
    assert all_of(task, ["a fern", "moss"]) == ["run_1", "run_2"]


# ── Another request in the place of an earlier one ────────────────────────────────────────────────────────────────────

CHANGES = {
    "prompt": {"prompt": "a moss"},
    "model": {"model": "t2i-other"},
    "connection": {"connection": "other https://flora.example/api/v1"},
    "base URL": {"connection": "flora_default https://elsewhere.example/api/v1"},
}


def changed(flora, change, **options):
    """A task that has a run, and then asks for something else."""
    task = Task(flora, **options)
    task.run()
    vars(task).update(CHANGES[change])
    return task


@pytest.mark.parametrize("change", CHANGES)
def test_changed_request_fails_and_names_run_change_and_remedy(flora, change):
    task = changed(flora, change)
    error = task.fails(RequestChanged, match=r"started FLORA run run_1.*was .*, is '.*on_changed_request")
    assert error.run_id == "run_1"
    assert len(flora.posts) == 1


@pytest.mark.parametrize("change", CHANGES)
def test_changed_request_adopts_the_earlier_run_if_asked_to(flora, change, caplog):
    task = changed(flora, change, on_changed="adopt")
    assert task.run().run_id == "run_1"
    assert "has changed since an earlier try" in caplog.text
    assert len(flora.posts) == 1


@pytest.mark.parametrize("change", CHANGES)
def test_changed_request_is_submitted_if_asked_to_and_found_again(flora, change, caplog):
    task = changed(flora, change, on_changed="submit_again")
    assert task.run().run_id == "run_2"
    assert "The earlier one is billed too" in caplog.text
    assert task.run().run_id == "run_2"
    assert len(flora.runs) == 2


def test_request_that_changed_once_more_is_compared_with_the_last_one(flora, caplog):
    task = changed(flora, "prompt", on_changed="submit_again")
    task.run()
    caplog.clear()
    assert task.run(prompt="an ivy").run_id == "run_3"
    assert "FLORA run run_2: prompt was 'a moss', is 'an ivy'" in caplog.text
    task.options["on_changed"], task.prompt = "adopt", "an oak"
    assert task.run().run_id == "run_3"


def test_request_that_changed_back_has_its_own_run_again(flora):
    task = changed(flora, "prompt", on_changed="submit_again")
    task.run()
    assert task.run(prompt="a fern").run_id == "run_1"
    assert task.run(prompt="a moss").run_id == "run_2"


def test_request_that_is_new_is_not_compared_with_a_replaced_one(flora):
    task = changed(flora, "prompt", on_changed="submit_again")
    task.run()
    task.options["on_changed"] = "fail"
    assert all_of(task, ["a moss", "an oak"]) == ["run_2", "run_3"]


def test_changed_request_after_a_run_that_failed_is_simply_started(flora):
    flora.behaviors = ["SERVER_ERROR"]
    task = changed(flora, "prompt")
    flora.now += RUN_SECONDS
    assert task.run().run_id == "run_2"
    assert prompts(flora) == ["a fern", "a moss"]


@pytest.mark.parametrize("pause", [0, KEY_WINDOW])
@pytest.mark.parametrize("outages", [[401], [402], [403], [404], [422], [429], ["unreached"], [429, 402, "unreached"]])
def test_changed_request_after_tries_that_started_nothing_is_simply_started(flora, outages, pause):
    task = Task(flora)
    for outage in outages:
        task.fails(outages=[outage])
        flora.now += pause
    assert task.run(prompt="a moss").run_id == "run_1"
    assert task.run().run_id == "run_1"
    assert prompts(flora) == ["a fern"] * len(outages) + ["a moss"]


@pytest.mark.parametrize("outages", [["lost", 429], [503], ["lost", 402]])
def test_changed_request_after_one_that_may_have_started_a_run_is_reported(flora, outages):
    task = Task(flora)
    task.policy = RetryPolicy(max_retries=len(outages) - 1)
    flora.outages = outages
    task.fails()
    task.fails(RequestChanged, match="run_1", prompt="a moss")
    assert set(prompts(flora)) == {"a fern"}


def test_changed_request_after_a_clear_is_a_new_run(flora):
    task = changed(flora, "prompt")
    task.clear()
    assert task.run().run_id == "run_2"


@pytest.mark.parametrize("lost", [answer_lost, request_lost])
def test_clear_logs_the_key_of_a_request_whose_answer_was_lost(flora, lost, caplog):
    task = lost(Task(flora))
    [key] = task.keys
    task.clear()
    task.run()
    assert f"may have started a run that is billed: key {key}" in caplog.text


def test_task_that_vanished_beside_a_clear_keeps_its_run_and_says_so_once(flora, caplog):
    task = Task(flora)
    run = task.run().run_id
    task.dag_run_clears += 1
    assert task.run().run_id == run
    assert "counts as retried, and keeps its run; if it was cleared itself, clear it again" in caplog.text
    caplog.clear()
    assert task.run().run_id == run
    assert "cleared" not in caplog.text


def test_task_that_failed_by_itself_beside_a_clear_logs_nothing_of_it(flora, caplog):
    task = Task(flora)
    task.fails(outages=["lost"])
    task.dag_run_clears += 1
    task.run()
    assert "cleared" not in caplog.text


def test_clear_logs_no_key_of_a_request_that_started_nothing_or_a_run_that_is_known(flora, caplog):
    known, refused = Task(flora), Task(flora, prompt="a moss")
    known.run()
    refused.fails(outages=[402])
    for task in (known, refused):
        task.clear()
        task.run()
    assert "may have started a run" not in caplog.text


def test_change_is_reported_without_signatures(flora):
    task = Task(flora, prompt="like https://host.example/a.png?sig=secret")
    task.run()
    error = task.fails(RequestChanged, prompt="like https://host.example/b.png?sig=secret")
    assert "secret" not in str(error)
    assert "secret" not in "".join(task.ledger.stored)


def test_differences_name_nested_members_and_another_path():
    def request(path, params):
        call = calls.generate(type="image", prompt="a fern", params=params, **SCOPE)
        return RunRequest(call=replace(call, url=path), connection="flora_default https://flora.example/api/v1")

    earlier = request("/generate", {"seed": 1, "style": {"name": "ink", "grain": 2}})
    kept = LedgerRecord(max_tries=1, key="k", key_version=1, intended_at=0.0, **earlier.stored_members())
    now = request("/runs/generation", {"seed": 1, "style": {"name": "oil", "grain": 2}})
    assert (
        differences(kept, now) == "path was '/generate', is '/runs/generation'; params.style.name was 'ink', is 'oil'"
    )


def test_record_of_an_earlier_release_is_taken_for_the_current_request_and_kept_whole(flora):
    task = Task(flora)
    task.run()
    [known] = task.ledger.read()
    first = {"clears": known.max_tries, "generation": 1, "key": known.key, "intended_at": 0.0, "run_id": "run_1"}
    task.ledger.stored = [json.dumps(first)]
    assert task.run().run_id == "run_1"
    assert task.ledger.read()[0].body == task.request.call.body
    task.fails(RequestChanged, prompt="a moss")


# ── The outcome of the earlier request is not known ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lost", [answer_lost, request_lost])
def test_stored_request_is_sent_again_byte_for_byte_before_the_change_is_reported(flora, lost):
    task = lost(Task(flora))
    task.fails(RequestChanged, match="started FLORA run run_1", prompt="a moss")
    assert len({(post.headers, post.body) for post in flora.posts}) == 1
    assert len(flora.runs) == 1


def test_stored_filters_search_for_a_run_whose_key_is_too_old():
    flora = FakeFlora("none")
    task = answer_lost(Task(flora, model="t2i-flux"))
    flora.now += 2.1 * 3600
    task.fails(RunOutcomeUnknown, match=r"that fit: run_1 \(", model="t2i-other")
    assert len(flora.runs) == 1


def test_stored_filters_name_the_project_of_the_first_try(flora):
    task = answer_lost(Task(FakeFlora(), candidates=calls.list_generations(workspace_id="ws_1", project_id="prj_1")))
    task.candidates = calls.list_generations(workspace_id="ws_1", project_id="prj_2")
    task.fails(RunOutcomeUnknown, prompt="moss")
    assert dict(task.flora.requests[-1].query)["project_id"] == "prj_1"


@pytest.mark.parametrize("mode", ["replay", "current_state"])
def test_template_that_varies_is_found_again_and_the_log_says_so(mode, caplog):
    flora = FakeFlora(mode)
    task = answer_lost(Task(flora, template="{{ now }}", prompt="at 10:00"))
    for prompt in ("at 10:01", "at 10:02"):  # the second try knows the run, the third as well
        task.prompt = prompt
        assert task.run().run_id == "run_1"
        assert "rendered differently at each try" in caplog.text
        caplog.clear()
    assert len(flora.runs) == 1


def test_known_run_of_a_template_that_varies_by_itself_is_taken(flora):
    task = Task(flora, template="{{ now }}", prompt="at 10:00", renders_differently=lambda: True)
    task.run()
    assert task.run(prompt="at 10:01").run_id == "run_1"


def test_known_run_of_a_template_whose_data_was_edited_is_a_changed_request(flora):
    task = Task(flora, template="{{ var.value.prompt }}", renders_differently=lambda: False)
    task.run()
    task.fails(RequestChanged, prompt="a moss")


@pytest.mark.parametrize(("mode", "ledger"), [("duplicate_409", True), ("replay", False), ("duplicate_409", False)])
def test_template_that_varies_is_not_paid_twice_where_no_answer_names_its_run(mode, ledger):
    """Without a ledger the key is made of what the author wrote; FLORA may compare what it was rendered to."""
    task = answer_lost(Task(FakeFlora(mode), ledger=ledger, template="{{ now }}", prompt="at 10:00"))
    task.fails(RunOutcomeUnknown, match="run_1", prompt="at 10:01")


def test_conflict_of_a_first_try_is_the_users_own(flora):
    Task(flora, ledger=False, template="own key", prompt="at 10:00").run()
    with pytest.raises(errors.FloraRequestError, match="422 idempotency_conflict"):
        Task(flora, ledger=False, template="own key", prompt="at 10:01").run()


# ── A run that is listed late ─────────────────────────────────────────────────────────────────────────────────────────


def test_search_ends_a_minute_after_the_intent_and_gives_no_advice_to_pay_again():
    flora = FakeFlora("duplicate_409", hidden_for=1000)
    task = answer_lost(Task(flora))
    error = task.fails(RunOutcomeUnknown, match="that fit: none")
    assert task.began + 60 <= flora.now <= task.began + 70
    assert "new run" not in str(error)
    assert "clear" not in str(error)
