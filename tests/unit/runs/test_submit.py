"""Exactly one run per task: what is sent and remembered, what is searched for, and what errors tell."""

import pytest

from flora_provider.api import errors
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.runs.errors import WaitRefused
from flora_provider.runs.listing import LISTED_WITHIN
from flora_provider.runs.start import KEY_TRUSTED_FOR
from tests.support.fake_flora import KEY_WINDOW, RUN_SECONDS, SCOPE, FakeFlora
from tests.support.tasks import ProcessKilled, Task, answer_lost, request_lost

UNKNOWN = errors.RunOutcomeUnknown


@pytest.fixture
def flora():
    return FakeFlora()


def test_run_that_the_ledger_knows_costs_one_poll_and_no_post(flora):
    task = Task(flora)
    first = task.run()
    assert (first.started.run_id, first.run) == ("run_1", None)
    assert flora.polls == []
    found = task.run()
    assert (found.started, found.run.status) == (None, "pending")
    assert flora.polls == ["/runs/run_1"]


def test_request_that_cannot_be_right_is_refused_before_it_is_sent_or_remembered(flora):
    task = Task(flora)
    task.fails(errors.FloraInputError, "model is 'm'", problems=["model is 'm'"])
    assert (flora.runs, task.ledger.read()) == ({}, [])
    assert task.run(problems=[]).started.run_id == "run_1"


def test_retry_takes_its_run_whatever_the_catalog_says_by_now(flora):
    task = Task(flora)
    task.run()
    assert task.run(problems=["model is 'm'"]).run_id == "run_1"


def test_retry_whose_first_answer_was_lost_asks_no_catalog(flora):
    flora.mode = "replay"
    task = answer_lost(Task(flora))
    assert task.run(problems=["model is 'm'"]).run_id == "run_1"


def test_request_that_may_have_been_sent_is_sent_again_whatever_the_catalog_says(flora, caplog):
    flora.mode = "replay"
    task = answer_lost(Task(flora, ledger=False))
    assert task.run(problems=["model is 'm'"]).run_id == "run_1"
    assert "model is 'm'. An earlier try of this task may have sent it" in caplog.text


def test_ledger_holds_the_intent_before_the_post_and_the_run_id_after_it(flora):
    task = Task(flora)
    with pytest.raises(ProcessKilled, match="before POST"):
        task.run(kill_at=2)
    [intended] = task.ledger.read()
    assert (intended.intended_at, intended.run_id) == (flora.now, "")
    assert intended.body == task.request.call.body
    flora.now += 5
    task.run()
    [known] = task.ledger.read()
    assert (known.key, known.intended_at, known.run_id) == (intended.key, flora.now - 5, "run_1")
    assert task.keys == [intended.key]


def test_answer_that_is_lost_is_asked_for_again_with_the_same_key_and_bytes():
    flora = FakeFlora("replay", outages=["lost", 503, "broken"])
    task = Task(flora)
    task.policy = RetryPolicy()
    assert task.run().run_id == "run_1"
    assert len(flora.posts) == 4
    assert len({(post.headers, post.body) for post in flora.posts}) == 1
    assert len(flora.runs) == 1


@pytest.mark.parametrize(("status", "kind"), [(402, errors.FloraPaymentError), (429, errors.FloraRateLimitError)])
def test_error_that_started_nothing_is_raised_and_a_retry_sends_the_same_key(flora, status, kind):
    task = Task(flora)
    task.fails(kind, outages=[status])
    task.run()
    assert len({post.headers for post in flora.posts}) == 1
    assert len(flora.runs) == 1


@pytest.mark.parametrize("status", [401, 402, 403, 404])
@pytest.mark.parametrize("asked", ["POST", "history"])
def test_refusal_while_an_earlier_request_may_have_started_a_run_is_left_open(flora, status, asked):
    task = answer_lost(Task(flora))
    task.fails(
        errors.RunOutcomeOpen,
        match=f"FLORA answered {status}.*{task.keys[0]}",
        outages=[status] if asked == "POST" else ["", status],
    )
    task.fails(UNKNOWN, match="run_1")


