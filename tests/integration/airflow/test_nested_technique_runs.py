"""FloraRunSensor waits for a run of `POST /techniques/{technique}/runs`, which only the nested route shows."""

import pytest
from airflow.providers.common.compat.sdk import DAG
from pendulum import datetime

from flora_provider.api import calls
from flora_provider.api.errors import FloraInputError
from flora_provider.hooks.flora import FloraHook
from flora_provider.sensors.flora import FloraRunSensor


@pytest.fixture
def nested(flora):
    """A nested run: its id, and the technique that started it."""
    with FloraHook() as hook:
        technique = next(hook.iter_techniques())
        inputs = [
            {"id": slot.id, "type": slot.type, "value": "https://media.flora.ai/a.png"} for slot in technique.inputs
        ]
        call = calls.start_technique(technique.technique_id, inputs=inputs).with_key("nested")
        return {"run_id": hook.client().send(call).run_id, "technique": technique.technique_id}


@pytest.mark.parametrize("how", [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}], ids=str)
def test_sensor_waits_for_nested_technique_run(run_dag, flora, nested, how):
    with DAG("nested", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        FloraRunSensor(task_id="finished", poll_interval=0.05, poke_interval=0.05, timeout=30, **nested, **how)

    assert run_dag(dag).state == "success"
    requests = flora.sandbox.stats()["requests"]
    assert requests["GET /techniques/{technique_id}/runs/{run_id}"] >= 1
    assert "GET /runs/{run_id}" not in requests


def test_sensor_refuses_technique_that_cannot_be_one():
    with pytest.raises(FloraInputError, match=r"task 'finished': technique is 'CCTV Cam'"):
        FloraRunSensor(task_id="finished", run_id="run_1", technique="CCTV Cam")
