"""A run that moderation has refused fails its task, or is followed by one with another seed (`on_moderated`)."""

import json
from dataclasses import replace

import pytest
from airflow.providers.common.compat.sdk import DAG

from flora_provider.api.errors import FloraInputError, RunFailed
from flora_provider.budget import FloraBudget
from flora_provider.files import read_manifest
from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.world.run_behavior import RunBehavior
from flora_provider.tasks.moderation import SENT
from tests.support.airflow_features import TRIGGERER_ENDS_TASKS
from tests.support.airflow_tasks import Store, revived, succeeded

# Without an estimate a task defers at once.
DONE = RunBehavior(seconds=0.0, no_estimate=True)
REFUSED = replace(DONE, error_code="GENERATION_PROMPT_MODERATED")
HIDDEN = replace(DONE, error_code="GPU_PROVIDER_ERROR", error_message="Blocked by the safety system.")

MEMORIES = {
    "ledger": (True, "duplicate_409"),
    "key alone": (False, "duplicate_409"),
    "key that is repeated": (False, "replay"),
}


@pytest.fixture(params=MEMORIES)
def memory(request, flora):
    """Whether there is a task state store, and what FLORA makes of a key that it knows."""
    store, mode = MEMORIES[request.param]
    flora.sandbox.settings.idempotency = mode
    return {"store": store}


@pytest.fixture(params=[True, False], ids=["deferrable", "in a worker"])
def deferrable(request):
    return request.param


@pytest.fixture
def picture():
    """A task that tries other seeds."""

    def make(**kwargs):
        defaults = {
            "task_id": "picture",
            "type": "image",
            "prompt": "a fern",
            "model": "t2i-flux-2-fast",
            "wait_for_completion": True,
            "poll_interval": 0.05,
            "on_moderated": "new_seed",
        }
        return FloraGenerateOperator(**{**defaults, **kwargs})

    return make


@pytest.fixture
def behave(flora, monkeypatch):
    """What becomes of the runs to come, in their order; a key that is repeated starts none."""
    start_run = flora.sandbox.state.start_run

    def make(*behaviors):
        following = iter(behaviors)
        monkeypatch.setattr(
            flora.sandbox.state,
            "start_run",
            lambda subject, request, behavior, wait=0.0: start_run(subject, request, next(following, behavior), wait),
        )

    return make


def seeds(bodies):
    return [(body.get("params") or {}).get("seed") for body in bodies]


def test_refused_run_is_followed_by_others_with_other_seeds(
    flora, picture, behave, one_task, memory, deferrable, bodies
):
    behave(REFUSED, HIDDEN, DONE)
    task = one_task(picture(deferrable=deferrable, model_params={"seed": 7}), **memory)

    run = task.run()

    first, second, third = (made.run_id for made in flora.runs)
    assert (run["run_id"], run["status"]) == (third, "completed") == (task.xcoms["run_id"], "completed")
    assert (flora.started, flora.billed) == (3, 1)
    assert seeds(bodies)[0] == 7
    assert len(set(seeds(bodies))) == 3
    assert [(one["run_id"], one["seed"], one["code"]) for one in run["moderated"]] == [
        (first, 7, "GENERATION_PROMPT_MODERATED"),
        (second, seeds(bodies)[1], "GPU_PROVIDER_ERROR"),
    ]
    assert task.xcoms["request"]["moderated"] == run["moderated"]
    assert task.xcoms["request"]["model_params"] == {"seed": seeds(bodies)[2]}
    assert len({made.request.idempotency_key for made in flora.runs}) == 3


def test_task_fails_for_good_when_the_allowed_seeds_are_refused(flora, picture, behave, one_task, memory, deferrable):
    behave(*[REFUSED] * 4)
    task = one_task(picture(deferrable=deferrable, moderation_retries=2), **memory)
    error = task.fails_for_good(match="GENERATION_PROMPT_MODERATED")
    assert isinstance(error, RunFailed)
    assert error.run_id == flora.runs[2].run_id
    assert (flora.started, flora.billed) == (3, 0)


