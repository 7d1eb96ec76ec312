"""Placeholders, templates and texts: what is written, what Airflow makes of it, and what is sent."""

from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG, dag, task, task_group
from pendulum import datetime

from flora_provider.api.errors import FloraInputError
from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor
from tests.support.airflow_tasks import INSTANT, succeeded, tries

try:
    from airflow.providers.common.compat.sdk import literal
except ImportError:
    from airflow.utils.template import literal

BEGIN = datetime(2026, 1, 1)
DONE_AT_ONCE = {"sandbox": INSTANT}
UNCHECKED = {"validate_params": False}  # for params that no model has
RETRIES = {"retries": 2, "retry_delay": timedelta(0)}


# ── Placeholders ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_arguments_of_a_dag_function_are_placeholders(run_dag, flora, bodies):
    run_id = flora.start()

    @dag(schedule=None, start_date=BEGIN)
    def arguments(prompt="a fern", type="image", conn="flora_default", run_id=run_id, seed=3, key="order-1"):  # noqa: A002
        model_params = {**DONE_AT_ONCE, "nested": [{"seed": seed}], "conn": conn}
        FloraGenerateOperator(
            task_id="all",
            type=type,
            prompt=prompt,
            flora_conn_id=conn,
            idempotency_key=key,
            model_params=model_params,
            **UNCHECKED,
        )
        FloraGenerateOperator.partial(task_id="partial", type=type, prompt=prompt, **UNCHECKED).expand(
            model_params=[model_params]
        )
        FloraGenerateOperator.partial(task_id="expand", type=type).expand(prompt=[prompt, "another"])
        FloraGenerateOperator.partial(task_id="rows", prompt=prompt).expand_kwargs([{"type": type}])
        FloraRunSensor(task_id="sensor", run_id=run_id, flora_conn_id=conn, poke_interval=0.05)
        FloraRunSensor.partial(task_id="mapped_sensor", flora_conn_id=conn, poke_interval=0.05).expand(run_id=[run_id])

    made = arguments()
    assert succeeded(run_dag(made, run_conf={"prompt": "a lighthouse"}))

    assert sorted(body["prompt"] for body in bodies) == ["a lighthouse"] * 4 + ["another"]
    assert {"sandbox": INSTANT, "nested": [{"seed": 3}], "conn": "flora_default"} in [
        body.get("params") for body in bodies
    ]


@pytest.mark.parametrize("rows", ["literal", "from a task"])
def test_arguments_of_a_mapped_task_group_are_placeholders(run_dag, flora, bodies, rows):
    with DAG(f"grouped_{rows.replace(' ', '_')}", schedule=None, start_date=BEGIN) as made:

        @task
        def result():
            return [{"prompt": "one", "kind": "image"}, {"prompt": "two", "kind": "text"}]

        @task_group
        def one(prompt, kind):
            picture = FloraGenerateOperator(
                task_id="picture",
                type=kind,
                prompt=prompt,
                model_params={**DONE_AT_ONCE, "note": [prompt]},
                **UNCHECKED,
            )
            FloraRunSensor(task_id="finished", run_id=picture.output, poke_interval=0.05)

        one.expand_kwargs(
            result()
            if rows == "from a task"
            else [{"prompt": "one", "kind": "image"}, {"prompt": "two", "kind": "text"}]
        )

    assert succeeded(run_dag(made))

    assert sorted((body["prompt"], body["type"], body["params"]["note"]) for body in bodies) == [
        ("one", "image", ["one"]),
        ("two", "text", ["two"]),
    ]


def test_literal_value_and_a_function_are_placeholders(run_dag, bodies):
    with DAG("literals", schedule=None, start_date=BEGIN) as made:
        FloraGenerateOperator(task_id="literal", type="text", prompt=literal("{{ as it stands }}"))
        FloraGenerateOperator(task_id="function", type="text", prompt=lambda context, **_: context["ti"].task_id)
    assert succeeded(run_dag(made))
    assert sorted(body["prompt"] for body in bodies) == ["function", "{{ as it stands }}"]


