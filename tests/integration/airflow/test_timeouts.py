"""Every limit means the same in every mode, and each says what becomes of the run: it goes on, and is billed."""

from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from flora_provider.api.errors import RunTimedOut
from tests.support.airflow_tasks import ENDLESS

SENSOR_MODES = {"deferred": {"deferrable": True}, "poke": {"mode": "poke"}, "reschedule": {"mode": "reschedule"}}
SOFT = [{"soft_fail": True}, {"never_fail": True}]
modes = pytest.mark.parametrize("mode", SENSOR_MODES.values(), ids=SENSOR_MODES)
deferrable = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "in the worker"])


def assert_is_floras_timeout(error, run_id):
    """It says what becomes of the run, and is of FLORA's class, too, unless it skips the task."""
    assert run_id in str(error)
    assert "it goes on and will be billed" in str(error)
    assert "FloraRunSensor(run_id=" in str(error)
    assert isinstance(error, AirflowSkipException) or (isinstance(error, RunTimedOut) and error.run_id == run_id)


def first_poke_is_known(task, monkeypatch):
    """Airflow 3 asks the task instance when a rescheduled sensor first poked; Airflow 2 asks its database."""
    task.ti.get_first_reschedule_date = lambda _context: task.ti.start_date
    try:
        from airflow.sensors import base
    except ImportError:
        return
    monkeypatch.setattr(base, "_orig_start_date", lambda **_: task.ti.start_date, raising=False)


@pytest.fixture
def sensor(flora, wait_for, one_task, monkeypatch):
    def make(run_id, **kwargs):
        task = one_task(wait_for(run_id, **kwargs))
        if kwargs.get("mode") == "reschedule":
            first_poke_is_known(task, monkeypatch)
        return task

    return make


@deferrable
@pytest.mark.parametrize("timeout", [0.2, timedelta(seconds=0.2)])
def test_operators_timeout_is_left_to_its_retries(flora, generate, one_task, deferrable, timeout):
    task = one_task(generate(behavior=ENDLESS, wait_for_completion=True, deferrable=deferrable, timeout=timeout))
    error = task.fails_for_now()
    assert_is_floras_timeout(error, task.xcoms["run_id"])


@deferrable
def test_operators_execution_timeout_is_airflows_own(flora, generate, one_task, deferrable):
    limits = {"timeout": 60, "execution_timeout": timedelta(seconds=0.3)}
    task = one_task(generate(behavior=ENDLESS, wait_for_completion=True, deferrable=deferrable, **limits))
    error = task.fails(AirflowTaskTimeout)
    assert_is_floras_timeout(error, task.xcoms["run_id"])


@modes
@pytest.mark.parametrize("soft", [{}, *SOFT], ids=str)
def test_sensors_timeout_fails_it_for_good_or_skips_a_soft_one(flora, sensor, mode, soft):
    run_id = flora.start(**ENDLESS)
    error = sensor(run_id, timeout=0.2, **mode, **soft).fails(AirflowSkipException if soft else AirflowSensorTimeout)
    assert_is_floras_timeout(error, run_id)


@modes
@pytest.mark.parametrize("soft", SOFT, ids=str)
def test_soft_sensor_is_skipped_when_the_run_failed_and_says_why(flora, sensor, mode, soft):
    run_id = flora.start(error_code="LLM_REFUSAL")
    sensor(run_id, **mode, **soft).fails(AirflowSkipException, match=f"{run_id} failed: LLM_REFUSAL")


@modes
@pytest.mark.parametrize("soft", SOFT, ids=str)
def test_soft_sensor_whose_key_stays_revoked_is_left_to_retries_unless_it_never_fails(
    flora, sensor, mode, soft, monkeypatch
):
    monkeypatch.setattr("flora_provider.runs.tolerance.REFUSED_FOR", 0.3)
    run_id = flora.start(**ENDLESS)
    flora.inject(route="/runs/{run_id}", status=401, skip=1, times=None)
    error = sensor(run_id, **mode, **soft).fails_for_now(match=r"cannot be polled.* FLORA answered 401")
    assert isinstance(error, AirflowSkipException) == ("never_fail" in soft)


@pytest.mark.parametrize("soft", [{}, *SOFT], ids=str)
def test_deferred_sensors_execution_timeout_counts_from_the_tasks_start(flora, sensor, soft):
    run_id = flora.start(**ENDLESS)
    task = sensor(run_id, timeout=60, execution_timeout=timedelta(seconds=0.3), **soft)
    error = task.fails(AirflowSkipException if soft else AirflowTaskTimeout)
    assert_is_floras_timeout(error, run_id)


@pytest.mark.parametrize("soft", [{}, *SOFT], ids=str)
def test_polling_sensors_execution_timeout_says_what_becomes_of_the_run(flora, sensor, soft):
    run_id = flora.start(**ENDLESS)
    task = sensor(run_id, mode="poke", timeout=60, execution_timeout=timedelta(seconds=0.3), **soft)
    task.operator.__class__ = interrupted(task.operator.__class__)
    error = task.fails(AirflowSkipException if soft else AirflowTaskTimeout)
    assert_is_floras_timeout(error, run_id)


def interrupted(kind):
    """A sensor that Airflow's alarm for execution_timeout interrupts while it polls."""

    class Interrupted(kind):
        def poke(self, context):
            raise AirflowTaskTimeout("Timeout")

    return Interrupted


def test_triggerer_gets_a_deadline_and_airflow_a_later_one_for_a_triggerer_that_is_down(flora, sensor):
    task = sensor(flora.start(**ENDLESS), timeout=100)
    deferral = task.defers()

    assert timedelta(seconds=150) < deferral.timeout < timedelta(seconds=200)


def test_operator_without_timeout_is_deferred_without_one(flora, generate, one_task):
    deferral = one_task(generate(behavior=ENDLESS, wait_for_completion=True)).defers()

    assert deferral.timeout is None


@modes
def test_wait_that_times_out_says_how_the_last_poll_failed(flora, sensor, mode):
    run_id = flora.start(**ENDLESS)
    flora.inject(route="/runs/{run_id}", status=503, times=None)
    error = sensor(run_id, timeout=0.2, **mode).fails(AirflowSensorTimeout)
    assert "FLORA answered 503" in str(error)


def test_deferral_that_airflow_ends_by_itself_is_explained(flora, generate, wait_for, one_task, logged):
    for operator in (generate(wait_for_completion=True), wait_for("run_1")):
        task = one_task(operator)
        with pytest.raises(AirflowException, match="Trigger timeout"):
            operator.prepare_for_execution().resume_execution("__fail__", {"error": "Trigger timeout"}, task.context)

    log = logged()
    assert "Airflow ended the wait: Trigger timeout. FLORA run (see XCom run_id) cannot be cancelled" in log
    assert "FLORA run run_1 cannot be cancelled: it goes on and is billed" in log