def test_default_fails_for_good(flora, picture, behave, one_task, deferrable):
    behave(REFUSED)
    one_task(picture(deferrable=deferrable, on_moderated="fail")).fails_for_good(match="GENERATION_PROMPT_MODERATED")
    assert flora.started == 1


def test_other_failures_are_left_to_retries_and_keep_the_seed(flora, picture, behave, one_task, deferrable, bodies):
    behave(REFUSED, replace(DONE, error_code="SERVER_ERROR"), DONE)
    task = one_task(picture(deferrable=deferrable))
    task.fails(match="SERVER_ERROR")

    run = task.retry()

    assert run["run_id"] == flora.runs[2].run_id
    assert seeds(bodies)[1] == seeds(bodies)[2] != seeds(bodies)[0]
    assert [one["run_id"] for one in run["moderated"]] == [flora.runs[0].run_id]


def test_manifest_names_the_refused_runs(flora, picture, behave, one_task, deferrable, tmp_path):
    behave(REFUSED, DONE)
    task = one_task(picture(deferrable=deferrable, save_outputs_to=str(tmp_path)))
    run = task.run()
    manifest = read_manifest(run["manifest"])
    assert [one.model_dump() for one in manifest.moderated] == run["moderated"]
    assert manifest.seed == manifest.model_params["seed"] != run["moderated"][0]["seed"]


def test_run_that_needs_no_other_seed_says_nothing_of_it(flora, picture, one_task, tmp_path):
    run = one_task(picture(save_outputs_to=str(tmp_path))).run()
    assert "moderated" not in run
    assert read_manifest(run["manifest"]).moderated is None


@pytest.mark.skipif(not TRIGGERER_ENDS_TASKS, reason="a trigger ends no task")
def test_task_with_refused_runs_ends_in_a_worker_which_names_them(flora, picture, behave, one_task):
    behave(REFUSED, DONE)
    task = one_task(picture())
    task.run()
    assert [revived(deferral.trigger).end_from_trigger for deferral in task.deferrals] == [True, False]


def test_budget_reserves_each_run_and_takes_nothing_for_refused_ones(
    flora, picture, behave, one_task, deferrable, tmp_path
):
    budget = FloraBudget("ferns", limit_usd=0.03, store=str(tmp_path))  # three times the price of one run
    behave(REFUSED, REFUSED, DONE)
    run = one_task(picture(deferrable=deferrable, budget=budget)).run()
    assert run["run_id"] == flora.runs[2].run_id


@pytest.mark.parametrize(("params", "is_kept"), [({"seed": 7}, False), ({"aspect_ratio": "1:1"}, True)])
def test_run_in_place_of_a_given_seed_is_not_kept_in_the_build_cache(
    flora, picture, behave, one_task, tmp_path, params, is_kept
):
    behave(REFUSED, DONE, DONE)
    operator = picture(reuse_from=str(tmp_path), model_params=params, retries=2)
    run = one_task(operator).run()
    assert ("files" in run) == is_kept
    assert ("reused_from" in one_task(operator, run_id="manual__2").run()) == is_kept
    assert flora.started == 3 - is_kept


def test_model_without_a_seed_is_refused_before_anything_is_sent(flora, picture, one_task):
    task = one_task(picture(model="t2i-nano-banana-pro"))
    task.fails_for_good(
        match="FLORA's catalog shows no seed of model 't2i-nano-banana-pro': choose one that has a seed"
    )
    one_task(picture(model=None)).fails_for_good(match="none is named: give model an id")
    assert flora.started == 0


