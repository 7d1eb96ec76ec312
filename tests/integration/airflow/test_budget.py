"""Tasks of several DAG runs share a budget, and start nothing that might pass it."""

import multiprocessing
import time

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from flora_provider.api.errors import FloraError, FloraInputError
from flora_provider.api.http.flow import FlowContext, Sleep
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.budget import FloraBudget
from flora_provider.budget.account import Account, AddEntry, ListEntries
from flora_provider.budget.entries import newest
from flora_provider.budget.storage import ObjectStore, open_store
from flora_provider.operators.flora import FloraGenerateOperator
from tests.support.airflow_tasks import ENDLESS, succeeded

PRICE = 0.04  # of the model, by the sandbox's catalog


@pytest.fixture
def budget(tmp_path):
    return lambda limit, **options: FloraBudget("campaign", limit, store=tmp_path, **options)


def operator(budget, **options):
    return FloraGenerateOperator(
        task_id="made", type="image", prompt="a fern", model="t2i-flux-2-pro", budget=budget, **options
    )


def entries(folder):
    return list(newest(path.name for path in folder.rglob("*")).values())


def test_run_within_the_budget_is_started_and_settled_to_its_quote(flora, one_task, budget, tmp_path):
    one_task(operator(budget(1, period="month"))).run()
    (entry,) = entries(tmp_path)
    assert entry.is_settled
    assert entry.micro_usd == PRICE * 1e6
    assert flora.started == 1


def test_run_that_might_pass_the_budget_is_refused_before_anything_is_sent(flora, one_task, budget):
    task = one_task(operator(budget(2 * PRICE)))
    task.fails_for_good(match="budget 'campaign' is 0.08 USD.*nothing was started")
    assert flora.started == 0


def test_retry_of_a_paid_run_takes_nothing_more(flora, one_task, budget, tmp_path):
    task = one_task(operator(budget(1), model_params={"sandbox": ENDLESS}))  # one that has ended has a bill
    assert task.run() == task.retry()
    assert [entry.micro_usd for entry in entries(tmp_path)] == [PRICE * 1e6]
    assert flora.started == 1


def test_request_that_flora_refuses_takes_nothing(flora, one_task, budget, tmp_path):
    flora.inject(route="/generate", method="POST", status=402, times=1)
    one_task(operator(budget(1))).fails_for_good()
    assert [entry.micro_usd for entry in entries(tmp_path)] == [0]


def test_run_whose_answer_was_lost_is_reserved_until_a_retry_finds_it(flora, one_task, budget, tmp_path):
    flora.inject(route="/generate", method="POST", delivery="drop", after=True)
    task = one_task(operator(budget(1), on_unknown_outcome="adopt"))
    task.fails_for_now()
    (entry,) = entries(tmp_path)
    assert not entry.is_settled
    assert entry.micro_usd == 3 * PRICE * 1e6


def test_mapped_tasks_share_a_budget(flora, run_dag, budget, tmp_path):
    arguments = {"type": "image", "model": "t2i-flux-2-pro"}
    with DAG("mapped", schedule=None) as dag:
        made = FloraGenerateOperator.partial(task_id="made", budget=budget(1), **arguments)
        made.expand(prompt=["a fern", "a moss"])
    assert succeeded(run_dag(dag))
    assert [entry.micro_usd for entry in entries(tmp_path)] == [PRICE * 1e6] * 2


def test_run_that_an_earlier_try_may_have_paid_is_found_once_a_lowered_limit_allows_it(flora, one_task, budget):
    flora.sandbox.settings.idempotency = "replay"
    flora.inject(route="/generate", method="POST", delivery="drop", after=True)
    task = one_task(operator(budget(1)))
    task.fails_for_now()
    task.operator.budget = budget(0.01)
    error = task.retry_fails(match="may have started the run, which a retry finds once the budget allows")
    assert not isinstance(error, AirflowFailException)
    task.operator.budget = budget(1)
    assert task.retry() == flora.runs[0].run_id
    assert flora.started == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a/b"},
        {"limit_usd": -1},
        {"limit_usd": "50"},
        {"period": "year"},
        {"store": ""},
        {"store": "s3:/bucket"},
    ],
    ids=str,
)
def test_budget_that_cannot_be_right_is_refused_when_the_dag_is_parsed(wrong):
    with pytest.raises(FloraInputError, match=f"budget: {next(iter(wrong))} is"):
        FloraBudget(**{"name": "campaign", "limit_usd": 1, "store": "/tmp/budgets"} | wrong)


def test_something_else_is_no_budget():
    with pytest.raises(FloraInputError, match="budget is 5: give a FloraBudget"):
        operator(5)


def test_object_storage_keeps_entries(tmp_path):
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    store = ObjectStore(ObjectStoragePath(f"file://{tmp_path}"))
    assert store.names(ListEntries("campaign/total")) == []
    store.add(AddEntry("campaign/total", "one"))
    assert store.names(ListEntries("campaign/total")) == ["one"]


def _start_some(budget, number, barrier, started):
    """Start runs until the budget is used up, as one of many processes; each costs between a third and three prices."""

    def price(_context):
        return "model fern", 0.1
        yield

    store, one = open_store(budget.store), Account(budget, price)
    context = FlowContext(RetryPolicy(max_retries=0), time.time, lambda: (number % 7) / 7, time.monotonic)
    handlers = {ListEntries: store.names, AddEntry: store.add, Sleep: lambda sleep: time.sleep(sleep.seconds / 20)}

    def run(flow):
        value = None
        try:
            while True:
                effect = flow.send(value)
                value = handlers[type(effect)](effect)
        except StopIteration:
            pass

    barrier.wait()
    for attempt in range(10):
        key, quote = f"{number} {attempt}", 0.1 * (1 / 3, 1, 3)[(number + attempt) % 3]
        try:
            run(one.reserve(context, key, 0.0))
        except FloraError:
            continue
        run(one.settle(key, 0.0, quote))
        started.put(quote)
    started.put(None)


def test_twenty_processes_at_once_never_pass_the_budget_and_use_it(budget, tmp_path):
    processes, limit = 20, 5.0
    spawn = multiprocessing.get_context("fork")
    barrier, started = spawn.Barrier(processes), spawn.Queue()
    children = [
        spawn.Process(target=_start_some, args=(budget(limit), number, barrier, started)) for number in range(processes)
    ]
    for child in children:
        child.start()
    quotes, ended = [], 0
    while ended < processes:
        quote = started.get(timeout=60)
        ended += quote is None
        quotes += [] if quote is None else [quote]
    for child in children:
        child.join(timeout=60)
        assert child.exitcode == 0
    taken = sum(entry.micro_usd for entry in entries(tmp_path)) / 1e6
    assert taken == pytest.approx(sum(quotes), abs=1e-3)  # no update was lost
    assert limit - 0.3 - 0.01 < sum(quotes) <= limit
