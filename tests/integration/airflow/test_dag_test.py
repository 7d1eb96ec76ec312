"""`dag.test()` against a sandbox that is not running: no waiting for retries that cannot help."""

import socket
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException, AirflowFailException
from pendulum import datetime

from flora_provider.operators.flora import FloraGenerateOperator


@pytest.fixture
def nothing_listens(flora):
    """The connection leads to a port of this machine where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    flora.connect(host=f"http://127.0.0.1:{port}/api/v1", port=None)


def states(dag_run):
    return {
        ti.task_id: (str(getattr(ti.state, "value", ti.state)), ti.try_number) for ti in dag_run.get_task_instances()
    }


def test_a_local_refusal_is_final_in_dag_test(run_dag, nothing_listens, logged):
    with DAG("refused", schedule=None, start_date=datetime(2026, 1, 1), default_args={"retries": 3}) as dag:
        FloraGenerateOperator(task_id="picture", type="image", prompt="a fern")

    assert states(run_dag(dag)) == {"picture": ("failed", 1)}
    assert "nothing listens there" in logged()


def test_a_local_refusal_is_left_to_retries_where_a_scheduler_runs_the_task(nothing_listens, one_task, generate):
    with pytest.raises(AirflowException, match="nothing listens there") as refusal:
        one_task(generate()).run()

    assert not isinstance(refusal.value, AirflowFailException)


def test_another_trouble_is_left_to_retries_in_dag_test(run_dag, flora):
    flora.inject(route="/generate", status=503, times=1)
    with DAG("elsewhere", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        FloraGenerateOperator(task_id="picture", type="image", prompt="a fern", retries=1, retry_delay=timedelta(0))

    assert states(run_dag(dag)) == {"picture": ("success", 2)}
