"""Mistakes of the first day: each gives one red message, which names the value, the place and the remedy."""

import re
from typing import NamedTuple

import pytest
from airflow import __version__

from tests.support.airflow_tasks import state_of
from tests.support.servers import unused_port

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow 3.1 and older
    from airflow.models.dagbag import DagBag

VERSION = tuple(map(int, __version__.split(".")[:2]))  # of Airflow

PICTURE = "FloraGenerateOperator(task_id='picture', type='image', prompt='a fern', poll_interval=0.1…)"
FILE = """
from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from flora_provider.operators.flora import (
    FloraGenerateBatchOperator, FloraGenerateOperator, FloraRunActionOperator, FloraRunTechniqueOperator
)
from flora_provider.sensors.flora import FloraRunSensor
from flora_provider.transfers.object_storage import FloraToObjectStorageOperator, ObjectStorageToFloraOperator

again = {{"retries": {retries}, "retry_delay": timedelta(0)}}
with DAG("mistake", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), default_args=again):
    {tasks}
"""


class Mistake(NamedTuple):
    """What is written, and what the message says of it."""

    tasks: str
    value: str
    where: str
    remedy: str
    retries: int = 1  # 0 where another try may help, so that there is one message


def picture(arguments=""):
    return PICTURE.replace("…", f", {arguments}" if arguments else "")


TASK = "[task 'picture', connection 'flora_default']"

# Seen when the DAG is parsed: the message is the DAG's import error.
PARSED = {
    "misspelt argument": Mistake(
        "FloraGenerateOperator(task_id='picture', type='image', propmt='a fern')",
        "propmt is no parameter of FloraGenerateOperator",
        "task 'picture'",
        "did you mean prompt?",
    ),
    "params in place of model_params": Mistake(
        picture("params={'seed': 7}"),
        "params holds seed",
        "task 'picture'",
        "give parameters of the model as `model_params`",
    ),
    "display name of a model": Mistake(
        picture("model='Flux 2 Pro'"), "model is 'Flux 2 Pro'", "task 'picture'", "give an id as list_models() shows it"
    ),
    "text in place of a dict": Mistake(
        picture("model_params='seed=7'"), "model_params is 'seed=7'", "task 'picture'", "give a dict"
    ),
    "name of a task as run id": Mistake(
        "FloraRunSensor(task_id='finished', run_id='start')", "run_id is 'start'", "task 'finished'", "XCom `run_id`"
    ),
    "operator as run id": Mistake(
        f"FloraRunSensor(task_id='finished', run_id={picture()})",
        "run_id is the task 'picture' itself",
        "task 'finished'",
        "give its .output",
    ),
    "prompt file that is missing": Mistake(
        "FloraGenerateOperator(task_id='picture', type='image', prompt='prompts/fern.md')",
        "prompt is 'prompts/fern.md'",
        "task 'picture'",
        "none of the folders that are searched: ",
    ),
    "saving without waiting": Mistake(
        picture("save_outputs_to='/tmp/pictures'"),
        "save_outputs_to needs",
        "task 'picture'",
        "wait_for_completion=True",
    ),
    "address with one slash": Mistake(
        picture("wait_for_completion=True, save_outputs_to='s3:/bucket/pictures'"),
        "save_outputs_to is 's3:/bucket/pictures'",
        "task 'picture'",
        "did you mean 's3://bucket/pictures'?",
    ),
    "mapping over a text": Mistake(
        "FloraGenerateOperator.partial(task_id='picture', type='image').expand(prompt='a fern')",
        "prompt is expanded over 'a fern'",
        "task 'picture'",
        "give a list",
    ),
    "timeout as text": Mistake(picture("timeout='60'"), "timeout is '60'", "task 'picture'", "give seconds above zero"),
}

