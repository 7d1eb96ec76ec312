"""A task starts nothing whose price passes its `max_cost_usd`."""

from dataclasses import replace

import pytest
from airflow.providers.common.compat.sdk import DAG

from flora_provider.api.errors import FloraInputError
from flora_provider.operators.flora import FloraGenerateOperator, FloraRunActionOperator, FloraRunTechniqueOperator
from tests.support.airflow_tasks import succeeded

# Each kind of operator, and what it costs by the sandbox's catalog.
OPERATORS = {
    "model": (
        lambda **limit: FloraGenerateOperator(
            task_id="made", type="image", prompt="a fern", model="t2i-flux-2-pro", **limit
        ),
        0.04,
    ),
    "technique by id": (
        lambda **limit: FloraRunTechniqueOperator(
            task_id="made", technique="tech_storybrd1", inputs={"instructions": "a fern"}, **limit
        ),
        0.3,
    ),
    "technique by slug": (
        lambda **limit: FloraRunTechniqueOperator(
            task_id="made", technique="jingle", inputs={"brand": "Fern"}, **limit
        ),
        0.15,
    ),
}


@pytest.fixture(params=OPERATORS)
def priced(request):
    return OPERATORS[request.param]


def test_run_within_the_limit_is_started(flora, priced, one_task):
    operator, price = priced
    assert one_task(operator(max_cost_usd=price)).run() == flora.runs[0].run_id


def test_run_that_costs_more_is_refused_for_good_before_anything_is_sent(flora, priced, one_task):
    operator, price = priced
    error = one_task(operator(max_cost_usd=price - 0.001)).fails_for_good(match="nothing was started")
    assert f"costs about {price:g} USD" in str(error)
    assert "task 'made'" in str(error)
    assert flora.started == 0


def test_action_that_costs_nothing_is_started_under_a_limit_of_nothing(flora, one_task):
    action = FloraRunActionOperator(
        task_id="made", action_id="qr-code-generator-browser", inputs="a fern", max_cost_usd=0
    )
    assert one_task(action).run() == flora.runs[0].run_id


@pytest.mark.parametrize("model", [None, "t2t-none"])
def test_generation_whose_price_nobody_knows_is_refused(flora, one_task, model):
    operator = FloraGenerateOperator(
        task_id="made", type="text", prompt="a fern", model=model, validate_params=False, max_cost_usd=1000
    )
    one_task(operator).fails_for_good(match="FLORA's catalog has no price for")
    assert flora.started == 0


def test_catalog_that_is_away_is_left_to_a_retry(flora, priced, one_task):
    for path in ("/models", "/techniques/{technique_id}"):
        flora.inject(route=path, method="GET", status=503, times=2)
    operator, price = priced
    task = one_task(operator(max_cost_usd=price))
    task.fails_for_now(match="could not be read: nothing was started")
    assert flora.started == 0


def test_retry_takes_the_run_that_is_paid_whatever_the_limit_is_now(flora, priced, one_task):
    operator, price = priced
    task = one_task(operator(max_cost_usd=price))
    run_id = task.run()
    task.operator = operator(max_cost_usd=0)
    assert task.retry() == run_id
    assert flora.started == 1


def test_quote_above_the_limit_is_logged(flora, one_task, logged):
    flora.inject(route="/generate", edit={"charged_cost": 0.5})
    operator, price = OPERATORS["model"]
    one_task(operator(max_cost_usd=price)).run()
    assert "FLORA quotes more than max_cost_usd=0.04" in logged()


def test_limit_may_be_a_template(flora, run_dag):
    with DAG("limited", schedule=None, params={"limit": 0.04}) as dag:
        OPERATORS["model"][0](max_cost_usd="{{ params.limit }}")
    assert succeeded(run_dag(dag))
    assert not succeeded(run_dag(dag, run_conf={"limit": 0.03}))
    assert flora.started == 1


@pytest.mark.parametrize("limit", [-1, "much", float("nan"), float("inf"), True])
def test_limit_that_is_no_amount_is_refused_when_the_dag_is_parsed(priced, limit):
    operator, _ = priced
    with pytest.raises(FloraInputError, match=r"max_cost_usd is .*: give an amount in USD, 0 or more"):
        operator(max_cost_usd=limit)


@pytest.mark.parametrize("edit", [{"max_cost_usd": 1}, {"save_outputs_to": "/tmp/elsewhere"}])
def test_edit_of_what_is_not_sent_makes_no_other_request(flora, one_task, edit):
    """Without a ledger a retry derives its key again, from what was written if a template may vary."""
    flora.sandbox.settings = replace(flora.sandbox.settings, idempotency="replay")
    flora.inject(method="POST", delivery="drop", after=True)
    flora.sandbox.settings.speed = 1000

    def operator(**edited):
        return FloraGenerateOperator(
            task_id="made",
            type="image",
            prompt="a fern of {{ ds }}",
            model="t2i-flux-2-pro",
            wait_for_completion=True,
            deferrable=False,
            poll_interval=0.05,
            **edited,
        )

    task = one_task(operator(), store=False)
    task.fails_for_now()
    task.operator = operator(**edit)
    assert task.retry()["run_id"] == flora.runs[0].run_id
    assert flora.started == 1
