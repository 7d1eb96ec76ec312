"""Tries, kills, clears and changes of a task in any order: nothing is paid that was not meant."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraError, RunOutcomeUnknown
from tests.support.fake_flora import KEY_WINDOW, RUN_SECONDS, FakeFlora
from tests.support.tasks import ProcessKilled, Task

PROMPTS = ("a fern", "a moss")
steps = st.sampled_from(
    [
        *({}, {}, {"kill_at": 2}, {"kill_at": 4}, {"kill_at": 6}),
        *({"outages": [met]} for met in ("lost", "broken", "unreached", 402, 429, 503)),
        *({"outages": ["", met]} for met in ("lost", "unreached", 403, 429, 503)),
        *PROMPTS,
        *("clear", "clear running", "lower retries and clear", "other cleared"),
        *(RUN_SECONDS, KEY_WINDOW),
    ]
)


class TaskHistory:
    """One task, and what happens to it and its DAG; `asked` are its prompts since it was last cleared."""

    def __init__(self, mode, on_changed, *, waits_in_worker):
        self.flora = FakeFlora(mode)
        self.task = Task(self.flora, on_changed=on_changed)
        self.task.may_run_long = waits_in_worker
        self.on_changed = on_changed
        self.asked = set()

    def apply(self, step):
        if isinstance(step, float):
            self.flora.now += step
        elif isinstance(step, dict):
            self.attempt(**step)
        elif step in PROMPTS:
            self.task.prompt = step
        elif step == "other cleared":
            # Of a task that waits in a worker and was killed, nobody can tell whether it was cleared itself.
            self.task.dag_run_clears += self.failed or not self.task.may_run_long
        else:
            self.clear(step)

    failed = False  # whether the last try ended with an error of its own

    def clear(self, how):
        if how == "clear running" and self.task.may_run_long:
            self.attempt(kill_at=1)  # its try ends without a result
            self.task.clear_running()
        else:
            if how == "lower retries and clear":
                self.task.retries = max(self.task.max_tries - self.task.tries, 0)
            self.task.clear()
        self.asked.clear()

    def attempt(self, *, kill_at=None, outages=None):
        self.asked.add(self.task.prompt)
        self.flora.outages = list(outages or ())
        self.failed = False
        try:
            return self.task.run(kill_at=kill_at).run_id
        except ProcessKilled:
            return None
        except FloraError as error:
            self.failed = True
            return error
        finally:
            self.flora.outages = []


# The first request of a task is not the one that is sent when another task was cleared.
@example("replay", "submit_again", False, [{}, "a moss", {"outages": ["lost"]}, "other cleared", {}])
@given(
    st.sampled_from(["replay", "current_state", "duplicate_409"]),
    st.sampled_from(["fail", "adopt", "submit_again"]),
    st.booleans(),
    st.lists(steps, max_size=9),
)
def test_no_run_is_paid_that_was_not_intended_whatever_changes(mode, on_changed, waits_in_worker, taken):
    history = TaskHistory(mode, on_changed, waits_in_worker=waits_in_worker)
    for step in taken:
        history.apply(step)
    end = history.attempt()
    task = history.task
    billed = [run for run in task.runs if run.is_billed]
    assert len(billed) <= (len(history.asked) if on_changed == "submit_again" else 1)
    if isinstance(end, str):
        assert end in {run.run_id for run in task.runs}
        [body] = {
            post.body
            for post in history.flora.posts
            if dict(post.headers)["Idempotency-Key"] == history.flora.runs[end].key
        }
        if on_changed != "adopt":
            assert json.loads(body)["prompt"] == task.prompt
    else:
        assert isinstance(end, RunOutcomeUnknown), end