@pytest.mark.parametrize("outages", ["broken", "unreached", 429])
def test_search_that_fails_does_not_say_that_nothing_was_started(flora, outages):
    task = answer_lost(Task(flora))
    error = task.fails(outages=["", outages])
    assert not error.started_nothing
    task.fails(UNKNOWN, match="run_1")


def test_another_conflict_than_a_duplicate_is_no_sign_of_a_run(flora):
    Task(flora).fails(errors.FloraConflictError, match="409 trouble", outages=[409])
    assert flora.polls == []


def test_stored_failures_cost_a_try_each():
    flora = FakeFlora("replay_failures")
    task = Task(flora)
    keys = []
    for _ in range(3):
        task.fails(errors.FloraServerError, outages=[503] if not keys else ["", 503])
        keys.append(task.ledger.read()[0].key_version)
    assert task.run().run_id == "run_1"
    assert keys == [1, 2, 3]


def test_stored_failure_moves_the_key_once_within_a_try():
    flora = FakeFlora("replay_failures", outages=[500, "", 500, ""])
    task = Task(flora)
    task.policy = RetryPolicy(max_retries=1)
    error = task.fails(errors.FloraServerError)
    assert error.replayed
    assert [dict(post.headers)["Idempotency-Key"][-3:] for post in flora.posts] == ["-g1", "-g1", "-g2", "-g2"]


def test_run_that_failed_behind_a_stored_failure_is_followed_by_another_without_a_ledger():
    flora = FakeFlora("replay_failures", outages=[503], behaviors=["SERVER_ERROR"])
    task = Task(flora, ledger=False)
    task.fails(errors.FloraServerError)
    assert task.run().run_id == "run_1"
    flora.now += RUN_SECONDS
    assert task.run().run_id == "run_2"


@pytest.mark.parametrize("ledger", [True, False])
def test_run_that_flora_does_not_show_yet_is_taken_to_be_alive(ledger):
    flora = FakeFlora("replay", hidden_for=10)
    task = Task(flora, ledger=ledger)
    assert task.run().run_id == "run_1"
    found = task.run()
    assert (found.run_id, found.run) == ("run_1", None)


def test_run_that_a_retry_has_just_started_need_not_be_shown_yet():
    flora = FakeFlora("replay", hidden_for=10)
    task = request_lost(Task(flora))
    assert task.run().run_id == "run_1"


@pytest.mark.parametrize("status", [401, 403])
def test_refused_poll_names_the_run_that_goes_on(flora, status):
    task = Task(flora)
    task.run()
    reported = f"FLORA run run_1 cannot be polled, and may go on and be billed: FLORA answered {status}"
    task.fails(WaitRefused, match=reported, outages=[status])


@pytest.mark.parametrize("status", [429, 503, 520])
def test_poll_that_fails_for_a_while_is_left_to_a_retry_which_finds_the_run(flora, status):
    task = Task(flora)
    task.run()
    task.fails(errors.FloraRateLimitError if status == 429 else errors.FloraServerError, outages=[status])
    assert task.run().run_id == "run_1"


@pytest.mark.parametrize("on_unknown", ["fail", "adopt"])
def test_unknown_outcome_names_key_time_and_candidates_and_sends_nothing(flora, on_unknown):
    task = Task(flora, on_unknown=on_unknown)
    flora.start()
    answer_lost(task)
    error = task.fails(UNKNOWN, match=r"run_2.*run_1")
    reported = str(error)
    assert task.keys[0] in reported
    assert "first sent at unix time 1750000000" in reported
    assert "run_2 (completed, created 2025-06-15 15:06:40" in reported
    assert "run_1 (completed" in reported
    assert error.run_id is None, "two fit"
    assert len(flora.posts) == 2


@pytest.mark.parametrize("hidden_for", [0, 55])
def test_only_candidate_is_searched_for_a_minute_and_given_to_whoever_catches_the_error(flora, hidden_for):
    flora.hidden_for = hidden_for
    task = answer_lost(Task(flora))
    flora.now += 0.5
    error = task.fails(UNKNOWN, match=r"that fit: run_1 \(")
    assert error.run_id == "run_1"


@pytest.mark.parametrize("on_unknown", ["fail", "adopt"])
@pytest.mark.parametrize("hidden_for", [20, 50])
def test_own_run_is_searched_for_a_minute_although_anothers_is_listed(flora, on_unknown, hidden_for):
    flora.hidden_for = hidden_for
    task = answer_lost(Task(flora, on_unknown=on_unknown))
    flora.hidden_for = 0
    flora.start()
    task.fails(UNKNOWN, match=r"run_2.*run_1")