# Seen when the task runs.
RUN = {
    "misspelt model": Mistake(
        picture("model='t2i-flux-pro-2'"), "model is 't2i-flux-pro-2'", TASK, "did you mean 't2i-flux-2-pro'"
    ),
    "misspelt parameter": Mistake(
        picture("model='t2i-flux-2-pro', model_params={'sede': 7}"), "model_params.sede", TASK, "did you mean 'seed'?"
    ),
    "parameter of another type": Mistake(
        picture("model='t2i-flux-2-pro', model_params={'seed': 7.5}"),
        "model_params.seed is 7.5",
        TASK,
        "give a whole number",
    ),
    "model of another type": Mistake(
        picture("model='i2v-kling-2', model_params={'image_url': 'https://example.com/a.png'}"),
        "model i2v-kling-2 makes video, but type is 'image'",
        TASK,
        "set type='video', or take a model that makes 'image', such as t2i-flux-2-pro",
    ),
    "file of this machine as parameter": Mistake(
        "FloraGenerateOperator(task_id='picture', type='video', prompt='rain', model='i2v-kling-2', "
        "model_params={'image_url': '/tmp/fern.png'})",
        "model_params.image_url is '/tmp/fern.png'",
        TASK,
        "upload a local file first (ObjectStorageToFloraOperator)",
    ),
    "file of this machine as input": Mistake(
        "FloraRunTechniqueOperator(task_id='picture', technique='cctv-cam', inputs={'input_image': '/tmp/fern.png'})",
        "inputs.input_image is '/tmp/fern.png'",
        TASK,
        "upload a local file first (ObjectStorageToFloraOperator)",
    ),
    "misspelt input": Mistake(
        "FloraRunTechniqueOperator(task_id='picture', technique='cctv-cam', inputs={'inputimage': 'https://example.com/a.png'})",
        "inputs.inputimage is unknown to the technique",
        TASK,
        "did you mean 'input_image'",
    ),
    "template without a value": Mistake(
        "FloraGenerateOperator(task_id='picture', type='image', prompt='{{ dag_run.conf.get(\"prompt\") }}')",
        "prompt is 'None' (what a template of a missing value renders to)",
        TASK,
        "give a text that is not empty",
    ),
    "misspelt name in a template": Mistake(
        "FloraGenerateOperator(task_id='picture', type='image', prompt='{{ parms.prompt }}')",
        "'{{ parms.prompt }}' cannot be rendered ('parms' is undefined)",
        TASK,
        "check its names and its braces",
    ),
    "lost brace in a template": Mistake(
        "FloraGenerateOperator(task_id='picture', type='image', prompt='{{ ds }')",
        "'{{ ds }' cannot be rendered",
        TASK,
        "check its names and its braces",
    ),
    "finished run as run id": Mistake(
        f"FloraRunSensor(task_id='finished', run_id={picture('wait_for_completion=True')}.output)",
        "run_id is a finished run",
        "[task 'finished', connection 'flora_default']",
        "its id alone is XCom `run_id`",
    ),
    "misspelt XCom": Mistake(
        picture() + " >> FloraRunSensor(task_id='finished', run_id='{{ ti.xcom_pull(\"picture\", key=\"runid\") }}')",
        "run_id is 'None'",
        "[task 'finished', connection 'flora_default']",
        "its operator's XCom `run_id`",
    ),
    "workspace of somebody else": Mistake(
        picture("workspace_id='ws_theirs'"), "workspace_id 'ws_theirs'", TASK, "list_workspaces() names yours"
    ),
    "project of another workspace": Mistake(
        picture("project_id='prj_theirs'"), "project_id 'prj_theirs'", TASK, "hook.iter_projects() names yours"
    ),
    "folder that cannot be written": Mistake(
        picture("wait_for_completion=True, save_outputs_to='/proc/flora'"),
        "/proc/flora",
        TASK,
        "check the path",
        retries=0,
    ),
    "scheme without a provider": Mistake(
        picture("wait_for_completion=True, save_outputs_to='nowhere://bucket/pictures'"),
        "'nowhere://bucket/pictures'",
        TASK,
        "install the Airflow provider that brings it",
    ),
    "scheme whose provider is not installed": Mistake(
        picture("wait_for_completion=True, save_outputs_to='gs://bucket/pictures'"),
        "save_outputs_to is 'gs://bucket/pictures'",
        TASK,
        "install apache-airflow-providers-google",
    ),
    "timeout that is too short": Mistake(
        picture("wait_for_completion=True, timeout=0.5, model_params={'sandbox': {'never_ends': True}}"),
        "(timeout of 0.5 s)",
        TASK,
        "a larger timeout avoids this",
        retries=0,
    ),
    "refused prompt": Mistake(
        picture(
            "wait_for_completion=True, "
            "model_params={'sandbox': {'error_code': 'GENERATION_PROMPT_MODERATED', 'seconds': 0}}"
        ),
        "GENERATION_PROMPT_MODERATED",
        TASK,
        "change the prompt",
    ),
    "misspelt column": Mistake(
        "FloraGenerateBatchOperator(task_id='picture', requests='{folder}/column.csv', save_outputs_to='{folder}')",
        "column 'promt' is unknown",
        TASK,
        "did you mean 'prompt'?",
    ),
    "semicolons": Mistake(
        "FloraGenerateBatchOperator(task_id='picture', requests='{folder}/semicolons.csv', save_outputs_to='{folder}')",
        "semicolons.csv has the header 'type;prompt'",
        TASK,
        "separate its columns by commas",
    ),
    "empty file": Mistake(
        "FloraGenerateBatchOperator(task_id='picture', requests='{folder}/empty.csv', save_outputs_to='{folder}')",
        "empty.csv has no header",
        TASK,
        "begin it with the names of its columns",
    ),
    "file of rows that is missing": Mistake(
        "FloraGenerateBatchOperator(task_id='picture', requests='{folder}/rows.csv', save_outputs_to='{folder}')",
        "rows.csv: there is no such file",
        TASK,
        "check the path",
    ),
    "rows that are texts": Mistake(
        "FloraGenerateBatchOperator(task_id='picture', requests=['a fern'], save_outputs_to='{folder}')",
        "row 1: it is 'a fern'",
        TASK,
        "give a dict of type, prompt",
    ),
    "source that is missing": Mistake(
        "ObjectStorageToFloraOperator(task_id='picture', source='{folder}/fern.png')",
        "fern.png: there is no such file",
        TASK,
        "check the path",
    ),
}

