"""Which sensors need no worker before their wait: whose run id the triggerer can have, and that want nothing else."""

import pendulum
import pytest


def sensor(run_id="run_1", **kwargs):
    from flora_provider.sensors.flora import FloraRunSensor

    return FloraRunSensor(task_id="finished", run_id=run_id, **kwargs)


@pytest.fixture
def airflow_3_3():
    from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

    return AIRFLOW_V_3_3_PLUS


@pytest.mark.parametrize(
    ("template", "reference"),
    [
        ("{{ ti.xcom_pull('start') }}", ("start", "return_value")),
        ("{{ ti.xcom_pull(task_ids='start') }}", ("start", "return_value")),
        ('{{task_instance.xcom_pull(task_ids = "group.start")}}', ("group.start", "return_value")),
        ("{{ ti.xcom_pull(task_ids='start', key='run_id') }} ", ("start", "run_id")),
        ("{{ ti.xcom_pull(task_ids=['start']) }}", None),
        ("{{ ti.xcom_pull(task_ids='start', map_indexes=1) }}", None),
        ("{{ ti.xcom_pull(task_ids='start')[0] }}", None),
        ("{{ ti.xcom_pull(task_ids='start') }}{{ ds }}", None),
        ("{{ params.run_id }}", None),
        ("{% if ds %}run_1{% endif %}", None),
    ],
)
def test_a_template_that_only_names_an_xcom_is_understood_and_no_other(airflow_3_3, template, reference):
    task = sensor(template)

    if not (airflow_3_3 and reference):
        assert not task.start_from_trigger
        return
    kwargs = task.start_trigger_args.trigger_kwargs
    assert (kwargs["run_id"], kwargs["run_id_from"]) == ("", dict(zip(("task_id", "key"), reference, strict=True)))


def test_a_literal_and_an_upstream_result_are_had_in_the_triggerer(airflow_3_3):
    from airflow.providers.common.compat.sdk import DAG

    from flora_provider.operators.flora import FloraGenerateOperator

    with DAG("dag", schedule=None, start_date=pendulum.datetime(2026, 1, 1)):
        start = FloraGenerateOperator(task_id="start", type="text", prompt="a fern")
        after = sensor(start.output)
    literal = sensor("run_1", do_xcom_push=False).start_trigger_args

    assert after.start_from_trigger == airflow_3_3
    assert after.upstream_task_ids == {"start"}
    if airflow_3_3:
        assert after.start_trigger_args.trigger_kwargs["run_id_from"] == {"task_id": "start", "key": "return_value"}
        assert literal.trigger_kwargs["run_id"] == "run_1"
        assert literal.trigger_kwargs["pushes_result"] is False


@pytest.mark.parametrize(
    "wish",
    [
        {"deferrable": False},
        {"mode": "poke"},
        {"mode": "reschedule"},
        {"execution_timeout": pendulum.duration(minutes=5)},
        {"on_execute_callback": print},
        {"on_success_callback": print},
        {"pre_execute": print},
        {"post_execute": print},
        {"flora_conn_id": "{{ params.connection }}"},
    ],
    ids=str,
)
def test_what_only_a_worker_can_do_keeps_the_worker(wish):
    assert not sensor(**wish).start_from_trigger


def test_an_outlet_keeps_the_worker():
    from airflow.providers.common.compat.sdk import Asset

    assert not sensor(outlets=[Asset("s3://bucket/picture.png")]).start_from_trigger


def test_a_mapped_sensor_starts_in_a_worker():
    from airflow.providers.common.compat.sdk import DAG

    from flora_provider.sensors.flora import FloraRunSensor

    with DAG("dag", schedule=None, start_date=pendulum.datetime(2026, 1, 1)):
        mapped = FloraRunSensor.partial(task_id="finished").expand(run_id=["run_1", "run_2"])

    assert not mapped.start_from_trigger