# ── Parameters that are no template fields ────────────────────────────────────────────────────────────────────────────

OPERATOR_PLAIN = ["timeout", "poll_interval", "wait_for_completion", "deferrable", "on_unknown_outcome"]
SENSOR_PLAIN = [
    "timeout",
    "poll_interval",
    "poke_interval",
    "deferrable",
    "soft_fail",
    "never_fail",
    "mode",
    "max_wait",
]
PLAIN = [(FloraGenerateOperator, name) for name in OPERATOR_PLAIN] + [(FloraRunSensor, name) for name in SENSOR_PLAIN]
REQUIRED = {FloraGenerateOperator: {"type": "image", "prompt": "a fern"}, FloraRunSensor: {"run_id": "run_1"}}
MAPPED = {FloraGenerateOperator: {"prompt": ["a fern"]}, FloraRunSensor: {"run_id": ["run_1"]}}
PARTIAL = {FloraGenerateOperator: {"type": "image"}, FloraRunSensor: {}}


def written(kind, name, way, value):
    """Make a task that is given the parameter in one of the ways in which an author may write it."""
    common = {"task_id": "task"}
    if way == "task":
        return kind(**common, **REQUIRED[kind], **{name: value})
    if way == "default_args":
        return kind(**common, **REQUIRED[kind], default_args={name: value})
    if way == "partial":
        return kind.partial(**common, **PARTIAL[kind], **{name: value}).expand(**MAPPED[kind])
    if way == "partial's default_args":
        return kind.partial(**common, **PARTIAL[kind], default_args={name: value}).expand(**MAPPED[kind])
    if way == "expand":
        return kind.partial(**common, **REQUIRED[kind]).expand(**{name: [value]})
    return kind.partial(**common).expand_kwargs([{**REQUIRED[kind], name: value}])


WAYS = ["task", "default_args", "partial", "partial's default_args", "expand", "expand_kwargs"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("kind", "name"), PLAIN, ids=lambda part: getattr(part, "__name__", part))
def test_parameter_that_is_no_template_field_refuses_jinja(kind, name, way):
    with DAG("plain", schedule=None, params={"x": 1}), pytest.raises(FloraInputError) as raised:
        written(kind, name, way, "{{ params.x }}")
    assert f"task 'task': {name} is '{{{{ params.x }}}}'" in str(raised.value)
    assert "it is no template field" in str(raised.value)


@pytest.mark.parametrize(("kind", "name"), PLAIN, ids=lambda part: getattr(part, "__name__", part))
def test_parameter_that_is_no_template_field_refuses_placeholders(kind, name):
    with DAG("plain", schedule=None, params={"x": 1}) as made:

        @task
        def value():
            return 1

        for number, placeholder in enumerate((value(), made.param("x"))):
            with pytest.raises(FloraInputError, match=rf"task 'task\w*': {name} is .*it is no template field"):
                kind(task_id=f"task{number}", **REQUIRED[kind], **{name: placeholder})


def test_plain_parameter_that_is_mapped_over_a_result_is_checked_before_anything_is_sent(run_dag, flora, bodies):
    run_id = flora.start()
    with DAG("mapped_timeouts", schedule=None, start_date=BEGIN) as made:

        @task
        def values():
            return [30, "{{ 30 }}"]

        common = {"type": "image", "prompt": "a fern", "model_params": DONE_AT_ONCE}
        FloraGenerateOperator.partial(task_id="picture", **common, **RETRIES).expand(timeout=values())
        FloraRunSensor.partial(task_id="finished", run_id=run_id, poke_interval=0.05, **RETRIES).expand(
            timeout=values()
        )

    result = tries(run_dag(made))

    assert {key: value for key, value in result.items() if key[0] in {"picture", "finished"}} == {
        ("picture", 0): ("success", 1),
        ("picture", 1): ("failed", 1),
        ("finished", 0): ("success", 1),
        ("finished", 1): ("failed", 1),
    }
    assert len(bodies) == 1


