"""Prompts and model_params that are kept in files."""

from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.sdk import DAG
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraInputError
from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.tasks.template_files import names_file
from tests.support.airflow_tasks import succeeded

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = {"type": "image", "model": "t2i-stable-diffusion-3.5"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "fern.md").write_text("A fern in the {{ params.season }}.\n\nSee notes.md\n")
    (tmp_path / "fern.txt").write_text("A fern\n")
    (tmp_path / "params.yaml").write_text("steps: {{ params.steps }}\nguidance_scale: 2.5\nnegative_prompt: rain\n")
    (tmp_path / "params.json").write_text('{"steps": {{ params.steps }}}')
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    (tmp_path / "latin.md").write_bytes(b"\xe9")
    return tmp_path


@pytest.fixture
def made(folder):
    """A DAG whose tasks find their files in the folder; `with` it, then run it."""
    params = {"season": "rain", "steps": 7}
    return DAG("files", schedule=None, start_date=BEGIN, template_searchpath=[str(folder)], params=params)


@pytest.mark.parametrize("native", [False, True])
def test_files_are_rendered_and_data_is_parsed(run_dag, flora, bodies, made, native):
    made.render_template_as_native_obj = native
    with made:
        FloraGenerateOperator(task_id="one", prompt="fern.md", model_params="params.yaml", **MODEL)
        FloraGenerateOperator.partial(task_id="mapped", model_params="params.json", **MODEL).expand(
            prompt=["fern.txt", "a moss"]
        )
    assert succeeded(run_dag(made))
    assert sorted((body["prompt"], str(body["params"])) for body in bodies) == [
        ("A fern", "{'steps': 7}"),
        ("A fern in the rain.\n\nSee notes.md", "{'guidance_scale': 2.5, 'negative_prompt': 'rain', 'steps': 7}"),
        ("a moss", "{'steps': 7}"),
    ]


def test_file_that_is_not_there_is_refused_when_the_dag_is_parsed(made, folder):
    with made:
        FloraGenerateOperator(task_id="one", prompt="feather.md", **MODEL)
    with pytest.raises(FloraInputError) as caught:
        made.resolve_template_files()
    assert "task 'one': prompt is 'feather.md', the name of a file" in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"prompt": "feather.md"}, "prompt is 'feather.md', the name of a file, but it is in none of the folders"),
        ({"prompt": "latin.md"}, "it cannot be read: UnicodeDecodeError"),
        ({"model_params": "list.yaml"}, "model_params is [1]: give a dict"),
        ({"model_params": "broken.yaml"}, "model_params is the file 'broken.yaml', but it is no JSON or YAML in line"),
    ],
)
def test_file_that_cannot_be_used_fails_the_task_before_anything_is_sent(
    run_dag, flora, made, logged, arguments, problem
):
    with made:  # what is mapped is not looked for when the DAG is parsed
        FloraGenerateOperator.partial(task_id="one", **{"prompt": "a fern", **arguments}).expand(type=["image"])
    assert not succeeded(run_dag(made))
    assert problem in logged()
    assert flora.requests == 0


@pytest.mark.parametrize(
    "prompt", ["a sign that says readme.md", "https://a.example/readme.md", "line\nreadme.md", "é.pdf"]
)
def test_prompt_that_only_ends_like_a_file_is_a_prompt(run_dag, flora, bodies, made, prompt):
    with made:
        FloraGenerateOperator(task_id="one", type="text", prompt=prompt)
    made.resolve_template_files()
    assert succeeded(run_dag(made))
    assert [body["prompt"] for body in bodies] == [prompt]


@given(st.text())
def test_text_with_a_space_or_a_scheme_names_no_file(text):
    assert not names_file(f"a {text}.md")
    assert not names_file(f"x://{text}.md")
    assert not names_file(f"{{{{ {text} }}}}.md")
