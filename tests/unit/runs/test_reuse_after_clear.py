"""A cleared task takes its run again, if its author says so; by default it is a new run."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraServerError
from tests.support.fake_flora import RUN_SECONDS, FakeFlora
from tests.support.tasks import ProcessKilled, Task, answer_lost


@pytest.fixture
def flora():
    return FakeFlora("replay")


@pytest.fixture
def task(flora):
    return Task(flora, on_clear="reuse")


def test_cleared_task_takes_its_run_again_and_keeps_it_over_retries_and_clears(task, flora):
    run = task.run().run_id
    flora.now += RUN_SECONDS
    for _ in range(2):
        task.clear()
        assert task.run().run_id == run
        assert task.run().run_id == run
    assert len(flora.posts) == 1


def test_quote_is_kept(task):
    quote = task.run().quoted_cost
    task.clear()
    assert task.run().quoted_cost == quote is not None


def test_run_that_goes_on_is_taken_too(task, flora):
    run = task.run().run_id
    task.clear()
    assert task.run().run_id == run
    assert len(flora.posts) == 1


def test_default_is_a_new_run(flora):
    task = Task(flora)
    run = task.run().run_id
    task.clear()
    assert task.run().run_id != run


def test_run_that_failed_is_not_taken_whatever_its_error(task, flora):
    run = task.run().run_id
    flora.runs[run] = replace(flora.runs[run], behavior="safety_blocked", seconds=0.0)
    task.clear()
    assert task.run().run_id != run
    assert len(flora.runs) == 2


def test_changed_request_is_a_new_run(task):
    run = task.run().run_id
    task.clear()
    assert task.run(prompt="a moss").run_id != run


def test_request_whose_answer_was_lost_is_a_new_run(task, flora):
    answer_lost(task)
    task.clear()
    task.run()
    assert len(flora.runs) == 2


def test_flora_that_is_away_starts_nothing(task, flora):
    run = task.run().run_id
    task.clear()
    task.fails(FloraServerError, outages=[503])
    assert task.run().run_id == run
    assert len(flora.posts) == 1


def test_each_request_of_a_task_takes_its_own_run_again(task, flora):
    def both():
        task.tries += 1
        found = []
        for prompt in ("a fern", "a moss", "a fern"):
            task.prompt = prompt
            found.append(task.execute().run_id)
        return found

    first = both()
    task.clear()
    assert both() == first
    assert both() == first
    assert len(flora.runs) == 3


@given(st.lists(st.one_of(st.just("clear"), st.none(), st.integers(0, 12)), max_size=12))
def test_run_whose_id_was_stored_is_never_paid_again(steps):
    """Retries (None), clears, and kills at any moment."""
    flora = FakeFlora("replay")
    task = Task(flora, on_clear="reuse")
    run = task.run().run_id
    for step in steps:
        if step == "clear":
            task.clear()
            continue
        with suppress(ProcessKilled):
            assert task.run(kill_at=step).run_id == run
    assert task.run().run_id == run
    assert len(flora.runs) == 1