# Of the connection: what it has, and what the message of a task says that is right.
SANDBOX = "sk_test_9fc5ad1a9e51907a58c7"
CONNECTIONS = {
    "no key": ({"password": None}, "it has no API key", "connection 'flora_default'", "put one into its password"),
    "wrong key": ({"password": "sk_live_1"}, "401", TASK, "Give a current API key (the connection's password"),
    "Bearer": (
        {"password": f"Bearer {SANDBOX}"},
        "begins with 'Bearer'",
        "connection 'flora_default'",
        "give the key alone",
    ),
    "quotes": ({"password": f'"{SANDBOX}"'}, "is in quotes", "connection 'flora_default'", "leave them out"),
    "line break": (
        {"password": f"{SANDBOX}\n"},
        "line breaks",
        "connection 'flora_default'",
        "give it as FLORA shows it",
    ),
    "http elsewhere": (
        {"host": "http://app.flora.ai/api/v1", "port": None},
        "the host is 'http://app.flora.ai/api/v1'",
        "connection 'flora_default'",
        "use https",
    ),
    "text as port": (
        {"port": "flora"},
        "port",
        "connection 'flora_default'",
        "give conn_type, password, host and extra",
    ),
    "no workspace": (
        {"extra": {"workspace_id": None}},
        "no workspace_id",
        TASK,
        "give one to the task, or to the extra",
    ),
    "swapped ids": (
        {"extra": {"workspace_id": "prj_1", "project_id": "ws_1"}},
        "workspace_id is 'prj_1', but such an id starts with 'ws_'",
        "connection 'flora_default'",
        "list_workspaces() names yours",
    ),
}
# The same, of its host: what replaces the sandbox's `http://127.0.0.1:1234/api/v1`.
HOSTS = {
    "misspelt path": (r"/api/v1$", "/api/v2", "404", TASK, "check the path, and base_url (the connection's host)"),
    "https of the sandbox": ("^http:", "https:", "it does not speak TLS", TASK, "check https or http in the host"),
    "sandbox that does not run": (r":\d+/", f":{unused_port()}/", "nothing listens there", TASK, "check the host"),
}


