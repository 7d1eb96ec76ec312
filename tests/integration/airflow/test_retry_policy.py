"""FLORA's `Retry-After` reaches Airflow's own retry."""

from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG
from pendulum import datetime

from flora_provider.api import errors
from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.tasks.exceptions import as_airflow

retry_policy = pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="Airflow 3.3 brought retry policies")


def decided(error, retry_delay=timedelta(seconds=20)):
    from flora_provider.retry_policies.flora import FloraRetryPolicy

    policy = FloraRetryPolicy.deserialize(FloraRetryPolicy().serialize())
    task = FloraGenerateOperator(
        task_id="a", type="image", prompt="a fern", retries=5, retry_delay=retry_delay, retry_policy=policy
    )
    with pytest.raises(Exception) as caught, as_airflow("task 'a'"):  # noqa: PT011 - whatever a task raises
        raise error
    return task.retry_policy.evaluate(caught.value, 1, 5, {"task": task})


def rate_limited(retry_after):
    return errors.FloraRateLimitError("slow down", status=429, retry_after=retry_after)


def test_retry_policy_waits_as_long_as_flora_asks():
    decision = decided(rate_limited(90))
    assert (decision.action, decision.retry_delay) == (retry_policy.RetryAction.RETRY, timedelta(seconds=90))
    assert decision.reason == "FLORA asks for a pause of 90 s"


@pytest.mark.parametrize(
    "error", [rate_limited(5), rate_limited(None), errors.FloraConnectionError("reset"), ZeroDivisionError()]
)
def test_retry_policy_leaves_all_else_to_the_task(error):
    assert decided(error) == retry_policy.RetryDecision.default()


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
