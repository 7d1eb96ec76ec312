"""The sensor's link: to the project of the task that started the run, else to the connection's."""

import httpx
import pytest
from airflow.providers.common.compat.sdk import DAG, task, task_group
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from flora_provider.links.flora import FloraRunLink
from flora_provider.operators.flora import FloraGenerateBatchOperator
from flora_provider.sensors.flora import FloraRunSensor
from tests.support.airflow_features import TRIGGERER_ENDS_TASKS
from tests.support.airflow_tasks import succeeded

OTHER = "prj_other"


def urls(dag, dag_run, task_id="finished"):
    """What the pages of a task's instances lead to, and XCom `flora_url`, by map index."""
    found = {}
    for ti in dag_run.get_task_instances():
        if ti.task_id != task_id:
            continue
        index = ti.map_index
        pushed = ti.xcom_pull(task_ids=task_id, key="flora_url", map_indexes=index)
        if AIRFLOW_V_3_0_PLUS:
            link = ti.xcom_pull(task_ids=task_id, key=FloraRunLink().xcom_key, map_indexes=index)
        else:
            link = FloraRunLink().get_link(dag.get_task(task_id), ti_key=ti.key)
        assert link == pushed
        found[index] = link
    return found


@pytest.fixture
def other(flora, flora_links):
    """A second connection, whose project is another one."""
    return flora.connect("other", extra={"project_id": OTHER})


@pytest.fixture
def flora_links(flora):
    return lambda project_id=None: f"{flora.server.url}/projects/{project_id or flora.sandbox.project_id}"


MODES = [{}, {"mode": "poke"}, {"mode": "reschedule"}]


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("form", ["output", "template"])
def test_sensor_has_the_link_of_the_task_that_started_the_run(
    flora, other, flora_links, run_dag, generate, wait_for, mode, form
):
    with DAG(f"link_{form}_{len(str(mode))}", schedule=None) as dag:
        started = generate()
        run_id = started.output if form == "output" else "{{ ti.xcom_pull('picture') }}"
        started >> wait_for(run_id, flora_conn_id=other, **mode)
    assert urls(dag, run_dag(dag)) == {-1: flora_links()}


def test_sensor_of_a_literal_run_id_has_the_link_of_the_connections_project(
    flora, other, flora_links, run_dag, wait_for
):
    with DAG("link_literal", schedule=None) as dag:
        wait_for(flora.start(), flora_conn_id=other, mode="poke")
    assert urls(dag, run_dag(dag)) == {-1: flora_links(OTHER)}


def test_sensor_of_another_kind_of_task_has_the_link_of_the_connections_project(
    flora, flora_links, run_dag, wait_for, logged
):
    run_id = flora.start()
    with DAG("link_function", schedule=None) as dag:

        @task
        def start():
            return run_id

        wait_for(start())
    assert urls(dag, run_dag(dag)) == {-1: flora_links()}
    assert "no link" not in logged()


def test_sensor_of_a_connection_without_a_project_has_no_link(flora, run_dag, wait_for):
    flora.connect("bare", extra={"project_id": None})
    with DAG("link_none", schedule=None) as dag:
        wait_for(flora.start(), flora_conn_id="bare", mode="poke")
    assert urls(dag, run_dag(dag)) == {-1: ""}


def test_mapped_sensor_has_the_link_of_the_same_map_index(flora, other, flora_links, run_dag, generate, wait_for):
    projects = [flora.sandbox.project_id, flora.sandbox.project_id]
    with DAG("link_mapped", schedule=None) as dag:
        started = type(generate()).partial(task_id="start", type="text", prompt="a fern", poll_interval=0.05)
        FloraRunSensor.partial(task_id="finished", flora_conn_id=other, poke_interval=0.05, mode="poke").expand(
            run_id=started.expand(project_id=projects).output
        )
    assert urls(dag, run_dag(dag)) == {0: flora_links(), 1: flora_links()}


def test_sensor_in_a_mapped_group_has_the_link_of_its_own_group(flora, other, flora_links, run_dag, generate, wait_for):
    with DAG("link_group", schedule=None) as dag:

        @task_group
        def one(prompt):
            wait_for(generate(prompt=prompt).output, flora_conn_id=other, mode="poke")

        one.expand(prompt=["a fern", "a moss"])
    assert urls(dag, run_dag(dag), "one.finished") == {0: flora_links(), 1: flora_links()}


