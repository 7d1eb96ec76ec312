"""Kill a task at any moment, in any outage, whatever FLORA makes of keys: nothing is paid twice, or it is said."""

import re
from contextlib import suppress
from itertools import chain, count

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from flora_provider.api.errors import FloraError, FloraStatusError, RunFailed, RunOutcomeUnknown
from flora_provider.api.http.retry_policy import RetryPolicy
from tests.support.fake_flora import KEY_WINDOW, MODES, RUN_SECONDS, FakeFlora
from tests.support.tasks import ProcessKilled, Task, request_lost

IDEMPOTENT = [mode for mode in MODES if mode != "none"]
LEDGERS = pytest.mark.parametrize("ledger", [True, False], ids=["ledger", "no ledger"])


def killed_at_every_moment(make):
    """A killed task for each moment of its first try, until there is none left to kill it at."""
    for moment in count():
        task = make()
        try:
            task.run(kill_at=moment)
        except ProcessKilled as killed:
            yield str(killed), task
        else:
            return


@LEDGERS
@pytest.mark.parametrize("mode", MODES)
def test_retry_after_a_kill_at_any_moment_ends_with_one_run_or_says_why_not(mode, ledger):
    moments = []
    for moment, task in killed_at_every_moment(lambda: Task(FakeFlora(mode), ledger=ledger)):
        moments.append(moment)
        has_run, knows_it = bool(task.flora.runs), moment == "after a ledger write"
        if has_run and mode == "none" and not knows_it:
            task.run()
            assert len(task.flora.billed) == 2, "the one window that no client can close"
        elif has_run and mode == "duplicate_409" and not knows_it:
            task.fails(RunOutcomeUnknown, match="run_1")
            assert len(task.flora.billed) == 1
        else:
            assert task.run().run_id == "run_1"
            assert len(task.flora.billed) == 1
    assert moments == [
        *(["before a ledger write", "after a ledger write"] if ledger else []),
        "before POST /generate",
        "after POST /generate",
        *(["before a ledger write", "after a ledger write"] if ledger else []),
    ]


@LEDGERS
@pytest.mark.parametrize("mode", IDEMPOTENT)
def test_retry_that_is_killed_at_any_moment_costs_nothing_either(mode, ledger):
    for _, task in killed_at_every_moment(lambda: request_lost(Task(FakeFlora(mode), ledger=ledger))):
        with suppress(RunOutcomeUnknown):
            task.run()
        assert task.flora.billed == ["run_1"]


