"""Where nothing went wrong, no line of a log is an error: Airflow 3 logs one for each single XCom that is absent."""

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor
from flora_provider.transfers.object_storage import FloraToObjectStorageOperator
from tests.support.airflow_tasks import INSTANT, succeeded


@pytest.fixture
def errors(logged):
    """The lines of the logs so far that a terminal shows in red."""
    return lambda: [line for line in logged().splitlines() if "[error" in line or " ERROR " in line]


@pytest.fixture
def save(wait_for, tmp_path):
    """A sensor that saves files, which asks what the run was asked for."""
    return lambda run_id, **kwargs: wait_for(run_id, save_outputs_to=str(tmp_path / "saved"), **kwargs)


@pytest.fixture
def mapped_save(tmp_path):
    """The same, mapped over runs."""
    folder = str(tmp_path / "saved")
    return lambda run_ids: FloraRunSensor.partial(
        task_id="finished", poll_interval=0.05, save_outputs_to=folder
    ).expand(run_id=run_ids)


def test_sensor_that_saves_logs_no_error(flora, run_dag, generate, save, errors):
    with DAG("quiet_pair", schedule=None) as dag:
        save(generate().output)
    assert succeeded(run_dag(dag))
    assert errors() == []


def test_sensor_of_a_function_that_starts_runs_logs_no_error(flora, run_dag, save, errors):
    run_id = flora.start()
    with DAG("quiet_function", schedule=None) as dag:

        @task
        def start():
            return run_id

        save(start())
    assert succeeded(run_dag(dag))
    assert errors() == []


def test_mapped_sensor_of_a_mapped_operator_logs_no_error(flora, run_dag, mapped_save, errors):
    with DAG("quiet_mapped", schedule=None) as dag:
        partial = FloraGenerateOperator.partial(task_id="picture", type="image", model_params={"sandbox": INSTANT})
        mapped_save(partial.expand(prompt=["a fern", "a moss"]).output)
    assert succeeded(run_dag(dag))
    assert errors() == []


def test_mapped_sensor_of_a_mapped_function_logs_no_error(flora, run_dag, mapped_save, errors):
    run_ids = [flora.start(), flora.start()]
    with DAG("quiet_mapped_function", schedule=None) as dag:

        @task
        def start(known):
            return known

        mapped_save(start.expand(known=run_ids))
    assert succeeded(run_dag(dag))
    assert errors() == []


def test_transfer_behind_several_tasks_logs_no_error(flora, run_dag, generate, wait_for, tmp_path, errors):
    with DAG("quiet_transfer", schedule=None) as dag:

        @task
        def prepare():
            return "a fern"

        started = generate(prompt=prepare())
        finished = wait_for(started.output)
        FloraToObjectStorageOperator(task_id="save", run=finished.output, destination=str(tmp_path / "saved"))
    assert succeeded(run_dag(dag))
    assert errors() == []


def test_operator_that_waits_and_saves_logs_no_error(flora, run_dag, generate, tmp_path, errors):
    with DAG("quiet_operator", schedule=None) as dag:
        generate(wait_for_completion=True, save_outputs_to=str(tmp_path / "saved"))
    assert succeeded(run_dag(dag))
    assert errors() == []
