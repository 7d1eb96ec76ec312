"""What Airflow shows of us: the connection's form, and the link on a task's page."""

import json
import logging
import os
import re
import subprocess
import sys
from importlib import resources

import jsonschema
import pytest
from airflow.providers.common.compat.sdk import DAG
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from flora_provider import get_provider_info
from flora_provider.hooks.connection import CONNECTION_TYPE, EXTRA_FIELDS
from tests.support.airflow_features import DRAWS_FORMS


def test_provider_info_is_what_this_airflow_accepts():
    schema = json.loads((resources.files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_form_is_what_this_airflow_documents():
    schema = json.loads((resources.files("airflow") / "provider.yaml.schema.json").read_text())
    jsonschema.validate(CONNECTION_TYPE, schema["properties"]["connection-types"]["items"])


# What the form of Airflow 3 is drawn from. In a process of its own, for it puts mocks in the place of modules.
FORM = """
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
(form,) = [one for one in HookMetaService.hook_meta_data() if one.connection_type == "flora"]
print(form.model_dump_json())
"""


def form_of_airflow_2():
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    manager.initialize_providers_hooks()
    behaviour = manager.field_behaviours["flora"]
    widgets = manager.connection_form_widgets
    assert manager.hooks["flora"].hook_class_name == "flora_provider.hooks.flora.FloraHook"
    return (
        {name.removeprefix("extra__flora__") for name in widgets if name.startswith("extra__flora__")},
        behaviour["relabeling"],
        set(behaviour["hidden_fields"]),
    )


def form_of_airflow_3():
    environment = os.environ | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}
    command = [sys.executable, "-W", "always", "-c", FORM]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    *printed, form = done.stdout.splitlines()
    assert not [line for line in [*printed, *done.stderr.splitlines()] if re.search("FloraHook|flora_provider", line)]
    form = json.loads(form)
    assert form["hook_class_name"] == "flora_provider.hooks.flora.FloraHook"
    standard = {"schema" if name == "url_schema" else name: one for name, one in form["standard_fields"].items() if one}
    return (
        set(form["extra_fields"]),
        {name: one["title"] for name, one in standard.items() if one["title"]},
        {name for name, one in standard.items() if one["hidden"]},
    )


@pytest.mark.skipif(not DRAWS_FORMS, reason="this Airflow draws no provider's form without the FAB provider")
def test_airflow_shows_the_form_without_a_warning(caplog, recwarn):
    caplog.set_level(logging.WARNING)

    fields, labels, hidden = form_of_airflow_3() if AIRFLOW_V_3_0_PLUS else form_of_airflow_2()

    assert fields == set(EXTRA_FIELDS)
    assert labels == {"password": "API key", "host": "Base URL", "port": "Port (443; Test wants one)"}
    assert hidden == {"schema", "login"}
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
