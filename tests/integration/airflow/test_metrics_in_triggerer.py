"""What is counted where Airflow 3.3 ends a task in the triggerer, without a worker."""

import pytest
from airflow.sdk.execution_time import task_runner

from flora_provider.runs.event import RunEvent
from flora_provider.triggers import flora as module
from tests.support.triggerer_wire import Supervisor, event_of, in_triggerer, succeeds_in_triggerer
from tests.support.triggers import trigger_for


@pytest.fixture
def supervisor(monkeypatch):
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    monkeypatch.setattr(module, "MIN_DEFERRAL", 0.1)
    return supervisor


def ending_trigger(run_id):
    return in_triggerer(trigger_for(run_id, end_from_trigger=True))


def test_task_that_ends_in_the_triggerer_is_counted_there(flora, supervisor, statsd):
    run_id = flora.start(seconds=0.5)
    asked = flora.requests
    assert succeeds_in_triggerer(ending_trigger(run_id))
    billed = round(flora.sandbox.stats()["usd_billed"], 6)
    assert statsd.counters() == {"flora.requests": flora.requests - asked, "flora.cost_usd": billed}
    assert statsd.timings("flora.wait_seconds") == [pytest.approx(500, abs=20)]


@pytest.mark.parametrize("error_code", [None, "provider_error"], ids=["push fails", "run fails"])
def test_task_that_a_worker_is_asked_to_end_is_not_counted_in_the_triggerer(flora, supervisor, statsd, error_code):
    supervisor.xcom_errors = [RuntimeError("no api-server")]
    run_id = flora.start(error_code=error_code)
    asked = flora.requests
    event = event_of(ending_trigger(run_id))
    assert isinstance(event, RunEvent)
    assert statsd.counters() == {"flora.requests": flora.requests - asked}
    assert not statsd.timings("flora.wait_seconds")
