"""Exactly one run per task: the outcome table, line by line, and what errors tell."""

import pytest

from flora_provider.api import calls, errors
from flora_provider.api.retry import RetryPolicy
from flora_provider.runs.event import WaitRefused
from flora_provider.runs.submit import KEY_TRUSTED_FOR, Record
from tests.runs.small_flora import MODES, PLACE, TAKES, WINDOW, Killed, SmallFlora, Task

HOUR = 3600.0
UNKNOWN = errors.RunOutcomeUnknown


def started(task):
    task.run()


def run_ended(task):
    task.run()
    task.flora.now += TAKES


def cleared(task):
    task.run()
    task.clear()


def run_failed(task):
    task.flora.fates = ["SERVER_ERROR"]
    run_ended(task)


def run_refused(task):
    task.flora.fates = ["LLM_REFUSAL"]
    run_ended(task)


def answer_lost(task):
    task.flora.weather = ["lost"]
    with pytest.raises(errors.FloraConnectionError):
        task.run()


def request_lost(task):
    task.flora.weather = ["broken"]
    with pytest.raises(errors.FloraConnectionError):
        task.run()


def answer_lost_hours_ago(task):
    answer_lost(task)
    task.flora.now += WINDOW


def request_lost_hours_ago(task):
    request_lost(task)
    task.flora.now += WINDOW


def failure_stored(task):
    task.flora.weather = [503]
    with pytest.raises(errors.FloraServerError):
        task.run()


def nothing(task):
    """The first try."""


ALL, FAIL, ADOPT, AGAIN = MODES, "fail", "adopt", "submit_again"
REPEATED = ("replay", "replay_failures", "current_state")
DUPLICATE = ("duplicate_409",)

# What happened before, with which ledger, by which of FLORA's accounts, what the user chose; then: how this try ends
# (the number of its run, counted over all, or an error), and how many POSTs and runs there are by then in all.
TABLE = [
    (nothing, True, ALL, FAIL, 1, 1, 1),
    (nothing, False, ALL, FAIL, 1, 1, 1),
    # a retry, as after a task timeout: the run is alive, or has completed
    (started, True, ALL, FAIL, 1, 1, 1),
    (started, False, REPEATED, FAIL, 1, 2, 1),
    (started, False, DUPLICATE, FAIL, UNKNOWN, 2, 1),
    (started, False, DUPLICATE, ADOPT, 1, 2, 1),
    (started, False, DUPLICATE, AGAIN, 2, 3, 2),
    (started, False, ("none",), FAIL, 2, 2, 2),
    (run_ended, True, ALL, FAIL, 1, 1, 1),
    (run_ended, False, REPEATED, FAIL, 1, 2, 1),
    (run_ended, False, DUPLICATE, FAIL, UNKNOWN, 2, 1),
    (run_ended, False, DUPLICATE, ADOPT, 1, 2, 1),
    # a clear
    (cleared, True, ALL, FAIL, 2, 2, 2),
    (cleared, False, ALL, FAIL, 2, 2, 2),
    # a retry after the run failed
    (run_failed, True, ALL, FAIL, 2, 2, 2),
    (run_failed, False, REPEATED, FAIL, 2, 3, 2),
    (run_failed, False, DUPLICATE, FAIL, UNKNOWN, 2, 1),
    (run_failed, False, DUPLICATE, ADOPT, 2, 3, 2),
    (run_refused, True, ALL, FAIL, errors.RunFailed, 1, 1),
    (run_refused, False, REPEATED, FAIL, errors.RunFailed, 2, 1),
    (run_refused, False, DUPLICATE, FAIL, UNKNOWN, 2, 1),
    (run_refused, False, DUPLICATE, ADOPT, errors.RunFailed, 2, 1),
    # the answer was lost on the wire, or the request was
    (answer_lost, True, REPEATED, FAIL, 1, 2, 1),
    (answer_lost, False, REPEATED, FAIL, 1, 2, 1),
    (answer_lost, True, DUPLICATE, FAIL, UNKNOWN, 2, 1),
    (answer_lost, True, DUPLICATE, ADOPT, 1, 2, 1),
    (answer_lost, True, DUPLICATE, AGAIN, 2, 3, 2),
    (answer_lost, True, ("none",), FAIL, 2, 2, 2),  # the one window that no client can close
    (request_lost, True, ALL, FAIL, 1, 2, 1),
    (request_lost, False, ALL, FAIL, 1, 2, 1),
    # FLORA stored its failure under the key
    (failure_stored, True, ("replay_failures",), FAIL, 1, 3, 1),
    (failure_stored, False, ("replay_failures",), FAIL, 1, 3, 1),
    (failure_stored, True, ("duplicate_409", "replay", "none"), FAIL, 1, 2, 1),
    # the key is older than its window
    (answer_lost_hours_ago, True, ALL, FAIL, UNKNOWN, 1, 1),
    (answer_lost_hours_ago, False, ALL, FAIL, UNKNOWN, 1, 1),
    (answer_lost_hours_ago, True, ALL, ADOPT, 1, 1, 1),
    (answer_lost_hours_ago, True, ALL, AGAIN, 2, 2, 2),
    (request_lost_hours_ago, True, ALL, FAIL, 1, 2, 1),
    (request_lost_hours_ago, False, ALL, FAIL, 1, 2, 1),
]
LINES = [
    pytest.param(
        before, ledger, mode, choice, *then, id=f"{before.__name__}-{mode}-{choice}-{'ledger' if ledger else ''}"
    )
    for before, ledger, modes, choice, *then in TABLE
    for mode in modes
]


