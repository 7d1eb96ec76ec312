"""What Airflow shows of us: the connection's form, and the link on a task's page."""

import json
import logging
from importlib import resources

import jsonschema
from airflow.providers.common.compat.sdk import DAG
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from flora_provider import get_provider_info
from flora_provider.hooks.connection import CONNECTION_TYPE, EXTRA_FIELDS


def test_provider_info_is_what_this_airflow_accepts():
    schema = json.loads((resources.files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_form_is_what_this_airflow_documents():
    schema = json.loads((resources.files("airflow") / "provider.yaml.schema.json").read_text())
    jsonschema.validate(CONNECTION_TYPE, schema["properties"]["connection-types"]["items"])


def test_airflow_shows_the_form_without_a_warning(caplog, recwarn):
    from airflow.providers_manager import ProvidersManager

    caplog.set_level(logging.WARNING)
    manager = ProvidersManager()
    manager.initialize_providers_hooks()

    assert manager.hooks["flora"].hook_class_name == "flora_provider.hooks.flora.FloraHook"
    fields = {name.removeprefix("extra__flora__") for name in manager.connection_form_widgets if "__flora__" in name}
    assert fields == set(EXTRA_FIELDS)
    behaviour = manager.field_behaviours["flora"]
    assert behaviour["relabeling"] == {
        "password": "API key",
        "host": "Base URL",
        "port": "Port (443; Test wants one)",
    }
    assert "port" not in behaviour["hidden_fields"]
    assert "flora" not in caplog.text.lower()
    assert not [warning for warning in recwarn if "flora" in str(warning.message).lower()]


def test_each_member_of_the_extra_has_a_label_a_help_text_and_may_be_left_empty():
    for field in CONNECTION_TYPE["conn-fields"].values():
        assert field["label"]
        assert field["description"]
        assert "null" in field["schema"]["type"]


def test_extra_link_leads_to_the_project(run_dag, flora, generate):
    with DAG("link", schedule=None) as dag:
        generate()
    (ti,) = run_dag(dag).get_task_instances()
    assert link_of(dag.get_task("picture"), ti) == f"{flora.server.url}/projects/{flora.sandbox.project_id}"


def link_of(task, ti):
    """What the task's page shows: Airflow 3 keeps it as an XCom when the task ends, Airflow 2 asks for it."""
    (link,) = task.operator_extra_links
    if AIRFLOW_V_3_0_PLUS:
        return ti.xcom_pull(task_ids=ti.task_id, key=link.xcom_key)
    from airflow.models.taskinstancekey import TaskInstanceKey

    assert link.get_link(task, ti_key=TaskInstanceKey(ti.dag_id, "another", ti.run_id)) == ""
    return link.get_link(task, ti_key=ti.key)
