"""A run that moderation has refused is followed by runs with other seeds, whatever crashes in between."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraConnectionError, FloraError, FloraPaymentError, RequestChanged, RunFailed
from flora_provider.catalog.seeds import SeedParam
from flora_provider.runs.moderation import NewSeeds
from tests.support.fake_flora import MODES, RUN_SECONDS, FakeFlora
from tests.support.tasks import ProcessKilled, Task

LEDGERS = pytest.mark.parametrize("ledger", [True, False], ids=["ledger", "no ledger"])
REFUSED = ["safety_blocked", "GENERATION_PROMPT_MODERATED", "LLM_REFUSAL"]


SEED = SeedParam("seed", 0, 2**31 - 1)


class Catalog:
    """What FLORA's catalog says of the model's seed."""

    def __init__(self, seed=SEED):
        self.seed, self.problems, self.is_away = seed, [], False

    def find(self, _context):
        if self.is_away:
            raise FloraConnectionError("the catalog is away")
        return self.seed, self.problems
        yield


@pytest.fixture
def catalog():
    return Catalog()


def moderated_task(*behaviors, ledger=True, mode="replay", limit=3, catalog=None, **options):
    flora = FakeFlora(mode, behaviors=list(behaviors))
    new_seeds = NewSeeds(limit=limit, find=(catalog or Catalog()).find)
    return Task(flora, ledger=ledger, new_seeds=new_seeds, **options)


def follow(task, submission, **kill):
    """What a try does with a run that has failed."""
    return task.execute(after=submission.run_id, **kill)


def end(task, submission, **kill):
    """Wait for the run of a submission, and for those that follow it in the same try; the last one."""
    while task.flora.runs[submission.run_id].behavior != "completed":
        task.flora.now += RUN_SECONDS
        submission = follow(task, submission, **kill)
    return submission


def seeds(task):
    """The seed of each request that was sent, by its key."""
    bodies = {}
    for post in task.flora.posts:
        key = dict(post.headers)["Idempotency-Key"]
        assert bodies.setdefault(key, post.body) == post.body, "a key is sent with one body only"
    return [(json.loads(body).get("params") or {}).get("seed") for body in bodies.values()]


@LEDGERS
def test_run_that_moderation_refused_is_followed_by_other_seeds_in_the_same_try(ledger):
    task = moderated_task(*REFUSED, ledger=ledger)
    task.params = {"seed": 7, "steps": 20}
    last = end(task, task.run())
    assert last.run_id == "run_4"
    first, *others = seeds(task)
    assert first == 7
    assert len({first, *others}) == 4
    assert all(0 <= seed < 2**31 for seed in others)
    assert dict(last.seed) == {"seed": others[-1]}
    assert [(one.run_id, one.seed, one.code) for one in last.moderated] == [
        (f"run_{n + 1}", seed, code) for n, (seed, code) in enumerate(zip([7, *others], REFUSED, strict=False))
    ]
    assert json.loads(task.flora.posts[-1].body)["params"]["steps"] == 20


@LEDGERS
def test_request_without_a_seed_comes_first(ledger):
    task = moderated_task("safety_blocked", ledger=ledger)
    last = end(task, task.run())
    assert seeds(task) == [None, last.seed["seed"]]
    assert last.moderated[0].seed is None


@LEDGERS
def test_limit_bounds_the_runs_that_follow_and_the_last_failure_is_final(ledger, caplog):
    task = moderated_task(*["safety_blocked"] * 5, ledger=ledger, limit=2)
    with pytest.raises(RunFailed, match="run_3 failed: safety_blocked") as caught:
        end(task, task.run())
    assert not caught.value.advice.may_retry
    assert len(task.flora.runs) == 3
    assert "Moderation has refused run_3, and run_1 (seed None), run_2 (seed " in caplog.text
    if ledger:
        task.fails(RunFailed, match="run_3")
        assert len(task.flora.runs) == 3


def test_seeds_that_are_all_used_end_the_runs(caplog):
    task = moderated_task(*["safety_blocked"] * 5, limit=10, catalog=Catalog(SeedParam("seed", 1, 2)))
    with pytest.raises(RunFailed):
        end(task, task.run())
    assert sorted(seeds(task)[1:]) == [1, 2]
    assert "refused every seed of the model" in caplog.text


@pytest.mark.parametrize("code", ["input_unreachable", "BILLING_NOT_ENOUGH_CREDITS", "GENERATION_INVALID_PARAMS"])
def test_no_seed_follows_what_another_seed_cannot_cure(code):
    task = moderated_task(code)
    with pytest.raises(RunFailed, match=code):
        end(task, task.run())
    assert len(task.flora.runs) == 1


def test_run_that_fails_otherwise_after_a_refusal_is_followed_by_its_own_seed():
    task = moderated_task("safety_blocked", "SERVER_ERROR")
    last = end(task, task.run())
    first, second, third = seeds(task)
    assert second == third != first
    assert [one.run_id for one in last.moderated] == ["run_1"]


@LEDGERS
def test_retry_takes_the_run_with_its_seed_and_knows_those_before(ledger):
    task = moderated_task(*REFUSED[:2], ledger=ledger)
    last = end(task, task.run())
    again = task.run()
    assert (again.run_id, again.seed, again.moderated) == (last.run_id, last.seed, last.moderated)
    assert len(task.flora.runs) == 3


@LEDGERS
def test_retry_goes_on_where_a_try_was_killed_in_its_wait(ledger):
    task = moderated_task(*REFUSED[:2], ledger=ledger)
    follow_up = follow(task, _after_its_end(task, task.run()))
    task.flora.now += RUN_SECONDS
    last = task.run()
    assert follow_up.run_id == "run_2"
    assert last.run_id == "run_3"
    assert len(last.moderated) == 2


def _after_its_end(task, submission):
    task.flora.now += RUN_SECONDS
    return submission


def test_try_on_old_airflow_hours_into_its_dag_run_follows_too():
    """The age of a key is known where this very try has sent it."""
    task = moderated_task("safety_blocked", ledger=False, mode="duplicate_409")
    task.began -= 5 * 3600
    task.flora.start()  # somebody else's, which the history shows
    assert end(task, task.run()).run_id == "run_3"


def test_refused_run_is_not_taken_for_one_whose_answer_was_lost():
    task = moderated_task("safety_blocked", mode="duplicate_409", on_unknown="adopt")
    first = _after_its_end(task, task.run())
    task.flora.outages = ["", "lost"]
    with pytest.raises(FloraConnectionError):
        follow(task, first)
    assert task.run().run_id == "run_2"


@pytest.mark.parametrize("mode", ["replay", "current_state"])
def test_try_that_has_lost_its_memory_starts_nothing_twice(mode):
    """Before Airflow 3.3, between the worker that deferred and the one that goes on."""
    task = moderated_task(*REFUSED, ledger=False, mode=mode)
    submission = task.run()
    while task.flora.runs[submission.run_id].behavior != "completed":
        task.flora.now += RUN_SECONDS
        task.ledger.records.clear()
        submission = follow(task, submission)
    assert submission.run_id == "run_4"
    assert len(submission.moderated) == 3
    assert len(set(seeds(task))) == len(task.flora.runs) == 4


def test_other_seed_is_no_changed_request():
    task = moderated_task("safety_blocked")
    last = end(task, task.run())
    assert task.run().run_id == last.run_id
    task.fails(RequestChanged, match="prompt was 'a fern', is 'a palm'", prompt="a palm")
    assert "seed" not in str(task.fails(RequestChanged))


def test_equal_requests_of_one_try_have_seeds_of_their_own():
    task = moderated_task("safety_blocked", "completed", "safety_blocked", "completed")
    first = end(task, task.run())
    second = end(task, task.execute())
    assert (first.run_id, second.run_id) == ("run_2", "run_4")
    assert first.seed != second.seed


def test_cleared_task_begins_with_what_its_author_asked_for():
    task = moderated_task("safety_blocked", "completed", "completed")
    end(task, task.run())
    task.clear()
    again = task.run()
    assert (again.run_id, dict(again.seed), again.moderated) == ("run_3", {}, ())
    assert len(seeds(task)) == 3


def test_run_of_before_a_clear_is_taken_again_with_its_seed():
    task = moderated_task("safety_blocked", on_clear="reuse")
    last = end(task, task.run())
    task.clear()
    task.flora.now += RUN_SECONDS
    again = task.run()
    assert (again.run_id, again.seed, again.moderated) == (last.run_id, last.seed, last.moderated)


def test_request_that_surely_started_nothing_is_sent_again_with_the_same_seed():
    task = moderated_task("safety_blocked")
    first = _after_its_end(task, task.run())
    task.flora.outages = ["", 402]
    with pytest.raises(FloraPaymentError):
        follow(task, first)
    assert task.run().moderated[0].run_id == "run_1"
    assert len(set(seeds(task))) == len(task.flora.runs) == 2


def test_catalog_that_is_away_is_left_to_a_retry_before_anything_is_sent(catalog):
    task = moderated_task("safety_blocked", catalog=catalog)
    first = _after_its_end(task, task.run())
    catalog.is_away = True
    with pytest.raises(FloraConnectionError, match="the catalog is away"):
        follow(task, first)
    assert len(task.flora.posts) == 1
    catalog.is_away = False
    assert task.run().run_id == "run_2"


def test_seed_that_was_written_down_is_sent_whatever_the_catalog_says_by_now(catalog):
    task = moderated_task("safety_blocked", catalog=catalog)
    first = _after_its_end(task, task.run())
    task.flora.outages = ["", "lost"]
    with pytest.raises(FloraConnectionError):
        follow(task, first)
    catalog.is_away = True
    assert task.run().run_id == "run_2"
    assert len(set(seeds(task))) == 2


def test_model_that_has_lost_its_seed_fails_as_without_one(catalog, caplog):
    task = moderated_task("safety_blocked", catalog=catalog)
    first = _after_its_end(task, task.run())
    catalog.seed, catalog.problems = None, ["the model has no seed"]
    with pytest.raises(RunFailed, match="safety_blocked"):
        follow(task, first)
    assert "the model has no seed" in caplog.text


steps = st.lists(
    st.tuples(
        st.none() | st.integers(0, 20),  # the moment at which the process is killed
        st.lists(st.sampled_from(["", "", "lost", "broken", 429, 503]), max_size=5),  # what its requests meet
        st.booleans(),  # whether the next step is of the same try
    ),
    max_size=12,
)


@given(
    st.sampled_from([mode for mode in MODES if mode != "none"]),
    st.booleans(),
    st.lists(st.sampled_from([*REFUSED, "SERVER_ERROR", "completed"]), max_size=6),
    steps,
)
def test_each_key_and_seed_is_paid_once_and_the_intended_run_too_whatever_happens(mode, ledger, behaviors, taken):
    task = moderated_task(*behaviors, ledger=ledger, mode=mode)
    submission = None
    for kill_at, outages, is_same_try in [*taken, (None, [], False)]:
        task.flora.now += RUN_SECONDS
        task.flora.outages = list(outages)
        try:
            is_failed = submission and task.flora.runs[submission.run_id].behavior != "completed"
            if is_same_try and is_failed:
                submission = follow(task, submission, kill_at=kill_at)
            else:
                submission = task.run(kill_at=kill_at)
        except (FloraError, ProcessKilled):
            submission = None
    sent = seeds(task)
    runs = list(task.flora.runs.values())
    moderated = [run for run in runs if run.behavior in REFUSED]
    assert len({run.key for run in runs}) == len(runs), "each key has started one run at most"
    assert all(not run.is_billed for run in runs[:-1]), "nothing follows the run that is paid"
    assert len(moderated) <= 1 + 3
    # A run that failed otherwise is followed by one with its seed; one that moderation has refused never is.
    assert len(set(sent)) >= len(moderated)
    if submission:
        assert submission.run_id == runs[-1].run_id