# ── Values that templates and other tasks did not give ────────────────────────────────────────────────────────────────

ABSENT = "{{ ti.xcom_pull(task_ids='nothing', key='absent') }}"
GAPS = {
    "model_params.image_url": {"model_params": {"image_url": ABSENT}},
    "model_params.images[2]": {"model_params": {"images": ["https://a.test/1", "https://a.test/2", ABSENT]}},
    "model_params.a.b[0].c": {"model_params": {"a": {"b": [{"c": ABSENT}]}}},
    "workspace_id": {"workspace_id": ABSENT},
    "project_id": {"project_id": ABSENT},
    "model": {"model": ABSENT},
    "callback_url": {"callback_url": ABSENT},
    "idempotency_key": {"idempotency_key": ABSENT},
    "prompt": {"prompt": ABSENT},
}
NULLS = {
    "model_params.image_url": lambda null, _: {"model_params": {"image_url": null}},
    "model_params.images[1]": lambda null, _: {"model_params": {"images": ["https://a.test/1", null]}},
    "model_params.deep.seed": lambda _, row: {"model_params": {"deep": row}},
    "model_params.seed": lambda _, row: {"model_params": row},
    "workspace_id": lambda null, _: {"workspace_id": null},
    "model": lambda null, _: {"model": null},
    "idempotency_key": lambda null, _: {"idempotency_key": null},
    "prompt": lambda null, _: {"prompt": null},
}


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("path", GAPS)
def test_template_that_gives_no_value_is_refused_with_its_path(run_dag, bodies, logged, path, native):
    with DAG("gaps", schedule=None, start_date=BEGIN, render_template_as_native_obj=native) as made:
        arguments = {"type": "image", "prompt": "a fern", **GAPS[path]}
        FloraGenerateOperator(task_id="picture", **arguments, **RETRIES)
    assert tries(run_dag(made)) == {("picture", -1): ("failed", 1)}
    assert bodies == []
    assert f"{path} is " in logged()


@pytest.mark.parametrize("path", NULLS)
def test_result_that_is_null_is_refused_with_its_path(run_dag, bodies, logged, path):
    with DAG("nulls", schedule=None, start_date=BEGIN) as made:

        @task
        def null():
            return None

        @task
        def row():
            return {"seed": None}

        arguments = {"type": "image", "prompt": "a fern", **NULLS[path](null(), row())}
        FloraGenerateOperator(task_id="picture", **arguments, **RETRIES)

    assert tries(run_dag(made))["picture", -1] == ("failed", 1)
    assert bodies == []
    assert f"{path} is None" in logged()


def test_null_in_mapped_model_params_is_refused_if_another_task_gave_it(run_dag, bodies, logged):
    with DAG("mapped_nulls", schedule=None, start_date=BEGIN) as made:

        @task
        def rows():
            return [{**DONE_AT_ONCE, "seed": 1}, {**DONE_AT_ONCE, "images": [None]}]

        FloraGenerateOperator.partial(task_id="picture", type="image", prompt="a fern", **RETRIES).expand(
            model_params=rows()
        )

    result = tries(run_dag(made))

    assert (result["picture", 0], result["picture", 1]) == (("success", 1), ("failed", 1))
    assert len(bodies) == 1
    assert "model_params.images[0] is None" in logged()


def test_null_that_a_parameter_is_expanded_over_is_refused_and_one_in_a_row_counts_as_not_given(
    run_dag, bodies, logged
):
    with DAG("expanded_nulls", schedule=None, start_date=BEGIN) as made:

        @task
        def models():
            return ["t2i-flux-2-pro", None]

        @task
        def rows():
            return [{"prompt": "row", "model": None}]

        common = {"type": "image", "model_params": DONE_AT_ONCE, **RETRIES}
        FloraGenerateOperator.partial(task_id="expanded", prompt="list", **common).expand(model=models())
        FloraGenerateOperator.partial(task_id="row", **common).expand_kwargs(rows())

    result = tries(run_dag(made))

    assert (result["expanded", 0], result["expanded", 1]) == (("success", 1), ("failed", 1))
    assert result["row", 0] == ("success", 1)
    assert sorted((body["prompt"], body.get("model")) for body in bodies) == [("list", "t2i-flux-2-pro"), ("row", None)]
    assert "model is None" in logged()


