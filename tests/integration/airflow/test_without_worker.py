"""Which sensors need no worker before their wait: whose run id the triggerer can have, and that want nothing else."""

import json
from functools import partialmethod

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG, Asset, BaseOperatorLink, task, task_group

from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor
from tests.support.airflow_features import TRIGGERER_ENDS_TASKS
from tests.support.airflow_tasks import ENDLESS


def sensor(run_id="run_1", **kwargs):
    return FloraRunSensor(task_id="finished", run_id=run_id, **kwargs)


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
def test_template_that_only_names_an_xcom_is_understood_and_no_other(template, reference):
    task = sensor(template)
    if not (TRIGGERER_ENDS_TASKS and reference):
        assert not task.start_from_trigger
        return
    kwargs = task.start_trigger_args.trigger_kwargs
    assert (kwargs["run_id"], kwargs["run_id_from"]) == ("", dict(zip(("task_id", "key"), reference, strict=True)))


def test_literal_and_an_upstream_result_are_had_in_the_triggerer():
    with DAG("dag", schedule=None, start_date=pendulum.datetime(2026, 1, 1)):
        start = FloraGenerateOperator(task_id="start", type="text", prompt="a fern")
        after = sensor(start.output)
    literal = sensor("run_1", do_xcom_push=False).start_trigger_args

    assert after.start_from_trigger == TRIGGERER_ENDS_TASKS
    assert after.upstream_task_ids == {"start"}
    if TRIGGERER_ENDS_TASKS:
        assert after.start_trigger_args.trigger_kwargs["run_id_from"] == {"task_id": "start", "key": "return_value"}
        assert literal.trigger_kwargs["run_id"] == "run_1"
        assert literal.trigger_kwargs["do_xcom_push"] is False


def serialized(dag):
    """What the scheduler sees of a DAG's tasks."""
    try:
        from airflow.serialization.serialized_objects import DagSerialization as Serialization
    except ImportError:  # Airflow 2
        from airflow.serialization.serialized_objects import SerializedDAG as Serialization

    return Serialization.from_dict(json.loads(json.dumps(Serialization.to_dict(dag))))


def new_dag():
    return DAG("dag", schedule=None, start_date=pendulum.datetime(2026, 1, 1))


def asset():
    return Asset("s3://bucket/picture.png")


FOR_WORKERS_FROM_THE_START = {
    "deferrable": False,
    "mode": "reschedule",
    "execution_timeout": pendulum.duration(minutes=5),
    "on_execute_callback": print,
    "pre_execute": print,
    "flora_conn_id": "{{ params.connection }}",
    "inlets": [asset()],
    "pool": "small",
    "pool_slots": 2,
    "max_active_tis_per_dag": 1,
    "max_active_tis_per_dagrun": 1,
    "queue": "elsewhere",
}
FOR_WORKERS_AT_THE_END = {
    "on_success_callback": print,
    "post_execute": print,
    "outlets": [asset()],
    "multiple_outputs": True,
    "map_index_template": "{{ task.run_id }}",
}
ATTRIBUTES_FOR_WORKERS_AT_THE_END = {
    "multiple_outputs": True,
    "outlets": [asset()],
    "returns_dag_result": True,
    "overwrite_rtif_after_execution": True,
}


def test_plain_sensor_reaches_the_scheduler_as_one_that_starts_in_the_triggerer():
    with new_dag() as dag:
        sensor()

    task = serialized(dag).get_task("finished")

    assert task.start_from_trigger == TRIGGERER_ENDS_TASKS
    if TRIGGERER_ENDS_TASKS:
        from airflow.serialization.serialized_objects import BaseSerialization

        assert BaseSerialization.deserialize(task.start_trigger_args.trigger_kwargs)["end_from_trigger"] is True


@pytest.mark.parametrize("name", [*FOR_WORKERS_FROM_THE_START, *FOR_WORKERS_AT_THE_END])
def test_sensor_that_asks_for_what_only_a_worker_does_reaches_the_scheduler_without_a_trigger(name):
    with new_dag() as dag:
        sensor(**{name: {**FOR_WORKERS_FROM_THE_START, **FOR_WORKERS_AT_THE_END}[name]})
    task = serialized(dag).get_task("finished")
    assert not task.start_from_trigger
    assert task.start_trigger_args is None


LATER = {"pool": "small", "max_active_tis_per_dagrun": 1, "queue": "elsewhere", **ATTRIBUTES_FOR_WORKERS_AT_THE_END}


