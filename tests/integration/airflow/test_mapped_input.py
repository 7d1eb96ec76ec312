"""Mapped tasks: what is wrong in a literal row is refused when the DAG is parsed, in another task's row for good."""

from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG, task, task_group
from pendulum import datetime

from flora_provider.api.errors import FloraInputError
from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor
from tests.support.airflow_tasks import mapped_tries

BEGIN = datetime(2026, 1, 1)
RETRIES = {"retries": 2, "retry_delay": timedelta(0)}

BAD_ROWS = {
    "unknown type": ({"type": "picture", "prompt": "a fern"}, "type is 'picture': use one of"),
    "empty prompt": ({"type": "image", "prompt": ""}, "prompt is ''"),
    "misspelt prompt": (
        {"type": "image", "promt": "a fern"},
        "promt is no parameter of FloraGenerateOperator: did you mean prompt",
    ),
    "misspelt and given": ({"type": "image", "prompt": "a fern", "modle": "x"}, "did you mean model"),
    "dict as prompt": ({"type": "image", "prompt": {"text": "a fern"}}, "prompt is {'text': 'a fern'}"),
    "no prompt": ({"type": "image"}, "prompt is missing"),
    "null prompt": ({"type": "image", "prompt": None}, "prompt is None"),
    "number as model": ({"type": "image", "prompt": "a fern", "model": 7}, "model is 7"),
    "negative interval": ({"type": "image", "prompt": "a fern", "poll_interval": -1}, "poll_interval is -1"),
    "text as flag": ({"type": "image", "prompt": "a fern", "deferrable": "no"}, "deferrable is 'no'"),
}
BAD_SENSORS = {
    "not a run": ({"run_id": "generation_1"}, "run_id is 'generation_1'"),
    "misspelt": ({"runid": "run_1"}, "runid is no parameter of FloraRunSensor: did you mean run_id"),
    "text as timeout": ({"run_id": "run_1", "timeout": "30"}, "timeout is '30'"),
    "unknown mode": ({"run_id": "run_1", "mode": "sleep"}, "mode is 'sleep'"),
    "text as flag": ({"run_id": "run_1", "soft_fail": "no"}, "soft_fail is 'no'"),
}
CASES = [(FloraGenerateOperator, *case) for name, case in BAD_ROWS.items() if name != "null prompt"] + [
    (FloraRunSensor, *case) for case in BAD_SENSORS.values()
]


@pytest.mark.parametrize(("kind", "row", "sentence"), CASES, ids=lambda case: str(case)[:40])
def test_bad_literal_row_is_refused_at_parse_time(kind, row, sentence):
    good = {"type": "image", "prompt": "a fern"} if kind is FloraGenerateOperator else {"run_id": "run_1"}
    with DAG("literal", schedule=None), pytest.raises(FloraInputError) as raised:
        kind.partial(task_id="mapped").expand_kwargs([good, row])
    assert sentence in str(raised.value)
    assert "task 'mapped'" in str(raised.value)


@pytest.mark.parametrize("kind", [FloraGenerateOperator, FloraRunSensor])
def test_bad_row_of_another_task_fails_at_once_and_the_others_go_on(run_dag, flora, bodies, logged, kind):
    good = {"type": "image", "prompt": "a fern"} if kind is FloraGenerateOperator else {"run_id": flora.start()}
    cases = list((BAD_ROWS if kind is FloraGenerateOperator else BAD_SENSORS).values())
    quick = {} if kind is FloraGenerateOperator else {"poke_interval": 0.05}
    with DAG("rows", schedule=None, start_date=BEGIN) as dag:

        @task
        def rows():
            return [good, *(row for row, _ in cases)]

        kind.partial(task_id="mapped", **quick, **RETRIES).expand_kwargs(rows())

    result = mapped_tries(run_dag(dag), "mapped")

    assert result == [("success", 1)] + [("failed", 1)] * len(cases)
    assert len(bodies) == (kind is FloraGenerateOperator)
    said = logged()
    assert [sentence for _, sentence in cases if sentence not in said] == []


def test_bad_lists_of_expand_are_refused_at_parse_time():
    partial = {"task_id": "mapped", "type": "image"}
    with DAG("lists", schedule=None):
        for mapped, sentence in (
            ({"prompt": ["a fern", ""]}, "prompt is ''"),
            ({"prompt": ["a fern", 7]}, "prompt is 7"),
            ({"prompt": ["a fern"], "model": ["Flux 2 Pro"]}, "not a display name"),
            ({"model": ["t2i-flux-2-pro"]}, "prompt is missing"),
            ({"prompt": ["a fern"], "model_params": [{"seed": 1}, 7]}, "model_params is 7"),
        ):
            with pytest.raises(FloraInputError, match=rf"task 'mapped': .*{sentence}"):
                FloraGenerateOperator.partial(**partial).expand(**mapped)
        with pytest.raises(FloraInputError, match="task 'mapped': workspace_id is 'team'"):
            FloraGenerateOperator.partial(**partial, workspace_id="team")
        with pytest.raises(FloraInputError, match="run_id is 'generation_1'"):
            FloraRunSensor.partial(task_id="mapped").expand(run_id=["generation_1"])


