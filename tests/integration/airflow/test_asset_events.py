"""What the events of a task's outlets say about the run."""

import hashlib
import json

import pytest
from airflow.providers.common.compat.sdk import DAG, Asset, AssetAlias, get_current_context, task
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from flora_provider.tasks.asset_events import add_asset_events, event_extra
from tests.support.airflow_features import ALIAS_EVENTS_TAKE_LISTS

RUN = {
    "run_id": "run_1",
    "status": "completed",
    "outputs": [{"run_id": "run_1", "output_id": "o", "type": "imageUrl", "url": "https://s.example/a?sig=secret"}],
    "charged_cost": 0.04,
    "created_at": None,
    "started_at": None,
    "completed_at": None,
}
REQUEST = {
    "run_id": "run_1",
    "kind": "generation",
    "type": "image",
    "prompt": "a fern é",
    "model": "t2i-flux-2-pro",
    "model_params": {"image_url": "https://s.example/b?sig=secret"},
    "workspace_id": "ws_1",
    "project_id": "prj_1",
    "quoted_cost_usd": 0.05,
}
EXTRA = {
    "run_id": "run_1",
    "kind": "generation",
    "type": "image",
    "model": "t2i-flux-2-pro",
    "prompt_sha256": hashlib.sha256("a fern é".encode()).hexdigest(),
    "quoted_cost_usd": 0.05,
    "charged_cost_usd": 0.04,
    "files": ["s3://aws_default@bucket/run_1-o.png"],
}
FILES = ["s3://aws_default@bucket/run_1-o.png"]


def test_event_of_a_run_says_what_it_is_what_it_cost_and_where_its_files_are():
    assert event_extra(RUN, request=REQUEST, files=FILES) == EXTRA


def test_event_of_a_run_whose_request_is_not_known_says_what_the_run_tells():
    assert event_extra(RUN) == {"run_id": "run_1", "type": "image", "charged_cost_usd": 0.04, "files": []}


def test_event_of_a_run_without_a_bill_says_so():
    assert event_extra({**RUN, "charged_cost": None, "outputs": []})["charged_cost_usd"] is None


def test_event_holds_no_signature_and_no_password():
    extra = event_extra(
        RUN,
        request={**REQUEST, "model": "https://s.example/m?sig=secret"},
        files=["s3://me:secret@bucket/a", "https://s.example/a?sig=secret", "/data/a?b#c.png"],
    )
    assert "secret" not in json.dumps(extra)
    assert extra["files"] == ["s3://bucket/a", "https://s.example/a?…", "/data/a?b#c.png"]


@pytest.mark.parametrize("name", ["half \ud83d.png", "\x00.png"], ids=ascii)
def test_event_with_a_file_of_any_name_can_be_sent_and_stored(name):
    text = json.dumps(event_extra(RUN, request={"prompt": name}, files=[name]), ensure_ascii=False)
    text.encode()
    assert "\\u0000" not in text


def emitted(dag_run):
    """The URI and the extra of every asset event of a DAG run."""
    from airflow.utils.session import create_session

    if AIRFLOW_V_3_0_PLUS:
        from airflow.models.asset import AssetEvent, AssetModel
    else:
        from airflow.models.dataset import DatasetEvent as AssetEvent
        from airflow.models.dataset import DatasetModel as AssetModel
    id_column = AssetEvent.asset_id if AIRFLOW_V_3_0_PLUS else AssetEvent.dataset_id
    with create_session() as session:
        rows = session.query(AssetModel.uri, AssetEvent.extra).filter(
            AssetModel.id == id_column,
            AssetEvent.source_dag_id == dag_run.dag_id,
            AssetEvent.source_run_id == dag_run.run_id,
        )
        return [(uri, extra) for uri, extra in rows]


def run_with_outlets(run_dag, name, outlets, *, times=1, run=RUN):
    with DAG(name, schedule=None) as dag:

        @task(outlets=outlets)
        def describe():
            context = get_current_context()
            for _ in range(times):
                add_asset_events(context["task"], context, run, request=REQUEST, files=FILES)

        describe()
    dag_run = run_dag(dag)
    assert dag_run.state == "success"
    return emitted(dag_run)


@pytest.mark.parametrize("times", [1, 2])
def test_each_outlet_has_one_event_that_describes_the_run(run_dag, times):
    outlets = [Asset("s3://bucket/picture.png"), Asset("flora://ws_1/prj_1")]
    events = run_with_outlets(run_dag, f"outlets_{times}", outlets, times=times)
    assert sorted(events, key=lambda event: event[0]) == [
        ("flora://ws_1/prj_1", EXTRA),
        ("s3://bucket/picture.png", EXTRA),
    ]


@pytest.mark.parametrize("times", [1, 2])
def test_alias_gets_the_run_as_an_asset(run_dag, times):
    events = run_with_outlets(run_dag, f"alias_{times}", [AssetAlias("pictures")], times=times)
    files = FILES if ALIAS_EVENTS_TAKE_LISTS else json.dumps(FILES)
    assert events == [("flora://ws_1/prj_1/runs/run_1", {**EXTRA, "files": files})]


def test_event_that_cannot_be_described_costs_no_task(run_dag):
    events = run_with_outlets(run_dag, "undescribed", [Asset("s3://bucket/other.png")], run={"run_id": "run_1"})
    assert events == [("s3://bucket/other.png", {})]


def test_task_without_outlets_asks_nothing_of_airflow(generate):
    add_asset_events(generate(), {}, RUN, request=REQUEST)


def test_extra_of_the_users_own_stays(generate):
    outlet = Asset("s3://bucket/picture.png")

    class Events:
        def __init__(self):
            self.extra = {"shot": 3}

        def __getitem__(self, key):
            assert key is outlet
            return self

    events = Events()
    add_asset_events(generate(outlets=[outlet]), {"outlet_events": events}, RUN, request=REQUEST)
    assert events.extra["shot"] == 3
    assert events.extra["run_id"] == "run_1"