@pytest.mark.parametrize("name", LATER)
def test_sensor_that_a_policy_changes_after_it_was_made_keeps_the_worker(name):
    """As `task_policy` of a cluster does, or the rest of the DAG file."""
    with new_dag() as dag:
        task = sensor()
    setattr(task, name, LATER[name])
    assert not serialized(dag).get_task("finished").start_from_trigger


@task
def use(member):
    pass


@task_group
def use_in_group(member):
    use(member)


class OwnSensor(FloraRunSensor):
    def pre_execute(self, context):
        pass


def mapped_sensor():
    mapped = FloraRunSensor.partial(task_id="finished").expand(run_id=["run_1", "run_2"])
    assert not mapped.start_from_trigger


KEEPING_WORKER = {
    "mapped over": lambda: use.expand(member=sensor().output),
    "mapped over by a group": lambda: use_in_group.expand(member=sensor().output),
    "of a subclass": lambda: OwnSensor(task_id="finished", run_id="run_1"),
    "switched off": lambda: setattr(sensor(), "start_from_trigger", False),
    "mapped": mapped_sensor,
}


@pytest.mark.parametrize("make", KEEPING_WORKER.values(), ids=KEEPING_WORKER)
def test_sensor_starts_in_a_worker(make):
    with new_dag() as dag:
        make()
    assert not serialized(dag).get_task("finished").start_from_trigger


def test_sensor_before_a_mapped_task_that_is_not_mapped_over_it_needs_no_worker():
    with new_dag() as dag:
        sensor() >> use.expand(member=[1, 2])
    assert serialized(dag).get_task("finished").start_from_trigger == TRIGGERER_ENDS_TASKS


def ends_in_triggerer(flora, one_task, task):
    """What a worker asks of the triggerer when it defers."""
    deferral = one_task(task).defers()
    return deferral.trigger.serialize()[1]["end_from_trigger"]


@pytest.fixture(params=["sensor", "operator"])
def deferring(request, flora, wait_for, generate):
    """A task of either kind that defers."""
    if request.param == "sensor":
        return lambda **kwargs: wait_for(flora.start(**ENDLESS), **kwargs)
    return lambda **kwargs: generate(behavior=ENDLESS, wait_for_completion=True, **kwargs)


def test_plain_task_is_ended_in_the_triggerer(flora, one_task, deferring):
    with new_dag():
        task = deferring()
    assert ends_in_triggerer(flora, one_task, task) == TRIGGERER_ENDS_TASKS


@pytest.mark.parametrize("name", FOR_WORKERS_AT_THE_END)
def test_task_that_asks_for_what_only_a_worker_does_is_ended_by_one(flora, one_task, deferring, name):
    with new_dag():
        task = deferring(**{name: FOR_WORKERS_AT_THE_END[name]})
    assert not ends_in_triggerer(flora, one_task, task)


def own_class(*methods):
    """Give a task a class of its own, which overrides these methods."""

    def change(task):
        kind = type(task)
        task.__class__ = type("Own", (kind,), {name: partialmethod(getattr(kind, name)) for name in methods})

    return change


class OwnLink(BaseOperatorLink):
    """A worker asks each link for its address when the task has ended, and pushes it."""

    name = "own"

    def get_link(self, operator, *, ti_key):
        return ""


def add_link(task):
    task.operator_extra_links = (*task.operator_extra_links, OwnLink())


METHODS = ["execute_complete", "resume_execution", "post_execute", "prepare_for_execution"]
CHANGES = {
    **{name: lambda task, name=name, value=value: setattr(task, name, value)
       for name, value in ATTRIBUTES_FOR_WORKERS_AT_THE_END.items()},
    **{f"own {name}": own_class(name) for name in METHODS},
    "own link": add_link,
    "mapped over": lambda task: use.expand(member=task.output),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_task_that_was_changed_to_need_a_worker_is_ended_by_one(flora, one_task, deferring, change):
    with new_dag():
        task = deferring()
        change(task)
    assert not ends_in_triggerer(flora, one_task, task)


def test_task_of_a_class_without_methods_of_its_own_is_ended_in_the_triggerer(flora, one_task, deferring):
    with new_dag():
        task = deferring()
    own_class()(task)
    assert ends_in_triggerer(flora, one_task, task) == TRIGGERER_ENDS_TASKS