@pytest.mark.parametrize(("before", "ledger", "mode", "choice", "ends", "posts", "runs"), LINES)
def test_the_outcome_table(before, ledger, mode, choice, ends, posts, runs):
    flora = SmallFlora(mode)
    task = Task(flora, ledger=ledger, on_unknown=choice)
    before(task)
    if isinstance(ends, int):
        assert task.run().run_id == f"run_{ends}"
    else:
        with pytest.raises(ends):
            task.run()
    assert (len(flora.posts), len(flora.runs)) == (posts, runs)


@pytest.fixture
def flora():
    return SmallFlora()


def test_a_run_that_the_ledger_knows_costs_one_look_and_no_post(flora):
    task = Task(flora)
    first = task.run()
    assert (first.started.run_id, first.run) == ("run_1", None)
    assert flora.looks == []
    found = task.run()
    assert (found.started, found.run.status) == (None, "running")
    assert flora.looks == ["/runs/run_1"]


def test_what_the_ledger_holds_at_each_moment(flora):
    task = Task(flora)
    with pytest.raises(Killed, match="before POST"):
        task.run(kill_at=2)
    intended = task.ledger.read()
    assert intended == Record(clears=0, generation=1, key=task.intent.key(1), intended_at=flora.now)
    flora.now += 5
    task.run()
    assert task.ledger.read() == Record(
        clears=0, generation=1, key=task.intent.key(1), intended_at=flora.now - 5, run_id="run_1"
    )


def test_an_answer_that_is_lost_is_asked_for_again_with_the_same_key_and_bytes():
    flora = SmallFlora("replay", weather=["lost", 503, "broken"])
    task = Task(flora)
    task.policy = RetryPolicy()
    assert task.run().run_id == "run_1"
    assert len(flora.posts) == 4
    assert len({(post.headers, post.body) for post in flora.posts}) == 1
    assert len(flora.runs) == 1


def test_a_key_that_was_used_for_another_body_ends_the_try_and_is_not_replaced():
    flora = SmallFlora("replay")
    task = Task(flora)
    with pytest.raises(Killed):
        task.run(kill_at=4)  # FLORA has started a run, and the task does not know
    task.prompt = "a moss"
    with pytest.raises(errors.FloraRequestError, match="422 idempotency_conflict"):
        task.run()
    assert len(flora.runs) == 1