def test_null_that_the_author_wrote_is_sent(run_dag, bodies):
    asked = {**DONE_AT_ONCE, "seed": None, "style": "None", "list": [None]}
    with DAG("written_nulls", schedule=None, start_date=BEGIN) as made:
        FloraGenerateOperator(task_id="picture", type="image", prompt="a fern", model_params=asked, **UNCHECKED)
        FloraGenerateOperator.partial(task_id="mapped", type="image", prompt="a fern", **UNCHECKED).expand(
            model_params=[asked]
        )
    assert succeeded(run_dag(made))
    assert [body["params"] for body in bodies] == [asked, asked]


# ── Texts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEXTS = [
    "1984",
    "True",
    "None of it",
    "[1, 2]",
    "1e5",
    "'a fern'",
    '"a fern"',
    "a fern\n",
    " a\r\nfern ",
    "(1)",
    "{'a': 1}",
]


@pytest.mark.parametrize("native", [False, True])
def test_text_is_sent_as_it_was_written(run_dag, bodies, native):
    with DAG("texts", schedule=None, start_date=BEGIN, render_template_as_native_obj=native) as made:
        for number, text in enumerate(TEXTS):
            FloraGenerateOperator(
                task_id=f"text_{number}",
                type="text",
                prompt=text,
                model_params={**DONE_AT_ONCE, "note": text},
                **UNCHECKED,
            )
        FloraGenerateOperator.partial(task_id="mapped", type="text", model_params=DONE_AT_ONCE).expand(prompt=TEXTS)

    assert succeeded(run_dag(made))
    assert sorted(body["prompt"] for body in bodies) == sorted(TEXTS * 2)
    assert sorted(body["params"]["note"] for body in bodies if "note" in body["params"]) == sorted(TEXTS)


def test_template_of_a_text_gives_its_text_and_one_of_model_params_the_dags_types(run_dag, flora, bodies):
    run_id = flora.start()
    with DAG(
        "native", schedule=None, start_date=BEGIN, render_template_as_native_obj=True, params={"year": 1984}
    ) as made:
        common = {"type": "text", "idempotency_key": "{{ 7 }}-{{ ti.task_id }}-{{ ti.map_index }}", **UNCHECKED}
        asked = {**DONE_AT_ONCE, "seed": "{{ params.year }}", "list": "{{ [1, 2] }}"}
        FloraGenerateOperator(task_id="alone", prompt="{{ params.year }}", model_params=asked, **common)
        FloraGenerateOperator.partial(task_id="mapped", model_params=asked, **common).expand(
            prompt=["{{ params.year }}", "{{ '[1, 2]' }}", "{{ \"'a fern'\" }}"]
        )
        FloraRunSensor(task_id="finished", run_id="{{ '" + run_id + "' }}", poke_interval=0.05)

    assert succeeded(run_dag(made))
    assert sorted(body["prompt"] for body in bodies) == ["'a fern'", "1984", "1984", "[1, 2]"]
    assert [(body["params"]["seed"], body["params"]["list"]) for body in bodies] == [(1984, [1, 2])] * 4


def test_jinja_of_the_dags_own_marks_is_rendered(run_dag, bodies):
    marks = {"variable_start_string": "[[", "variable_end_string": "]]"}
    with DAG("marks", schedule=None, start_date=BEGIN, jinja_environment_kwargs=marks) as made:
        FloraGenerateOperator(task_id="picture", type="text", prompt="[[ ti.task_id ]]", model_params=DONE_AT_ONCE)
    assert succeeded(run_dag(made))
    assert [body["prompt"] for body in bodies] == ["picture"]
