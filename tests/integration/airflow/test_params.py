"""`model_params` are FLORA's, `params` are Airflow's; neither may end up in the other's place, or be lost."""

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskGroup, task
from pendulum import datetime

from flora_provider.api.errors import FloraInputError
from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor
from tests.support.airflow_tasks import mapped_tries, state_of

COMMON = {"type": "image", "validate_params": False}  # no model has some of these
MEANT = r"params holds .*seed.* which the DAG does not declare.*`model_params`"


@pytest.fixture
def dag():
    return DAG("own_params", start_date=datetime(2026, 1, 1), schedule=None, params={"folder": "album", "seed": 1})


@pytest.fixture
def bare_dag():
    return DAG("no_params", start_date=datetime(2026, 1, 1), schedule=None)


def test_model_params_reach_flora_however_they_are_given_and_the_dags_params_never_do(run_dag, dag, bodies):
    with dag:

        @task
        def rows():
            return [{"prompt": "from a task", "model_params": {"seed": 7}}, {"prompt": "from a task, bare"}]

        FloraGenerateOperator(task_id="bare", prompt="bare", **COMMON)
        FloraGenerateOperator(task_id="plain", prompt="plain", model_params={"seed": "{{ params.seed }}"}, **COMMON)
        FloraGenerateOperator.partial(task_id="mapped", **COMMON).expand(prompt=["mapped"])
        FloraGenerateOperator.partial(task_id="partial", model_params={"seed": 1}, **COMMON).expand(prompt=["partial"])
        FloraGenerateOperator.partial(task_id="expand", prompt="{{ ti.map_index }}", **COMMON).expand(
            model_params=[{"seed": 1}, {"steps": 20}]
        )
        FloraGenerateOperator.partial(task_id="literal_rows", **COMMON).expand_kwargs(
            [{"prompt": "row", "model_params": {"folder": "mine"}}, {"prompt": "bare row"}]
        )
        FloraGenerateOperator.partial(task_id="from_task", **COMMON).expand_kwargs(rows())

    assert state_of(run_dag(dag, run_conf={"seed": 2})) == "success"

    assert {body["prompt"]: body.get("params") for body in bodies} == {
        "bare": None,
        "plain": {"seed": "2"},
        "mapped": None,
        "partial": {"seed": 1},
        "0": {"seed": 1},
        "1": {"steps": 20},
        "row": {"folder": "mine"},
        "bare row": None,
        "from a task": {"seed": 7},
        "from a task, bare": None,
    }


def test_params_that_the_dag_declares_are_airflows(dag):
    with dag:
        picture = FloraGenerateOperator(task_id="picture", prompt="{{ params.seed }}", params={"seed": 3}, **COMMON)
        FloraGenerateOperator.partial(task_id="mapped", params={"seed": 3}, **COMMON).expand(prompt=["a fern"])
        poster = Poster(task_id="poster", prompt="a fern", model_params={"seed": 7})
    assert (dict(picture.params), picture.model_params) == ({"folder": "album", "seed": 3}, None)
    assert (dict(poster.params), poster.model_params) == ({"folder": "album", "seed": 1}, {"seed": 7})


class Poster(FloraGenerateOperator):
    def __init__(self, **kwargs):
        super().__init__(type="image", **kwargs)


SEED = {"params": {"seed": 7}}
UNDECLARED = {
    "task": lambda: FloraGenerateOperator(task_id="picture", prompt="a fern", **SEED, **COMMON),
    "default_args of the task": lambda: FloraGenerateOperator(
        task_id="picture", prompt="a fern", default_args=SEED, **COMMON
    ),
    "subclass": lambda: Poster(task_id="poster", prompt="a fern", **SEED),
    "partial": lambda: FloraGenerateOperator.partial(task_id="picture", **SEED, **COMMON).expand(prompt=["a fern"]),
    "partial of a subclass": lambda: Poster.partial(task_id="poster", **SEED).expand(prompt=["a fern"]),
    "default_args of partial": lambda: FloraGenerateOperator.partial(
        task_id="picture", default_args=SEED, **COMMON
    ).expand(prompt=["a fern"]),
    "expand": lambda: FloraGenerateOperator.partial(task_id="picture", prompt="a fern", **COMMON).expand(
        params=[{}, {"seed": 7}]
    ),
    "expand_kwargs": lambda: FloraGenerateOperator.partial(task_id="picture", **COMMON).expand_kwargs(
        [{"prompt": "a fern", **SEED}]
    ),
}


@pytest.mark.parametrize("way", UNDECLARED)
def test_params_that_the_dag_does_not_declare_are_refused_with_the_name_that_was_meant(bare_dag, way):
    with bare_dag, pytest.raises(FloraInputError, match=rf"task 'p\w+': {MEANT}"):
        UNDECLARED[way]()


def test_params_in_the_default_args_of_a_task_group_are_refused(bare_dag):
    with (
        bare_dag,
        TaskGroup("group", default_args={"params": {"seed": 7}}),
        pytest.raises(FloraInputError, match=MEANT),
    ):
        FloraGenerateOperator(task_id="picture", prompt="a fern", **COMMON)


def test_params_in_rows_of_another_task_fail_for_good_before_anything_is_sent(run_dag, bare_dag, bodies):
    with bare_dag:

        @task
        def rows():
            return [{"prompt": "a fern", "params": {"seed": 7}}]

        FloraGenerateOperator.partial(task_id="picture", retries=2, **COMMON).expand_kwargs(rows())

    assert mapped_tries(run_dag(bare_dag), "picture") == [("failed", 1)]
    assert bodies == []


DEFAULTS = {"type": "image", "model": "t2i-flux-2-pro", "model_params": {"seed": 1}, "poll_interval": 7.0}


def test_default_args_count_as_if_written_at_the_task(run_dag, bare_dag, bodies):
    bare_dag.default_args = DEFAULTS
    with bare_dag:
        alone = FloraGenerateOperator(task_id="alone", prompt="alone")
        poster = Poster(task_id="poster", prompt="poster")
        FloraGenerateOperator.partial(task_id="mapped").expand(prompt=["mapped"])
    with DAG("own_defaults", start_date=datetime(2026, 1, 1), schedule=None) as own:
        FloraGenerateOperator(task_id="alone", prompt="own", default_args=DEFAULTS)
        FloraGenerateOperator.partial(task_id="mapped", default_args=DEFAULTS).expand(prompt=["own, mapped"])

    assert [run_dag(dag).state for dag in (bare_dag, own)] == ["success", "success"]

    assert alone.poll_interval == poster.poll_interval == 7.0
    sent = {body["prompt"]: (body["type"], body["model"], body["params"]) for body in bodies}
    assert sent == dict.fromkeys(
        ("alone", "poster", "mapped", "own", "own, mapped"), ("image", "t2i-flux-2-pro", {"seed": 1})
    )


@pytest.mark.parametrize("level", ["dag", "task group", "task", "default_args of the task"])
def test_mode_makes_a_sensor_not_deferrable_wherever_it_is_written(level):
    mode = {"mode": "reschedule"}
    dag_defaults = mode if level == "dag" else {}
    group_defaults = mode if level == "task group" else {}
    own = {"task": mode, "default_args of the task": {"default_args": mode}}.get(level, {})
    with DAG("modes", schedule=None, default_args=dag_defaults), TaskGroup("group", default_args=group_defaults):
        sensor = FloraRunSensor(task_id="finished", run_id="run_1", **own)
        deferred = FloraRunSensor(task_id="deferred", run_id="run_1", deferrable=True, **own)

    assert (sensor.mode, sensor.deferrable) == ("reschedule", False)
    assert deferred.deferrable is True