@pytest.mark.parametrize(("status", "kind"), [(402, errors.FloraPaymentError), (429, errors.FloraRateLimitError)])
def test_what_started_nothing_is_raised_and_a_retry_sends_the_same_key(flora, status, kind):
    task = Task(flora)
    flora.weather = [status]
    with pytest.raises(kind):
        task.run()
    task.run()
    assert len({post.headers for post in flora.posts}) == 1
    assert len(flora.runs) == 1


def test_another_conflict_than_a_duplicate_is_no_sign_of_a_run(flora):
    flora.weather = [409]
    with pytest.raises(errors.FloraConflictError, match="409 trouble"):
        Task(flora).run()
    assert flora.looks == []


def test_stored_failures_cost_a_try_each():
    flora = SmallFlora("replay_failures")
    task = Task(flora)
    keys = []
    for _ in range(3):
        flora.weather = [503] if not keys else ["", 503]
        with pytest.raises(errors.FloraServerError):
            task.run()
        keys.append(task.ledger.read().generation)
    assert task.run().run_id == "run_1"
    assert keys == [1, 2, 3]


def test_within_a_try_a_stored_failure_moves_the_key_once():
    flora = SmallFlora("replay_failures", weather=[500, "", 500, ""])
    task = Task(flora)
    task.policy = RetryPolicy(max_retries=1)
    with pytest.raises(errors.FloraServerError) as caught:
        task.run()
    assert caught.value.replayed
    assert [post.headers[1][1][-3:] for post in flora.posts] == ["-g1", "-g1", "-g2", "-g2"]


def test_without_a_ledger_a_run_that_failed_behind_a_stored_failure_is_followed_by_another():
    flora = SmallFlora("replay_failures", weather=[503], fates=["SERVER_ERROR"])
    task = Task(flora, ledger=False)
    with pytest.raises(errors.FloraServerError):
        task.run()
    assert task.run().run_id == "run_1"
    flora.now += TAKES
    assert task.run().run_id == "run_2"


@pytest.mark.parametrize("ledger", [True, False])
def test_a_run_that_flora_does_not_show_yet_is_taken_to_be_alive(ledger):
    flora = SmallFlora("replay", hidden_for=10)
    task = Task(flora, ledger=ledger)
    assert task.run().run_id == "run_1"
    found = task.run()
    assert (found.run_id, found.run) == ("run_1", None)


def test_a_run_that_a_retry_has_just_started_need_not_be_shown_yet():
    flora = SmallFlora("replay", hidden_for=10)
    task = Task(flora)
    request_lost(task)
    assert task.run().run_id == "run_1"


@pytest.mark.parametrize("status", [401, 403])
def test_a_look_that_is_refused_names_the_run_that_goes_on(flora, status):
    task = Task(flora)
    task.run()
    flora.weather = [status]
    with pytest.raises(WaitRefused, match=f"look at run run_1, which may go on and be billed: FLORA answered {status}"):
        task.run()


def test_a_look_that_fails_for_a_while_is_left_to_a_retry_which_finds_the_run(flora):
    task = Task(flora)
    task.run()
    flora.weather = [503]
    with pytest.raises(errors.FloraServerError):
        task.run()
    assert task.run().run_id == "run_1"


def test_an_unknown_outcome_names_key_time_and_candidates_and_sends_nothing(flora):
    task = Task(flora)
    flora.start()
    answer_lost(task)
    with pytest.raises(UNKNOWN) as caught:
        task.run()
    told = str(caught.value)
    assert task.intent.key(1) in told
    assert "first sent at unix time 1750000000" in told
    assert "run_2 (running, created 2025-06-15 15:06:40" in told
    assert "run_1 (running" in told
    assert caught.value.run_id is None, "two fit"
    assert len(flora.posts) == 2


def test_the_only_candidate_is_given_to_whoever_catches_the_error(flora):
    task = Task(flora)
    answer_lost(task)
    with pytest.raises(UNKNOWN) as caught:
        task.run()
    assert caught.value.run_id == "run_1"


