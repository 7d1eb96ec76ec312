"""A run of `POST /techniques/{technique}/runs` is polled where that route shows it, in every way of waiting."""

import pytest

from flora_provider.api import calls
from flora_provider.api.errors import FloraInputError, FloraNotFoundError
from flora_provider.hooks.flora import FloraHook
from tests.support import triggers


@pytest.fixture
def technique(flora):
    with FloraHook() as hook:
        return next(hook.iter_techniques())


@pytest.fixture
def run_id(flora, technique):
    """A nested run that FLORA has just accepted; `GET /runs` does not show it."""
    flora.sandbox.settings.speed = 5  # else it may be done before a task on a busy machine defers
    inputs = [{"id": slot.id, "type": slot.type, "value": "https://media.flora.ai/a.png"} for slot in technique.inputs]
    inputs = [{**row, "value": "a fern"} if row["type"] == "text" else row for row in inputs]
    with FloraHook() as hook:
        run_id = hook.client().send(calls.start_technique(technique.technique_id, inputs=inputs).with_key("k")).run_id
        with pytest.raises(FloraNotFoundError):
            hook.get_run(run_id)
    return run_id


def test_trigger_awaits_a_nested_technique_run(flora, technique, run_id):
    event = triggers.run_within(triggers.wait_for(run_id, technique=technique.technique_id))
    assert (event.run_id, event.technique) == (run_id, technique.technique_id)
    assert event.result()["status"] == "completed"


@pytest.mark.parametrize("deferrable", [True, False])
def test_sensor_awaits_a_nested_technique_run(run_id, technique, wait_for, one_task, deferrable):
    task = one_task(wait_for(run_id, technique=technique.technique_id, deferrable=deferrable))
    assert task.run()["run_id"] == run_id
    assert len(task.deferrals) == deferrable


def test_sensor_refuses_a_technique_that_is_none_at_parse_time(wait_for):
    with pytest.raises(FloraInputError, match="technique is 'a/b'"):
        wait_for("run_1", technique="a/b")
