"""`dag.test()` against a sandbox that is not running: no waiting for retries that cannot help."""

from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG
from pendulum import datetime

from flora_provider.operators.flora import FloraGenerateOperator
from tests.support.airflow_tasks import tries
from tests.support.servers import unused_port


@pytest.fixture
def nothing_listens(flora):
    """The connection leads to a port of this machine where nobody listens."""
    flora.connect(host=f"http://127.0.0.1:{unused_port()}/api/v1", port=None)


def test_local_refusal_is_final_in_dag_test(run_dag, nothing_listens, logged):
    with DAG("refused", schedule=None, start_date=datetime(2026, 1, 1), default_args={"retries": 3}) as dag:
        FloraGenerateOperator(task_id="picture", type="image", prompt="a fern")
    assert tries(run_dag(dag)) == {("picture", -1): ("failed", 1)}
    assert "nothing listens there" in logged()


def test_local_refusal_is_left_to_retries_where_a_scheduler_runs_the_task(nothing_listens, one_task, generate):
    one_task(generate()).fails_for_now(match="nothing listens there")


def test_server_error_is_left_to_retries_in_dag_test(run_dag, flora):
    flora.inject(route="/generate", status=503, times=1)
    with DAG("elsewhere", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        FloraGenerateOperator(task_id="picture", type="image", prompt="a fern", retries=1, retry_delay=timedelta(0))
    assert tries(run_dag(dag)) == {("picture", -1): ("success", 2)}
