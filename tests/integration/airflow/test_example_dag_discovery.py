"""Airflow 3.3 looks for the example DAGs of every provider, in a module that it names after the distribution."""

import importlib
import importlib.metadata
import subprocess
import sys
import textwrap

from airflow.providers.common.compat.sdk import DAG

from flora_provider import get_provider_info

DISTRIBUTION = "airflow-provider-flora"


def test_module_that_airflow_derives_from_the_distributions_name_is_there():
    assert get_provider_info()["package-name"] == DISTRIBUTION
    importlib.import_module(DISTRIBUTION.replace("-", "_"))


def test_distribution_ships_both_modules():
    files = importlib.metadata.files(DISTRIBUTION) or []
    shipped = {str(file) for file in files}
    editable = any(name.endswith(".pth") for name in shipped)  # a checkout that is installed in place
    assert editable or {"airflow_provider_flora.py", "flora_provider/__init__.py", "flora_provider/py.typed"} <= shipped


def test_airflow_discovers_the_bundles_of_examples_without_a_traceback(airflow_db, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")
    script = """
        import airflow.models
        try:
            from airflow.dag_processing.bundles.manager import DagBundlesManager
        except ImportError:  # Airflow 2 has no bundles, and looks for no examples of providers
            print("examples: its own")
        else:
            print("examples:", [bundle.name for bundle in DagBundlesManager().get_all_dag_bundles()])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120, check=True
    )

    said = done.stdout + done.stderr
    assert "examples:" in said
    assert "Could not load provider module" not in said
    assert "airflow_provider_flora" not in said


def test_log_of_a_task_has_no_traceback_of_the_discovery(run_dag, flora, generate, logged, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")
    with DAG("examples", schedule=None) as dag:
        generate()
    assert str(getattr(run_dag(dag).state, "value", "success")) == "success"
    assert "airflow_provider_flora" not in logged()