def test_sensors_link_opens_the_projects_page_of_the_sandbox(flora, flora_links, one_task, wait_for):
    sensor = one_task(wait_for(flora.start()))
    sensor.run()
    assert sensor.xcoms["flora_url"] == flora_links()
    assert httpx.get(sensor.xcoms["flora_url"], trust_env=False).status_code == 200


if TRIGGERER_ENDS_TASKS:
    from airflow.sdk.execution_time import task_runner

    from flora_provider.triggers import ending
    from flora_provider.triggers import flora as module
    from tests.support.triggerer_wire import Supervisor, in_triggerer, succeeds_in_triggerer
    from tests.support.triggers import trigger_for

    LINK_KEYS = ("flora_url", FloraRunLink().xcom_key)

    @pytest.fixture
    def supervisor(monkeypatch):
        supervisor = Supervisor()
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        monkeypatch.setattr(ending, "MIN_DEFERRAL", 0.1)
        monkeypatch.setattr(module, "RETRIES_FOR", 0.2)
        monkeypatch.setattr(module, "RETRY_PAUSE", 0.05)
        return supervisor

    def started_in_triggerer(run_id="", **kwargs):
        return in_triggerer(trigger_for(run_id, end_from_trigger=True, **kwargs), task=object())

    def links(supervisor):
        return {supervisor.xcoms.get(("finished", key)) for key in LINK_KEYS}

    def test_wait_that_starts_in_the_triggerer_pushes_the_link_of_the_task_that_started_the_run(flora, supervisor):
        supervisor.xcoms |= {("start", "return_value"): flora.start(), ("start", "flora_url"): "https://f.example/p"}
        source = {"task_id": "start", "key": "return_value"}
        assert succeeds_in_triggerer(started_in_triggerer(run_id_from=source, link_from="start"))
        assert links(supervisor) == {"https://f.example/p"}

    @pytest.mark.parametrize("pushed", [None, "", 7])
    def test_wait_that_starts_in_the_triggerer_falls_back_to_the_connections_project(
        flora, flora_links, supervisor, pushed
    ):
        supervisor.xcoms["start", "flora_url"] = pushed
        assert succeeds_in_triggerer(started_in_triggerer(flora.start(), link_from="start"))
        assert links(supervisor) == {flora_links()}

    def test_wait_that_starts_in_the_triggerer_goes_on_without_a_link(flora, supervisor, logged):
        supervisor.xcom_errors = [RuntimeError("api-server is restarting")]
        assert succeeds_in_triggerer(started_in_triggerer(flora.start()))
        assert links(supervisor) == {None}
        assert "no link to FLORA: RuntimeError" in logged()

    def test_wait_that_a_worker_deferred_pushes_no_link(flora, supervisor):
        assert succeeds_in_triggerer(in_triggerer(trigger_for(flora.start(), end_from_trigger=True)))
        assert links(supervisor) == {None}

    @pytest.mark.parametrize("form", ["output", "template", "a function's"])
    def test_sensor_tells_the_triggerer_whose_link_it_has(generate, wait_for, form):
        with DAG("link_source", schedule=None):
            started = generate()

            @task
            def start():
                pass

            forms = {"output": started.output, "template": "{{ ti.xcom_pull('picture') }}", "a function's": start()}
            sensor = wait_for(forms[form])
        source = sensor.start_trigger_args.trigger_kwargs["link_from"]
        assert source == (None if form == "a function's" else "picture")


@pytest.mark.parametrize("deferrable", [True, False])
def test_batch_has_the_link_of_the_connections_project(flora, run_dag, flora_links, tmp_path, deferrable):
    with DAG(f"link_batch_{deferrable}", schedule=None) as dag:
        FloraGenerateBatchOperator(
            task_id="batch",
            requests=[{"type": "image", "prompt": "a fern", "workspace_id": flora.sandbox.workspace_id}],
            save_outputs_to=str(tmp_path),
            deferrable=deferrable,
            poll_interval=0.05,
        )
    dag_run = run_dag(dag)
    assert succeeded(dag_run)
    assert urls(dag, dag_run, "batch") == {-1: flora_links()}