def test_no_run_is_adopted_that_another_task_claims_or_that_does_not_match(flora):
    owned = frozenset({"run_1"})
    task = Task(flora, on_unknown="adopt", claimed=lambda: owned, model="m")
    flora.start()
    flora.start(model="other")
    answer_lost(task)
    assert task.run().run_id == "run_3"


def test_run_is_adopted_beside_anothers_that_is_claimed_within_seconds(flora):
    """Where many tasks start runs at once, some have theirs in the history before they have stored its id."""
    stored_at = flora.now + LISTED_WITHIN + 5
    task = Task(flora, on_unknown="adopt", claimed=lambda: frozenset({"run_2"} if flora.now >= stored_at else ()))
    answer_lost(task)
    flora.start()
    assert task.run().run_id == "run_1"


def test_no_run_is_adopted_that_another_task_claims_within_seconds(flora):
    flora.hidden_for = 600
    stored_at = flora.now + LISTED_WITHIN + 5
    task = Task(flora, on_unknown="adopt", claimed=lambda: frozenset({"run_2"} if flora.now >= stored_at else ()))
    answer_lost(task)
    flora.hidden_for = 0
    flora.start()
    task.fails(UNKNOWN, match="that fit: none")


def test_no_run_is_adopted_that_is_older_than_the_intent(flora):
    flora.page_size = 2
    for _ in range(5):
        flora.start()
    flora.now += 3600
    task = answer_lost(Task(flora, on_unknown="adopt"))
    assert task.run().run_id == "run_6"
    histories = [request for request in flora.requests if request.url == "/generations"]
    assert len(histories) == 1, "the first page reaches back far enough"


def test_history_is_searched_page_by_page(flora):
    flora.page_size = 2
    task = answer_lost(Task(flora, on_unknown="adopt", model="mine"))
    for _ in range(6):
        flora.start()
    assert task.run().run_id == "run_1"


def test_run_that_is_known_to_have_failed_is_not_adopted_for_the_next_key(flora):
    """Without a ledger, a third try finds both keys used, and only the first one's run in the history so far."""
    task = Task(flora, ledger=False, on_unknown="adopt")
    flora.behaviors = ["SERVER_ERROR"]
    task.run()
    flora.now += RUN_SECONDS
    flora.hidden_for = 600
    # It adopts run_1, sees that it has failed, and starts run_2 without getting its id.
    task.fails(errors.FloraConnectionError, outages=["", "", "", "lost"])
    task.fails(UNKNOWN, match="-g2")
    assert len(flora.runs) == 2


def test_old_key_without_a_history_is_not_sent_again(flora):
    task = request_lost(Task(flora, candidates=None))
    flora.now += KEY_TRUSTED_FOR + 1
    task.fails(UNKNOWN, match=r"too old for FLORA to know.*that fit: none")
    assert len(flora.posts) == 1


def test_duplicate_without_a_history_fails(flora):
    task = answer_lost(Task(flora, candidates=None, on_unknown="adopt"))
    task.fails(UNKNOWN, match="that fit: none")


def test_key_is_trusted_for_less_than_its_window(flora):
    task = request_lost(Task(flora))
    flora.now += KEY_TRUSTED_FOR
    assert task.run().run_id == "run_1"
    assert flora.requests[-2].method == "POST", "and its run is looked at; nothing was searched"
    assert KEY_TRUSTED_FOR + RetryPolicy().budget < KEY_WINDOW


def test_task_whose_runs_fail_without_end_stops_at_last():
    flora = FakeFlora("replay", behaviors=["SERVER_ERROR"] * 30)
    task = Task(flora, ledger=False)
    for _ in range(20):
        task.run()
        flora.now += RUN_SECONDS
    task.fails(UNKNOWN, match="20 runs of this task have failed")


def test_search_asks_for_the_history_of_the_project(flora):
    task = answer_lost(Task(flora, on_unknown="adopt"))
    assert task.run().run_id == "run_1"
    assert flora.requests[-2].query == (*SCOPE.items(), ("limit", "100"))
