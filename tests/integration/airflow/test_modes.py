"""One DAG on a real Airflow with every way of waiting: the same value and XComs each time, and the key nowhere."""

import logging
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import DAG, task
from pendulum import datetime

from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.settings import Settings
from flora_provider.sensors.flora import FloraRunSensor
from tests.support.airflow_features import PRINTS_WHAT_IT_MASKS
from tests.support.airflow_tasks import start_run, state_of

CONNECTION = "flora_modes"
OPERATORS = ["wait_in_worker", "deferred"]
SENSORS = ["sensor_deferred", "sensor_poke", "sensor_reschedule"]


class LogCollector(logging.Handler):
    """Collects all lines, also what httpx logs at DEBUG."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


def make_dag(run_id, seen):
    with DAG("modes", start_date=datetime(2026, 1, 1), schedule=None, params={"folder": "album"}) as dag:
        arguments = {
            "type": "image",
            "prompt": "a fern, {{ params.folder }}",
            "flora_conn_id": CONNECTION,
            "wait_for_completion": True,
            "poll_interval": 0.05,
            "model_params": {"sandbox": {"seconds": 0.1, "no_estimate": True}},
        }
        poll = {"run_id": run_id, "flora_conn_id": CONNECTION, "poll_interval": 0.05, "poke_interval": 0.05}
        started = FloraGenerateOperator(task_id="started", **{**arguments, "wait_for_completion": False})
        waits = [
            FloraGenerateOperator(task_id="wait_in_worker", deferrable=False, **arguments),
            FloraGenerateOperator(task_id="deferred", deferrable=True, **arguments),
            FloraRunSensor(task_id="sensor_deferred", **poll),
            FloraRunSensor(task_id="sensor_poke", mode="poke", **poll),
            FloraRunSensor(task_id="sensor_reschedule", mode="reschedule", **poll),
            FloraRunSensor(task_id="sensor_of_output", **{**poll, "run_id": started.output}),
        ]
        FloraGenerateOperator(task_id="refused", **{**arguments, "model": "no-such-model"})

        @task
        def see(runs, started, params=None):
            seen.update(runs=runs, started=started, params=dict(params))

        see([wait.output for wait in waits], started.output)
    return dag


@pytest.fixture(scope="module")
def ran(run_dag, airflow_db, port, request):
    """The DAG run, what its last task saw, all that was logged or printed, and the sandbox."""
    sandbox = port.sandbox = Sandbox(Settings(speed=20))
    run_id = start_run(port, "a fern, attic")
    seen, log, root = {}, LogCollector(), logging.getLogger()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", port.connection_uri)
        level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(log)
        try:
            dag_run = run_dag(make_dag(run_id, seen), run_conf={"folder": "attic"})
        finally:
            root.removeHandler(log)
            root.setLevel(level)
    # Airflow 3's own loggers print, and do not lead to the root logger.
    printed = request.config.pluginmanager.getplugin("capturemanager").read_global_capture()
    lines = [*log.lines, *"".join(printed).splitlines()]
    tis = {ti.task_id: ti for ti in dag_run.get_task_instances()}
    return SimpleNamespace(tis=tis, seen=seen, lines=lines, sandbox=sandbox, run_id=run_id, db=airflow_db)


def xcoms(ran, task_id):
    ti = ran.tis[task_id]
    keys = ("run_id", "quoted_cost_usd", "charged_cost_usd", "flora_url", "request", "return_value")
    return {key: value for key in keys if (value := ti.xcom_pull(task_ids=task_id, key=key)) is not None}


def test_every_task_ends_as_it_should(ran):
    states = {task_id: state_of(ti) for task_id, ti in ran.tis.items()}
    assert states.pop("refused") == "failed"
    assert set(states.values()) == {"success"}
    assert ran.sandbox.stats()["runs_billed"] == 4  # one of ours, and those of three operators


def test_next_task_gets_the_same_dict_from_every_way_of_waiting(ran):
    assert [type(run) for run in ran.seen["runs"]] == [dict] * 6
    members = [{name: type(value) for name, value in run.items()} for run in ran.seen["runs"]]
    assert all(member == members[0] for member in members)
    assert set(members[0]) == {
        "run_id", "status", "outputs", "charged_cost", "created_at", "started_at", "completed_at",
    }  # fmt: skip
    for run in ran.seen["runs"]:
        (output,) = run["outputs"]
        assert run["status"] == "completed"
        assert type(run["charged_cost"]) is float
        assert output["type"] == "imageUrl"
        assert output["url"].startswith("http://127.0.0.1:")
    assert [run["run_id"] for run in ran.seen["runs"][2:5]] == [ran.run_id] * 3


def test_operator_that_does_not_wait_gives_the_next_task_the_run_id(ran):
    assert ran.seen["started"].startswith("run_")
    assert ran.seen["runs"][5]["run_id"] == ran.seen["started"]


def test_dags_params_and_conf_are_airflows_as_ever(ran):
    assert ran.seen["params"] == {"folder": "attic"}
    assert {run.request.prompt for run in ran.sandbox.state.runs.values()} == {"a fern, attic"}


@pytest.mark.parametrize("task_id", OPERATORS)
def test_operator_that_waits_pushes_the_same_xcoms_in_each_way(ran, task_id):
    pushed = xcoms(ran, task_id)

    assert {key: type(value) for key, value in pushed.items()} == {
        "run_id": str,
        "quoted_cost_usd": float,
        "charged_cost_usd": float,
        "flora_url": str,
        "request": dict,
        "return_value": dict,
    }
    assert pushed["run_id"] == pushed["return_value"]["run_id"]
    assert pushed["charged_cost_usd"] == pushed["return_value"]["charged_cost"]
    assert pushed["flora_url"].endswith(f"/projects/{ran.sandbox.project_id}")


@pytest.mark.parametrize("task_id", SENSORS)
def test_sensor_pushes_the_same_xcoms_in_each_mode(ran, task_id):
    pushed = xcoms(ran, task_id)
    assert set(pushed) == {"charged_cost_usd", "flora_url", "return_value"}
    assert pushed == xcoms(ran, SENSORS[0])


def test_refused_task_says_why_in_its_log(ran):
    assert [line for line in ran.lines if "which FLORA's catalog does not have" in line]


def test_key_is_in_no_line_of_any_log(ran):
    assert [line for line in ran.lines if "send_request_headers" in line]  # httpx's own lines were collected
    with_key = [line for line in ran.lines if ran.sandbox.api_key in line]
    assert not [line for line in with_key if not (PRINTS_WHAT_IT_MASKS and "MaskSecret(value=" in line)]


def test_key_is_in_no_file_of_airflows_home(ran, airflow_home):
    files = [path for path in airflow_home.rglob("*") if path.is_file()]
    assert ran.db in files
    assert not [path for path in files if ran.sandbox.api_key.encode() in path.read_bytes()]


def test_key_is_in_no_row_of_the_metadata_database(ran):
    key = ran.sandbox.api_key
    leaks, rows = set(), 0
    with closing(sqlite3.connect(ran.db)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - the database's own names
                rows += 1
                cells = [cell if isinstance(cell, bytes) else str(cell).encode() for cell in row]
                if any(key.encode() in cell for cell in cells):
                    leaks.add(table)

    assert rows > 50
    assert not leaks


def test_key_is_in_no_error_text(flora, generate, one_task):
    key = flora.sandbox.api_key
    for status in (400, 401, 404, 500):
        flora.inject(route="/generate", status=status, message=f"{key} is not welcome", code=key)
        error = one_task(generate()).fails(Exception, match=f"FLORA answered {status}")
        texts = []
        while error is not None:
            texts.append(repr(error) + str(error))
            error = error.__cause__ or error.__context__
        assert not [text for text in texts if key in text]
