"""FLORA's codes, and its `Retry-After`, reach Airflow's own retry."""

from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG
from pendulum import datetime

from flora_provider.api import errors
from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.runs.error_codes import advice_for
from flora_provider.sandbox.world.run_behavior import RunBehavior
from flora_provider.tasks.exceptions import as_airflow

retry_policy = pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="Airflow 3.3 brought retry policies")


RETRY, FAIL = retry_policy.RetryAction.RETRY, retry_policy.RetryAction.FAIL


def decided(error, retry_delay=timedelta(seconds=20), try_number=1, max_tries=5, retries=5, **settings):
    from flora_provider.retry_policies.flora import FloraRetryPolicy

    policy = FloraRetryPolicy.deserialize(FloraRetryPolicy(**settings).serialize())
    task = FloraGenerateOperator(
        task_id="a", type="image", prompt="a fern", retries=retries, retry_delay=retry_delay, retry_policy=policy
    )
    with pytest.raises(Exception) as caught, as_airflow("task 'a'"):  # noqa: PT011 - whatever a task raises
        raise error
    return task.retry_policy.evaluate(caught.value, try_number, max_tries, {"task": task})


def rate_limited(retry_after):
    return errors.FloraRateLimitError("slow down", status=429, retry_after=retry_after)


def test_retry_policy_waits_as_long_as_flora_asks():
    decision = decided(rate_limited(90))
    assert (decision.action, decision.retry_delay) == (retry_policy.RetryAction.RETRY, timedelta(seconds=90))
    assert decision.reason == "FLORA asks for a pause of 90 s"


def failed(code, reason=None):
    return errors.RunFailed(run_id="run_1", code=code, reason=reason, advice=advice_for(code, reason))


def unavailable(status=503):
    return errors.FloraServerError("busy", status=status)


@pytest.mark.parametrize(
    "error",
    [
        rate_limited(5),
        unavailable(500),
        errors.FloraAuthenticationError("rotated", status=401),
        errors.FloraConnectionError("reset"),
        ZeroDivisionError(),
    ],
)
def test_retry_policy_leaves_all_else_to_the_task(error):
    assert decided(error) == retry_policy.RetryDecision.default()


@pytest.mark.parametrize("code", ["GENERATION_PROVIDER_TIMEOUT", "model_timeout", "provider_error"])
def test_run_that_its_provider_let_fail_is_replaced_at_once(code):
    decision = decided(failed(code), retry_delay=timedelta(minutes=5))
    assert (decision.action, decision.retry_delay) == (RETRY, timedelta(seconds=1))
    assert code in decision.reason


@pytest.mark.parametrize("error", [failed("GENERATION_QUEUE_TOO_LARGE"), rate_limited(None), unavailable()])
def test_overload_is_left_to_rest_twice_as_long_each_time(error):
    delays = [
        decided(error, try_number=number, overload_delay=timedelta(seconds=90)).retry_delay for number in (1, 2, 3)
    ]
    assert delays == [timedelta(seconds=90), timedelta(seconds=180), timedelta(seconds=360)]
    assert decided(error, try_number=50, max_tries=50, retries=50).retry_delay == timedelta(hours=1)


def test_clear_begins_the_delays_anew():
    assert decided(rate_limited(None), try_number=4, max_tries=8).retry_delay == timedelta(seconds=60)


def test_overload_never_shortens_the_task_s_own_delay():
    assert decided(unavailable(), retry_delay=timedelta(minutes=5)) == retry_policy.RetryDecision.default()


@pytest.mark.parametrize(
    "error",
    [failed("safety_blocked"), failed("provider_error", "refused by the safety system"), errors.FloraInputError("bad")],
)
def test_what_no_retry_can_help_fails_at_once_also_from_a_hook(error):
    from flora_provider.retry_policies.flora import FloraRetryPolicy

    assert FloraRetryPolicy().evaluate(error, 1, 5).action == FAIL


@pytest.mark.parametrize("delay", [0, -1, "1", timedelta(0), float("nan"), None])
def test_delay_that_is_none_is_refused(delay):
    with pytest.raises(errors.FloraInputError, match="FloraRetryPolicy: overload_delay is"):
        decided(ZeroDivisionError(), overload_delay=delay)


def test_stock_policy_of_airflow_matches_a_failed_run_by_its_class():
    rule = retry_policy.RetryRule(exception=errors.RunFailed, retry_delay=timedelta(seconds=7))
    with pytest.raises(errors.RunFailed) as caught, as_airflow("task 'a'"):
        raise failed("provider_error")
    decision = retry_policy.ExceptionRetryPolicy(rules=[rule]).evaluate(caught.value, 1, 5)
    assert (decision.action, decision.retry_delay) == (RETRY, timedelta(seconds=7))


@pytest.mark.parametrize("deferrable", [True, False])
def test_failed_run_reaches_the_policy_from_every_wait(run_dag, flora, deferrable):
    """With the task's own delay of an hour, only the policy lets the second try come at once."""
    from flora_provider.retry_policies.flora import FloraRetryPolicy

    flora.sandbox.settings.speed = 1000
    flora.inject(route="/generate", behavior=RunBehavior(error_code="GENERATION_PROVIDER_TIMEOUT"))
    with DAG("replaced", start_date=datetime(2026, 1, 1), schedule=None) as dag:
        FloraGenerateOperator(
            task_id="picture",
            type="image",
            prompt="a fern",
            wait_for_completion=True,
            deferrable=deferrable,
            poll_interval=0.05,
            retries=1,
            retry_delay=timedelta(hours=1),
            retry_policy=FloraRetryPolicy(),
        )
    (ti,) = run_dag(dag).get_task_instances()
    assert (str(ti.state), ti.try_number) == ("success", 2)
    assert flora.started == 2


def test_retry_policy_is_asked_by_the_task_runner(run_dag, flora):
    """The runner ignores a policy that raises, and logs so; this one decides, and the second try succeeds."""
    from flora_provider.retry_policies.flora import FloraRetryPolicy

    flora.inject(route="/generate", status=429, headers={"retry-after-ms": "200"}, times=1)
    with DAG("asked", start_date=datetime(2026, 1, 1), schedule=None) as dag:
        FloraGenerateOperator(
            task_id="picture",
            type="image",
            prompt="a fern",
            retries=1,
            retry_delay=timedelta(milliseconds=1),
            retry_policy=FloraRetryPolicy(),
        )
    (ti,) = run_dag(dag).get_task_instances()
    assert (str(ti.state), ti.try_number) == ("success", 2)
