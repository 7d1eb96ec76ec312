"""Airflow's own retry, task state store (3.3 and newer, or none) and XComs, as this Airflow really has them."""

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, task
from pendulum import datetime

from flora_provider.operators.flora import FloraGenerateOperator
from tests.support.airflow_tasks import INSTANT, states


def test_retried_task_is_one_run_and_another_tasks_bad_result_is_none(run_dag, flora):
    try:
        from airflow.sdk.execution_time.context import TaskStateStoreAccessor  # noqa: F401
    except ImportError:  # below 3.3 there is no store: FLORA's answer to the same key tells
        flora.sandbox.settings.idempotency = "replay"
    else:
        flora.sandbox.settings.idempotency = "none"
    # The first poll gets 503 until the task's time is over.
    flora.inject(route="/runs/{run_id}", status=503, times=1)
    with DAG("retried", start_date=datetime(2026, 1, 1), schedule=None) as dag:

        @task
        def nothing():
            return ""

        FloraGenerateOperator(
            task_id="picture",
            type="image",
            prompt="a fern",
            model_params={"sandbox": INSTANT},
            wait_for_completion=True,
            timeout=0.001,
            poll_interval=0.001,
            retries=2,
            retry_delay=timedelta(0),
        )
        FloraGenerateOperator(task_id="refused", type="image", prompt=nothing(), retries=2)

    dag_run = run_dag(dag)

    assert states(dag_run) == {"nothing": "success", "picture": "success", "refused": "failed"}
    (picture,) = [ti for ti in dag_run.get_task_instances() if ti.task_id == "picture"]
    assert picture.try_number == 2
    assert picture.xcom_pull(task_ids="picture")["run_id"] == flora.runs[0].run_id
    assert (flora.started, flora.billed) == (1, 1)


def test_run_that_another_task_has_pushed_is_not_adopted(run_dag, flora):
    with DAG("siblings", start_date=datetime(2026, 1, 1), schedule=None) as dag:
        asked = {"prompt": "a fern", "model_params": {"sandbox": INSTANT}, "idempotency_key": "shared"}
        owners = FloraGenerateOperator.partial(task_id="owner", type="image").expand_kwargs([asked])
        adopter = FloraGenerateOperator.partial(task_id="adopter", type="image", on_unknown_outcome="adopt")
        # FLORA says that the key has started a run, and the history shows one: that of the other task.
        owners >> adopter.expand_kwargs([asked])

    dag_run = run_dag(dag)

    assert states(dag_run) == {"owner": "success", "adopter": "failed"}
    assert flora.started == 1
