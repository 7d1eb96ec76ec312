"""What cannot be right is refused before any request: at parse time if it is literal, else when the task runs."""

import re
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, task

from flora_provider.api.errors import FloraInputError

# Parameter, what is given, and what the message says besides the value and the task.
GENERATE = [
    ("prompt", "", "give a text that is not empty"),
    ("prompt", "   ", "give a text that is not empty"),
    ("prompt", 7, "give a text that is not empty"),
    ("type", "picture", "use one of image, video, audio, text"),
    ("workspace_id", "my-team", "starts with 'ws_'"),
    ("project_id", "ws_1", "starts with 'prj_'"),
    ("model", "Flux 2 Pro", "not a display name"),
    ("model_params", ["seed", 1], "give a dict"),
    ("model_params", "fast", "model_params is 'fast': give a dict"),
    ("model_params", {1: "seed"}, "give a dict with string keys"),
    ("callback_url", "http://example.com/flora", "https:// on a public host"),
    ("callback_url", "https://localhost/flora", "https:// on a public host"),
    ("idempotency_key", "two words", "without spaces"),
    ("idempotency_key", "", "1 to 255"),
    ("idempotency_key", "k" * 256, "1 to 255"),
    ("poll_interval", -1, "seconds above zero"),
    ("poll_interval", 0, "seconds above zero"),
    ("poll_interval", timedelta(seconds=-5), "seconds above zero"),
    ("poll_interval", "3", "seconds above zero"),
    ("timeout", -60, "seconds above zero"),
    ("timeout", float("nan"), "seconds above zero"),
    ("on_unknown_outcome", "retry", "use one of fail, adopt, submit_again"),
    ("wait_for_completion", "False", "give True or False"),
    ("deferrable", "no", "give True or False"),
    ("flora_conn_id", "", "give a text that is not empty"),
]
SENSOR = [
    ("run_id", "generation_1", "starts with 'run_'"),
    ("run_id", "", "starts with 'run_'"),
    ("run_id", 12, "starts with 'run_'"),
    ("run_id", {"run_id": "run_1", "status": "completed"}, "its id alone is XCom `run_id`"),
    ("deferrable", "no", "give True or False"),
    ("poll_interval", -1, "seconds above zero"),
]


def named(cases):
    names = ("kind", "name", "value", "remedy")[-len(cases[0]) :]
    return pytest.mark.parametrize(names, cases, ids=lambda case: str(case)[:30])


@pytest.mark.parametrize("folder", ["C:/pictures", "data-2026-01-01T00:00:00", "file:/tmp/a", "s3://bucket", "a/b:/c"])
def test_folder_with_a_colon_is_a_path(generate, folder):
    assert generate(save_outputs_to=folder, wait_for_completion=True).save_outputs_to == folder


@named([("operator", *case) for case in GENERATE] + [("sensor", *case) for case in SENSOR])
def test_literal_is_refused_at_parse_time(generate, wait_for, kind, name, value, remedy):
    with pytest.raises(FloraInputError) as raised:
        generate(**{name: value}) if kind == "operator" else wait_for(**{"run_id": "run_1", name: value})
    task_id = "picture" if kind == "operator" else "finished"
    assert f"task '{task_id}': {name} is " in str(raised.value)
    assert remedy in str(raised.value)


def test_input_error_holds_every_problem(generate):
    with pytest.raises(FloraInputError) as raised:
        generate(type="picture", prompt="", workspace_id="team")
    assert len(raised.value.problems) == 3


TEMPLATED = [
    ("prompt", "{{ '' }}", "give a text that is not empty"),
    ("prompt", "{{ {}.get('missing') }}", "what a template of a missing value renders to"),
    ("type", "{{ 'picture' }}", "use one of image, video, audio, text"),
    ("workspace_id", "{{ 'my-team' }}", "starts with 'ws_'"),
    ("project_id", "{{ ds }}", "starts with 'prj_'"),
    ("model", "{{ 'Flux 2 Pro' }}", "not a display name"),
    ("model_params", "{{ ds }}", "model_params is '2026-01-01': give a dict"),
    ("callback_url", "{{ 'http://example.com' }}", "https:// on a public host"),
    ("idempotency_key", "{{ 'two words' }}", "without spaces"),
    ("idempotency_key", "{# nothing #}", "1 to 255"),
]


@named(TEMPLATED)
def test_rendered_value_is_refused_before_any_request(flora, generate, one_task, name, value, remedy):
    task = one_task(generate(**{name: value}))
    error = task.fails_for_good()
    assert f"{name} is " in str(error)
    assert remedy in str(error)
    assert "[task 'picture', connection 'flora_default']" in str(error)
    assert flora.requests == 0


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("template", "value"), [("{{ ds }}", "2026-01-01"), ("{{ None }}", "None"), ("{{ {}.get('missing') }}", "None")]
)
def test_rendered_run_id_is_refused_before_any_request(flora, wait_for, one_task, template, value, deferrable):
    task = one_task(wait_for(template, deferrable=deferrable))
    task.fails_for_good(match=rf"run_id is '{value}'.*starts with 'run_'.*task 'finished'")
    assert flora.requests == 0