class Poster(FloraGenerateOperator):
    def __init__(self, *, subject, **kwargs):
        super().__init__(type="image", prompt=f"A poster of {subject}", **kwargs)


def test_subclass_maps_its_own_arguments(run_dag, bodies, logged):
    with DAG("posters", schedule=None, start_date=BEGIN) as dag:

        @task
        def rows():
            return [{"subject": "a fern"}, {"subjekt": "a fern"}]

        Poster.partial(task_id="poster", **RETRIES).expand_kwargs(rows())
        Poster.partial(task_id="literal").expand(subject=["a lighthouse"])

    dag_run = run_dag(dag)

    assert mapped_tries(dag_run, "poster") == [("success", 1), ("failed", 1)]
    assert "subjekt is no parameter of Poster: did you mean subject" in logged()
    assert sorted(body["prompt"] for body in bodies) == ["A poster of a fern", "A poster of a lighthouse"]


# ── Keys of one's own ─────────────────────────────────────────────────────────────────────────────────────────────────

COMMON = {"task_id": "mapped", "type": "image"}
SHARED = {
    "literal": lambda: FloraGenerateOperator.partial(idempotency_key="order", **COMMON),
    "template": lambda: FloraGenerateOperator.partial(idempotency_key="{{ run_id }}", **COMMON),
    "default_args": lambda: FloraGenerateOperator.partial(default_args={"idempotency_key": "order"}, **COMMON),
    "rows": lambda: FloraGenerateOperator.partial(**COMMON).expand_kwargs(
        [{"prompt": "a", "idempotency_key": "order"}, {"prompt": "b", "idempotency_key": "order"}]
    ),
    "list": lambda: FloraGenerateOperator.partial(prompt="a", **COMMON).expand(idempotency_key=["order", "order"]),
    "crossed": lambda: FloraGenerateOperator.partial(**COMMON).expand(
        idempotency_key=["one", "two"], prompt=["a", "b"]
    ),
}


@pytest.mark.parametrize("way", SHARED)
def test_key_that_mapped_tasks_would_share_is_refused_at_parse_time(way):
    with DAG("shared", schedule=None), pytest.raises(FloraInputError, match=r"task 'mapped': idempotency_key is"):
        SHARED[way]()


def test_key_of_the_dags_default_args_is_refused_for_mapped_tasks():
    with (
        DAG("shared", schedule=None, default_args={"idempotency_key": "order"}),
        pytest.raises(FloraInputError, match="idempotency_key is 'order'"),
    ):
        FloraGenerateOperator.partial(**COMMON)


def test_key_that_another_task_gives_to_all_mapped_tasks_is_refused():
    with DAG("xcom", schedule=None):

        @task
        def key():
            return "order"

        with pytest.raises(FloraInputError, match="idempotency_key is"):
            FloraGenerateOperator.partial(idempotency_key=key(), **COMMON)


def test_key_that_the_tasks_of_a_mapped_group_would_share_is_refused():
    @task_group
    def one(prompt):
        FloraGenerateOperator(task_id="picture", type="image", prompt=prompt, idempotency_key="order")

    with DAG("group", schedule=None), pytest.raises(FloraInputError, match=r"one.picture.*idempotency_key is 'order'"):
        one.expand(prompt=["a", "b"])


def test_keys_of_their_own_are_sent(run_dag, flora, monkeypatch):
    keys = []
    answer = flora.sandbox.answer
    monkeypatch.setattr(
        flora.sandbox, "answer", lambda request: keys.append(request.headers.get("idempotency-key")) or answer(request)
    )
    with DAG("keys", schedule=None, start_date=BEGIN) as dag:
        by_index = FloraGenerateOperator.partial(idempotency_key="order-{{ ti.map_index }}", **COMMON)
        by_index.expand(prompt=["a", "b"])
        FloraGenerateOperator.partial(task_id="rows", type="image").expand_kwargs(
            [{"prompt": "c", "idempotency_key": "c"}, {"prompt": "d", "idempotency_key": "d"}]
        )

        @task_group
        def one(name):
            FloraGenerateOperator(task_id="picture", type="image", prompt="e", idempotency_key=name)

        one.expand(name=["e", "f"])

    assert run_dag(dag).state == "success"
    assert sorted(filter(None, keys)) == ["c", "d", "e", "f", "order-0", "order-1"]


@pytest.mark.parametrize("key", ["{{ none }}", "{{ '' }}", "{{ 'two words' }}"])
def test_key_that_renders_to_none_is_refused_before_anything_is_sent(flora, generate, one_task, key):
    one_task(generate(idempotency_key=key)).fails_for_good(match="idempotency_key is")
    assert flora.requests == 0
