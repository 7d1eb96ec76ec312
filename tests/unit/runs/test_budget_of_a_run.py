"""When a run's price is reserved, and when it is settled."""

import pytest

from flora_provider.api.errors import FloraInputError, FloraPaymentError, RunOutcomeOpen
from tests.support.fake_flora import RUN_SECONDS, FakeFlora
from tests.support.tasks import Task, answer_lost, request_lost


class Budget:
    """What is taken, by key: "reserved", or the cost that it was settled to."""

    def __init__(self):
        self.taken = {}
        self.problem = None

    def reserve(self, _context, key, _at):
        if self.problem:
            raise self.problem
        self.taken.setdefault(key, "reserved")
        yield from ()

    def settle(self, key, _at, cost):
        self.taken[key] = cost
        yield from ()


@pytest.fixture
def budget():
    return Budget()


@pytest.fixture
def flora():
    return FakeFlora("replay")


@pytest.fixture
def task(flora, budget):
    return Task(flora, budget=budget)


def test_run_is_reserved_before_it_is_started_and_settled_to_its_quote(task, budget):
    quote = task.run().quoted_cost
    assert budget.taken == {task.keys[0]: quote}


def test_budget_that_is_spent_sends_nothing_and_a_retry_may_be_allowed(task, budget, flora):
    budget.problem = FloraInputError("spent")
    task.fails(FloraInputError, match="spent")
    assert not flora.posts
    budget.problem = None
    assert task.run().run_id == "run_1"


def test_request_that_surely_started_nothing_takes_nothing(task, budget):
    task.fails(FloraPaymentError, outages=[402])
    assert list(budget.taken.values()) == [0.0]


@pytest.mark.parametrize("lost", [answer_lost, request_lost])
def test_request_that_may_have_started_a_run_stays_reserved(task, budget, lost):
    lost(task)
    assert list(budget.taken.values()) == ["reserved"]


def test_run_that_an_earlier_try_may_have_paid_is_never_refused_for_good(task, budget, flora):
    answer_lost(task)
    budget.problem = FloraInputError("spent")
    error = task.fails(RunOutcomeOpen, match="spent. An earlier try may have started the run")
    assert not isinstance(error, FloraInputError)
    budget.problem = None
    assert task.run().run_id == "run_1"
    assert len(flora.runs) == 1


def test_run_that_failed_takes_nothing_and_the_next_one_its_quote(task, budget, flora):
    flora.behaviors = ["provider_error"]
    task.run()
    flora.now += RUN_SECONDS
    task.run()
    assert sorted(budget.taken.values()) == [0.0, 0.1]