@pytest.mark.parametrize("name", [name for name, _, _ in TEMPLATED])
def test_another_tasks_result_passes_at_parse_time(generate, name):
    with DAG("another", schedule=None):

        @task
        def value():
            return "anything"

        generate(**{name: value()})


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"workspace_id": None}, "no workspace_id anywhere: give one to the task, or to the extra"),
        ({"project_id": ""}, "no project_id anywhere"),
    ],
)
def test_missing_scope_is_reported_with_both_remedies(flora, generate, one_task, extra, problem):
    flora.connect(extra=extra)
    one_task(generate()).fails_for_good(match=problem)
    assert flora.requests == 0


def test_tasks_own_workspace_wins_over_the_connections(flora, generate, one_task):
    flora.connect(extra={"workspace_id": "ws_other", "project_id": "prj_other"})
    scope = {"workspace_id": flora.sandbox.workspace_id, "project_id": flora.sandbox.project_id}
    one_task(generate(**scope)).run()
    assert flora.billed == 1


@pytest.mark.parametrize("conn_id", ["nowhere", None])
def test_connection_that_is_not_there_is_reported_with_what_to_do(flora, generate, wait_for, one_task, conn_id):
    """Airflow says so also where it could not ask: it is left to the task's retries."""
    for operator in (
        generate(flora_conn_id=conn_id),
        wait_for("run_1", flora_conn_id=conn_id),
        wait_for("run_1", flora_conn_id=conn_id, deferrable=False),
    ):
        error = one_task(operator).fails()
        remedy = "flora_conn_id is None" if conn_id is None else "'nowhere'.*make one of.*export AIRFLOW_CONN_NOWHERE"
        assert re.search(remedy, str(error))
        assert f"[task {operator.task_id!r}, connection {conn_id!r}]" in str(error)
        assert isinstance(error, AirflowFailException) == (conn_id is None)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"run_id": "7"}, "run_id is '7'"),
        ({"run_id": None}, "run_id is None, but such an id starts with 'run_'"),
        ({"poll_interval": 0}, "poll_interval is 0"),
        ({"poll_interval": "3"}, "poll_interval is '3'"),
        ({"timeout": -5}, "timeout is -5"),
        ({"timeout": "3"}, "timeout is '3'"),
    ],
)
def test_hook_waits_for_nothing_that_cannot_be_right(hook, flora, arguments, problem):
    with pytest.raises(FloraInputError, match=problem):
        hook.wait_for_run(**{"run_id": "run_1", **arguments})
    assert flora.requests == 0


CONNECTIONS = [
    ({"password": None}, "it has no API key: put one into its password"),
    ({"password": ""}, "it has no API key: put one into its password"),
    ({"password": "two words"}, "holds spaces"),
    ({"host": "http://flora.example.com"}, "plain http would send the API key in clear"),
    ({"host": "ftp://app.flora.ai"}, "the host is 'ftp://app.flora.ai'"),
    ({"host": "https://user:pw@app.flora.ai"}, "the host carries a user"),
    ({"extra": {"workspace_id": "team"}}, "workspace_id is 'team', but such an id starts with 'ws_'"),
    ({"extra": {"project_id": 7}}, "project_id is 7"),
    ({"extra": {"timeout": -1}}, "timeout is -1: give a number above zero"),
    ({"extra": {"timeout": "soon"}}, "timeout is 'soon'"),
    ({"extra": {"max_retries": 2.5}}, "max_retries is 2.5: give a whole number"),
    ({"extra": {"requests_per_second": "0"}}, "requests_per_second is 0"),
    ({"extra": {"verify": 1}}, "verify is 1"),
    ({"extra": {"verify": "/no/such/bundle.pem"}}, "no readable CA bundle"),
    ({"extra": {"proxy": "proxy.example.com"}}, "proxy is no address"),
    ({"extra": "[1]"}, "its extra is no JSON object"),
]


@pytest.mark.parametrize(("changes", "problem"), CONNECTIONS, ids=lambda case: str(case)[:50])
def test_connection_that_cannot_be_right_is_refused_by_name_before_any_request(
    flora, generate, wait_for, one_task, changes, problem
):
    flora.connect("other", **changes)
    for operator in (
        generate(flora_conn_id="other"),
        wait_for("run_1", flora_conn_id="other"),
        wait_for("run_1", flora_conn_id="other", deferrable=False),
    ):
        error = one_task(operator).fails_for_good()
        assert problem in str(error)
        assert "connection 'other'" in str(error)

    assert flora.requests == 0


def test_nulls_and_empty_texts_of_a_saved_form_count_as_absent(flora, generate, one_task):
    empty = dict.fromkeys(("timeout", "max_retries", "verify", "proxy"))
    flora.connect(extra={**empty, "requests_per_second": ""})
    one_task(generate(wait_for_completion=True, deferrable=False)).run()
    assert flora.billed == 1