# A history is a dozen tries, and costs as much as a dozen examples of other properties.
half_as_many = settings(max_examples=settings.default.max_examples // 2)

attempts = st.tuples(
    st.none() | st.integers(0, 14),  # the moment at which it is killed
    st.lists(st.sampled_from(["", "lost", "broken", 429, 503]), max_size=4),  # what its requests meet
)
steps = attempts | st.sampled_from([1.0, RUN_SECONDS, KEY_WINDOW]) | st.just("clear")
histories = st.lists(st.tuples(st.integers(0, 2), steps), max_size=10)
behaviors = st.lists(st.sampled_from(["completed", "SERVER_ERROR", "LLM_REFUSAL"]), max_size=4)
hidden = st.sampled_from([0.0, 0.0, 10.0])  # seconds for which FLORA does not show a new run


class History:
    """Three sibling tasks with the same prompt, and whatever happens to them.

    Attributes:
        claims: run ids that a task returned, by task.
        stolen: run ids that a task returned though it had not started them.
        lost_keys: keys of tasks of which a try started a run without getting its id.
    """

    def __init__(self, mode, ledger, behaviors=(), hidden_for=0.0, **options):
        self.flora = FakeFlora(mode, behaviors=list(behaviors), hidden_for=hidden_for, page_size=3)
        self.tasks = [Task(self.flora, f"task_{n}", ledger=ledger, **options) for n in range(3)]
        self.claims = {task.task_id: [] for task in self.tasks}
        self.stolen = []
        self.lost_keys = set()
        for task in self.tasks:
            task.policy = RetryPolicy(max_retries=1)
            task.options["claimed"] = lambda task=task: self.claimed_by_others(task)

    def claimed_by_others(self, task):
        return frozenset(chain(*(claims for task_id, claims in self.claims.items() if task_id != task.task_id)))

    def apply(self, taken):
        for who, step in taken:
            if step == "clear":
                self.tasks[who].clear()
            elif isinstance(step, float):
                self.flora.now += step
            else:
                self.attempt(self.tasks[who], *step)

    def ends(self):
        """How a last, quiet try of each task ends."""
        self.flora.now += RUN_SECONDS
        return [(task, self.attempt(task)) for task in self.tasks]

    def attempt(self, task, kill_at=None, outages=()):
        """How a try ends: a run id, an error, or a kill."""
        before = len(task.runs)
        self.flora.outages = list(outages)
        try:
            end = task.run(kill_at=kill_at).run_id
            self.claims[task.task_id].append(end)
            if end not in {run.run_id for run in task.runs}:
                self.stolen.append(end)
        except (FloraError, ProcessKilled) as error:
            end = error
        self.flora.outages = []
        if len(task.runs) > before + isinstance(end, str):
            self.lost_keys.add(task.keys[0])
        return end


def billed(task):
    return [run.run_id for run in task.runs if run.is_billed]


def check_error(task, error):
    if isinstance(error, RunFailed):
        assert error.run_id in {run.run_id for run in task.runs}
        assert not error.advice.may_retry
    elif isinstance(error, RunOutcomeUnknown):
        # A key that is old, or of unknown age, may fit the runs of siblings only: nothing is guessed.
        reported = [run.run_id for run in task.flora.runs.values() if f"{run.run_id} (" in str(error)]
        assert reported
        assert {run.run_id for run in task.runs if f"Key {run.key}," in str(error)} <= set(reported)
        assert re.search(r"Key airflow-[0-9a-f]{32}-g[0-9]+,", str(error))
    else:
        assert isinstance(error, FloraStatusError)
        assert error.replayed, "nothing else is left to go wrong in a quiet try"


@half_as_many
@given(st.sampled_from(IDEMPOTENT), st.booleans(), behaviors, hidden, histories)
def test_intended_run_is_paid_once_and_is_its_tasks_own_whatever_happens(mode, ledger, behaviors, hidden_for, taken):
    history = History(mode, ledger, behaviors, hidden_for)
    history.apply(taken)
    for task, end in history.ends():
        assert len(billed(task)) <= 1
        assert "LLM_REFUSAL" not in [run.behavior for run in task.runs[:-1]], (
            "no run follows one that no retry can cure"
        )
        if isinstance(end, str):
            event("ends with a run")
            assert end in {run.run_id for run in task.runs}
            assert not billed(task) or billed(task) == [end]
        else:
            event(f"ends with {type(end).__name__}")
            check_error(task, end)


@half_as_many
@given(st.sampled_from(("replay", "current_state")), st.booleans(), behaviors, hidden, histories)
def test_no_outcome_is_unknown_where_flora_says_which_run_a_key_started(mode, ledger, behaviors, hidden_for, taken):
    history = History(mode, ledger, behaviors, hidden_for)
    history.apply([(who, step) for who, step in taken if step != KEY_WINDOW])
    for _, end in history.ends():
        assert isinstance(end, str | RunFailed)


@half_as_many
@given(behaviors, hidden, histories)
def test_ledger_prevents_all_but_lost_answers_where_flora_ignores_keys(behaviors, hidden_for, taken):
    history = History("none", ledger=True, behaviors=behaviors, hidden_for=hidden_for)
    history.apply(taken)
    for task, end in history.ends():
        assert len(billed(task)) <= 1 or set(task.keys) & history.lost_keys
        if isinstance(end, str):
            assert end in {run.run_id for run in task.runs}


@half_as_many
@given(st.sampled_from(IDEMPOTENT), st.booleans(), behaviors, histories)
# A request that never arrives, and a sibling's answer that is lost: hours later its run fits both.
@example(
    "duplicate_409",
    True,
    [],
    [(1, (None, ["broken"] * 2)), (0, (None, ["lost"] * 2)), (0, KEY_WINDOW), (1, (None, []))],
)
def test_adopting_takes_no_run_of_a_sibling(mode, ledger, behaviors, taken):
    history = History(mode, ledger, behaviors, on_unknown="adopt")
    history.apply(taken)
    history.ends()
    assert history.stolen == []


@half_as_many
@given(st.sampled_from(MODES), st.booleans(), histories)
def test_clear_is_a_new_run(mode, ledger, taken):
    history = History(mode, ledger)
    history.apply(taken)
    for task in history.tasks:
        known = set(history.flora.runs)
        task.began = history.flora.now  # Airflow starts a finished DAG run anew when a task of it is cleared
        task.clear()
        again = history.attempt(task)
        assert again in history.flora.runs
        assert again not in known
