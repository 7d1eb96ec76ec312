"""Exactly one run per task: the outcome table, line by line."""

import pytest

from flora_provider.api import errors
from tests.support.fake_flora import KEY_WINDOW, MODES, RUN_SECONDS, FakeFlora
from tests.support.tasks import Task, answer_lost, request_lost

UNKNOWN = errors.RunOutcomeUnknown


def started(task):
    task.run()


def run_ended(task):
    task.run()
    task.flora.now += RUN_SECONDS


def cleared(task):
    task.run()
    task.clear()


def run_failed(task):
    task.flora.behaviors = ["SERVER_ERROR"]
    run_ended(task)


def run_refused(task):
    task.flora.behaviors = ["LLM_REFUSAL"]
    run_ended(task)


def answer_lost_hours_ago(task):
    answer_lost(task)
    task.flora.now += KEY_WINDOW


def request_lost_hours_ago(task):
    request_lost(task)
    task.flora.now += KEY_WINDOW


def failure_stored(task):
    task.fails(errors.FloraServerError, outages=[503])


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
    (answer_lost_hours_ago, True, ALL, ADOPT, UNKNOWN, 1, 1),
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
def test_outcome_table(before, ledger, mode, choice, ends, posts, runs):
    flora = FakeFlora(mode)
    task = Task(flora, ledger=ledger, on_unknown=choice)
    before(task)
    if isinstance(ends, int):
        assert task.run().run_id == f"run_{ends}"
    else:
        task.fails(ends)
    assert (len(flora.posts), len(flora.runs)) == (posts, runs)