@pytest.fixture
def bag_of(tmp_path):
    """Parses a DAG's file, as Airflow does."""
    (tmp_path / "column.csv").write_text("type,promt\nimage,a fern\n")
    (tmp_path / "semicolons.csv").write_text("type;prompt\nimage;a fern\n")
    (tmp_path / "empty.csv").write_text("")

    def parse(mistake):
        tasks = mistake.tasks.replace("{folder}", str(tmp_path))
        (tmp_path / "mistake.py").write_text(FILE.format(tasks=tasks, retries=mistake.retries))
        bag = DagBag(collect_dags=False)
        bag.process_file(str(tmp_path / "mistake.py"))
        return bag

    return parse


@pytest.fixture
def fails_with(run_dag, bag_of, capfd, caplog, wide_terminal):
    """Runs the DAG, and checks what a user sees in red."""

    def check(mistake):
        bag = bag_of(mistake)
        assert not bag.import_errors
        capfd.readouterr()
        assert state_of(run_dag(bag.dags["mistake"])) == "failed"
        printed = capfd.readouterr().out
        seen = caplog.text if VERSION < (3, 0) else printed
        assert seen.count("Task failed with exception") == 1
        assert "Exception rendering Jinja template" not in printed + caplog.text
        assert "direct cause of the following exception" not in seen
        if VERSION >= (3, 3):  # an older one logs errors of its own, and Airflow 2 each error twice
            assert seen.count("Traceback (most recent call last)") == 1
            assert len(re.findall(r"\[error +\]", seen)) == 1
        assert says(seen, mistake)

    return check


def says(text, mistake):
    """Whether one line has all that the message must have."""
    return any(
        all(part in line for part in (mistake.value, mistake.where, mistake.remedy)) for line in text.splitlines()
    )


@pytest.mark.parametrize("name", PARSED)
def test_mistake_in_a_literal_is_the_import_error(bag_of, name):
    (error,) = bag_of(PARSED[name]).import_errors.values()
    assert error.count("Traceback (most recent call last)") <= 1
    assert says(error, PARSED[name])


@pytest.mark.parametrize("name", RUN)
def test_mistake_that_shows_when_the_task_runs_is_one_message(flora, fails_with, name):
    fails_with(RUN[name])


@pytest.mark.parametrize("name", CONNECTIONS)
def test_mistake_in_the_connection_is_one_message(flora, fails_with, name):
    changes, value, where, remedy = CONNECTIONS[name]
    flora.connect(**changes)
    fails_with(Mistake(picture(), value, where, remedy))


@pytest.mark.parametrize("name", HOSTS)
def test_mistake_in_the_host_is_one_message(flora, fails_with, name):
    pattern, replacement, value, where, remedy = HOSTS[name]
    flora.connect(host=re.sub(pattern, replacement, flora.server.base_url), port=None)
    fails_with(Mistake(picture(), value, where, remedy, retries=0))


def test_connection_that_is_missing_is_one_message(flora, fails_with):
    where = "connection 'flora_prod'"
    fails_with(
        Mistake(picture("flora_conn_id='flora_prod'"), "did not find it", where, "export AIRFLOW_CONN_FLORA_PROD")
    )


def test_workspace_without_credits_is_one_message(flora, fails_with):
    flora.inject(route="/generate", status=402, times=9)
    remedy = f"Top up the credits of workspace '{flora.sandbox.workspace_id}'"
    fails_with(Mistake(picture(), "402 insufficient_credits", TASK, remedy))