def test_a_run_is_adopted_only_if_it_is_the_only_one(flora):
    task = Task(flora, on_unknown="adopt")
    flora.start()
    answer_lost(task)
    with pytest.raises(UNKNOWN, match=r"run_2.*run_1"):
        task.run()


def test_no_run_is_adopted_that_another_task_claims_or_that_does_not_match(flora):
    owned = frozenset({"run_1"})
    task = Task(flora, on_unknown="adopt", claimed=lambda: owned, matches=lambda row: row.run_id != "run_2")
    flora.start()
    flora.start()
    answer_lost(task)
    assert task.run().run_id == "run_3"


def test_no_run_is_adopted_that_is_older_than_the_intent(flora):
    flora.page_size = 2
    for _ in range(5):
        flora.start()
    flora.now += HOUR
    task = Task(flora, on_unknown="adopt")
    answer_lost(task)
    assert task.run().run_id == "run_6"
    histories = [request for request in flora.requests if request.target == "/generations"]
    assert len(histories) == 1, "the first page reaches back far enough"


def test_a_history_is_searched_page_by_page(flora):
    flora.page_size = 2
    task = Task(flora, on_unknown="adopt", matches=lambda row: row.run_id == "run_1")
    answer_lost(task)
    for _ in range(6):
        flora.start()
    assert task.run().run_id == "run_1"


def test_a_run_that_is_known_to_have_failed_is_not_adopted_for_the_next_key(flora):
    """Without a ledger, a third try finds both keys used, and only the first one's run in the history so far."""
    task = Task(flora, ledger=False, on_unknown="adopt")
    run_failed(task)
    flora.hidden_for = 60
    task.flora.weather = ["", "", "", "lost"]
    with pytest.raises(errors.FloraConnectionError):
        task.run()  # adopts run_1, sees that it has failed, and starts run_2 without being told
    with pytest.raises(UNKNOWN, match="-g2"):
        task.run()
    assert len(flora.runs) == 2


def test_without_a_history_an_old_key_is_not_sent_again(flora):
    task = Task(flora, candidates=None)
    request_lost(task)
    flora.now += KEY_TRUSTED_FOR + 1
    with pytest.raises(UNKNOWN, match=r"forgotten a key of that age.*that fit: none"):
        task.run()
    assert len(flora.posts) == 1


def test_without_a_history_a_duplicate_fails(flora):
    task = Task(flora, candidates=None, on_unknown="adopt")
    answer_lost(task)
    with pytest.raises(UNKNOWN, match="that fit: none"):
        task.run()


def test_a_key_is_trusted_for_less_than_its_window(flora):
    task = Task(flora)
    request_lost(task)
    flora.now += KEY_TRUSTED_FOR
    assert task.run().run_id == "run_1"
    assert flora.requests[-2].method == "POST", "and its run is looked at; nothing was searched"
    assert KEY_TRUSTED_FOR + RetryPolicy().budget < WINDOW


def test_a_task_whose_runs_fail_without_end_stops_at_last():
    flora = SmallFlora("replay", fates=["SERVER_ERROR"] * 30)
    task = Task(flora, ledger=False)
    for _ in range(20):
        task.run()
        flora.now += TAKES
    with pytest.raises(UNKNOWN, match="20 runs of this task have failed"):
        task.run()


@pytest.mark.parametrize("stored", [None, 5, "text", [], {}, {"clears": 0}, {"unknown": 1}])
def test_what_is_no_record_counts_as_none(stored):
    assert Record.load(stored) is None


def test_the_defaults_look_at_runs_and_claim_nothing():
    flora = SmallFlora()
    task = Task(flora, on_unknown="adopt", look=calls.get_run)
    answer_lost(task)
    assert task.run().run_id == "run_1"
    assert flora.requests[-2].query == (*((n, v) for n, v in PLACE.items()), ("limit", "100"))
