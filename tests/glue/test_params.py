"""FLORA's `params` and Airflow's params have one name; neither may end up in the other's place."""

import json

import pytest
from pendulum import datetime

from flora_provider.api.errors import FloraInputError
from flora_provider.operators.flora import FloraGenerateOperator


@pytest.fixture
def sent(flora, monkeypatch):
    """The `params` of every `POST /generate` that arrived, by prompt, and the DAG's params as the task saw them."""
    bodies = {}
    answer = flora.sandbox.answer

    def listen(request):
        if request.url.path.endswith("/generate"):
            body = json.loads(request.content)
            bodies[body["prompt"]] = body.get("params")
        return answer(request)

    monkeypatch.setattr(flora.sandbox, "answer", listen)
    return bodies


@pytest.fixture
def dag():
    from airflow.providers.common.compat.sdk import DAG

    return DAG("own_params", start_date=datetime(2026, 1, 1), schedule=None, params={"folder": "album", "seed": 1})


def succeeded(dag_run):
    return str(getattr(dag_run.state, "value", dag_run.state)) == "success"


def test_each_way_of_giving_params_reaches_flora_and_the_dags_own_never_do(run_dag, dag, sent):
    from airflow.providers.common.compat.sdk import task

    with dag:

        @task
        def rows():
            return [{"prompt": "from a task", "params": {"seed": "{{ params.seed }}"}}, {"prompt": "from a task, bare"}]

        common = {"type": "image"}
        FloraGenerateOperator(task_id="bare", prompt="bare", **common)
        FloraGenerateOperator(task_id="plain", prompt="plain", params={"seed": "{{ params.seed }}"}, **common)
        FloraGenerateOperator.partial(task_id="mapped", **common).expand(prompt=["mapped"])
        FloraGenerateOperator.partial(task_id="partial", params={"seed": 1}, **common).expand(prompt=["partial"])
        FloraGenerateOperator.partial(task_id="expand", prompt="{{ ti.map_index }}", **common).expand(
            params=[{"seed": 1}, {"steps": 20}]
        )
        FloraGenerateOperator.partial(task_id="literal_rows", **common).expand_kwargs(
            [{"prompt": "row", "params": {"folder": "mine"}}, {"prompt": "bare row"}]
        )
        FloraGenerateOperator.partial(task_id="from_task", **common).expand_kwargs(rows())

    assert succeeded(run_dag(dag, run_conf={"seed": 2}))

    assert sent == {
        "bare": None,
        "plain": {"seed": "2"},
        "mapped": None,
        "partial": {"seed": 1},
        "0": {"seed": 1},
        "1": {"steps": 20},
        "row": {"folder": "mine"},
        "bare row": None,
        "from a task": {"seed": "2"},
        "from a task, bare": None,
    }


def test_a_literal_that_is_no_dict_is_refused_when_the_dag_is_parsed():
    with pytest.raises(FloraInputError, match=r"task 'picture'.*params is 'fast'.*give a dict"):
        FloraGenerateOperator(task_id="picture", type="image", prompt="a fern", params="fast")


def test_both_names_at_once_are_refused_wherever_they_are_written():
    both = {"params": {"seed": 1}, "model_params": {"seed": 2}}
    partial = FloraGenerateOperator.partial(task_id="picture", type="image")

    with pytest.raises(FloraInputError, match="give one of them"):
        FloraGenerateOperator(task_id="picture", type="image", prompt="a fern", **both)
    with pytest.raises(FloraInputError, match="give one of them"):
        FloraGenerateOperator.partial(task_id="picture", type="image", **both)
    with pytest.raises(FloraInputError, match="give one of them"):
        partial.expand(prompt=["a fern"], params=[{}], model_params=[{}])
    with pytest.raises(FloraInputError, match="give one of them"):
        partial.expand_kwargs([{"prompt": "a fern", **both}])
    partial.expand(prompt=["a fern"])


def test_a_list_that_holds_results_of_tasks_is_refused_for_their_params_could_not_be_told_apart(dag):
    from airflow.providers.common.compat.sdk import task

    with dag:

        @task
        def row():
            return {"prompt": "a fern", "params": {"seed": 1}}

        partial = FloraGenerateOperator.partial(task_id="picture", type="image")
        with pytest.raises(FloraInputError, match="the result of one task"):
            partial.expand_kwargs([row()])
        partial.expand(prompt=["a fern"])


def test_default_args_reach_every_parameter_of_ours(dag):
    dag.default_args = {"model": "t2i-flux-2-pro", "poll_interval": 7.0, "model_params": {"seed": 1}}
    with dag:
        task = FloraGenerateOperator(task_id="picture", type="image", prompt="a fern")

    assert (task.model, task.poll_interval, task.model_params) == ("t2i-flux-2-pro", 7.0, {"seed": 1})


def test_a_subclass_keeps_the_two_apart(dag):
    class Poster(FloraGenerateOperator):
        def __init__(self, **kwargs):
            super().__init__(type="image", **kwargs)

    with dag:
        task = Poster(task_id="poster", prompt="a fern", params={"seed": 7})

    assert task.model_params == {"seed": 7}
    assert dict(task.params) == {"folder": "album", "seed": 1}
