"""Templates that cannot be rendered: one message when the task executes, before anything is billed."""

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException
from pendulum import datetime

from flora_provider.operators.flora import FloraGenerateOperator
from tests.support.airflow_tasks import mapped_tries

BROKEN = {"prompt": "{{ parms.prompt }}", "idempotency_key": "{{ ds }", "workspace_id": "{{ ds }}"}


def test_fields_that_cannot_be_rendered_are_refused_together_before_any_request(flora, one_task, generate):
    made = generate(**BROKEN, model_params={"seed": "{{ 1 }}", "note": "{{ parms.note }}"})
    message = str(one_task(made).fails_for_good())
    for template in ("'{{ parms.prompt }}'", "'{{ ds }'", "'{{ parms.note }}'"):
        assert f"the template {template} cannot be rendered (" in message
    assert message.count("[task 'picture', connection 'flora_default']") == 1
    assert flora.requests == 0


def test_each_field_is_rendered_or_as_it_was_written(one_task, generate):
    params = {"seed": "{{ 1 }}", "note": "{{ parms.note }}"}
    task = one_task(generate(**BROKEN, model_params=params))
    operator = task.operator.prepare_for_execution()
    operator.render_template_fields(task.context)
    assert {name: getattr(operator, name) for name in BROKEN} == {**BROKEN, "workspace_id": "2026-01-01"}
    assert operator.model_params == params


def test_error_of_a_macro_is_raised_when_the_task_executes_and_left_to_retries(flora, one_task, generate, caplog):
    task = one_task(generate(prompt="{{ 1 // ti.max_tries }}"))
    task.ti.max_tries = 0
    task.fails(ZeroDivisionError)
    assert "Exception rendering" not in caplog.text
    assert flora.requests == 0
    task.ti.max_tries = 1
    task.run()
    assert flora.started == 1


def test_error_of_a_function_is_raised_when_the_task_executes(flora, one_task, generate):
    def prompt(context, jinja_env):
        raise LookupError("no such fern")

    one_task(generate(prompt=prompt)).fails(LookupError, "no such fern")
    assert flora.requests == 0


@pytest.mark.parametrize("value", ["{{ parms.folder }}", "{{ 1 // 0 }}"])
def test_template_that_fails_after_the_wait_is_not_taken_for_its_text(
    flora, one_task, generate, tmp_path, value, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = "{{ '" + str(tmp_path / "out") + "' }}"
    task = one_task(generate(behavior={"seconds": 10}, wait_for_completion=True, save_outputs_to=folder))
    deferral = task.defers()
    event = task.trigger(deferral)
    task.operator.save_outputs_to = value
    resumed = task.operator.prepare_for_execution()
    resumed.render_template_fields(task.context)
    with pytest.raises((AirflowException, ZeroDivisionError)):
        resumed.resume_execution(deferral.method_name, {"event": event}, task.context)
    assert list(tmp_path.iterdir()) == []


def test_mapped_task_whose_template_cannot_be_rendered_bills_nothing(run_dag, flora):
    with DAG("broken", schedule=None, start_date=datetime(2026, 1, 1)) as made:
        FloraGenerateOperator.partial(task_id="picture", type="text").expand(prompt=["{{ parms.prompt }}", "a fern"])
    assert [state for state, _ in mapped_tries(run_dag(made), "picture")] == ["failed", "success"]
    assert flora.billed == 1


@pytest.mark.parametrize("field", ["flora_conn_id", "save_outputs_to", "reuse_from", "max_cost_usd"])
def test_any_field_that_cannot_be_rendered_is_named(flora, one_task, generate, field):
    task = one_task(generate(**{"wait_for_completion": True, field: "{{ parms.x }}"}))
    task.fails_for_good("'{{ parms.x }}' cannot be rendered".replace("{", r"\{"))
    assert flora.requests == 0


def test_sensor_whose_template_cannot_be_rendered_asks_for_nothing(flora, one_task, wait_for):
    one_task(wait_for("{{ parms.run_id }}")).fails_for_good("cannot be rendered")
    assert flora.requests == 0