def test_catalog_that_is_away_is_left_to_a_retry_before_anything_is_sent(flora, picture, one_task):
    flora.inject(route="/models", method="GET", status=503, times=2)
    task = one_task(picture(validate_params=False))
    task.fails_for_now(match="seed of model t2i-flux-2-fast, could not be read: nothing was started")
    assert flora.started == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"wait_for_completion": False}, "on_moderated needs wait_for_completion=True"),
        ({"on_moderated": "retry"}, "on_moderated is 'retry': use one of fail, new_seed"),
        ({"moderation_retries": 0}, "moderation_retries is 0: give a whole number from 1 to 10"),
        ({"moderation_retries": 11}, "moderation_retries is 11"),
        ({"moderation_retries": True}, "moderation_retries is True"),
    ],
)
def test_arguments_that_cannot_be_right_are_refused_when_the_dag_is_parsed(picture, arguments, problem):
    with pytest.raises(FloraInputError, match=problem):
        picture(**arguments)


class Killed(BaseException):
    """SIGKILL: nothing of the process runs any more."""


class KillingStore(Store):
    """A task state store whose writer dies at one of its writes: just before it, or just after it."""

    def __init__(self, writes):
        super().__init__()
        self._moments = iter(range(writes))

    def moment(self):
        if next(self._moments, None) is None:
            self._moments = iter(range(10**6))
            raise Killed

    def set(self, key, value):
        self.moment()
        super().set(key, value)
        self.moment()


@pytest.mark.parametrize("moment", range(12))
def test_retry_after_a_kill_at_any_write_pays_once_and_repeats_no_seed(
    flora, picture, one_task, behave, bodies, deferrable, moment
):
    flora.sandbox.settings.idempotency = "replay"
    behave(REFUSED, REFUSED, DONE)
    task = one_task(picture(deferrable=deferrable, model_params={"seed": 7}))
    task.store = KillingStore(moment)

    with pytest.raises(Killed):
        task.run()
    run = task.retry()

    assert (flora.started, flora.billed) == (3, 1)
    assert run["run_id"] == flora.runs[2].run_id
    assert len(set(seeds(bodies))) == 3
    assert [one["run_id"] for one in run["moderated"]] == [made.run_id for made in flora.runs[:2]]


@pytest.mark.parametrize("store", [True, False], ids=["ledger", "key alone"])
@pytest.mark.parametrize("after", [True, False], ids=["answer", "request"])
@pytest.mark.parametrize("post", [0, 1, 2])
def test_retry_after_a_message_was_lost_sends_the_same_seed(
    flora, picture, one_task, behave, bodies, deferrable, store, after, post
):
    flora.sandbox.settings.idempotency = "replay"
    behave(REFUSED, REFUSED, DONE)
    flora.inject(Fault("/generate", delivery="drop", after=after, skip=post))
    task = one_task(picture(deferrable=deferrable, model_params={"seed": 7}), store=store)

    task.fails(match="the connection to .* broke")
    run = task.retry()

    assert (flora.started, flora.billed) == (3, 1)
    assert run["run_id"] == flora.runs[2].run_id
    assert len(set(seeds(bodies))) == 3
    assert [one["run_id"] for one in run["moderated"]] == [made.run_id for made in flora.runs[:2]]


def test_memory_of_a_try_that_is_lost_costs_nothing_where_flora_repeats_answers(flora, picture, behave, one_task):
    """Before Airflow 3.3: an XCom keeps what the try has sent."""
    flora.sandbox.settings.idempotency = "replay"
    behave(REFUSED, DONE)
    task = one_task(picture(), store=False)
    deferral = task.defers()
    assert "a fern" not in json.dumps(task.xcoms.pop(SENT))
    run = task.resume(deferral, task.trigger(deferral))
    assert (run["run_id"], flora.started) == (flora.runs[1].run_id, 2)


def test_task_is_followed_in_a_dag_run(flora, picture, behave, run_dag):
    behave(REFUSED, DONE)
    with DAG("moderated", schedule=None) as dag:
        picture()
    assert succeeded(run_dag(dag))
    assert flora.started == 2
