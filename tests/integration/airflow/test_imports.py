"""What every DAG file pays at every parse: no HTTP client, no models."""

import json
import subprocess
import sys
import textwrap

import pytest

MODULES = [
    "flora_provider",
    "flora_provider.operators.flora",
    "flora_provider.sensors.flora",
    "flora_provider.triggers.flora",
    "flora_provider.links.flora",
]
AIRFLOW = """
    try:
        import airflow.sdk
    except ImportError:
        import airflow.models
    from airflow.providers.common.compat.sdk import DAG, BaseOperator, BaseSensorOperator, task
"""
HEAVY = ("httpx", "pydantic", "uvicorn", "PIL", "flora_provider.sandbox", "flora_provider.hooks.flora")
ONLY = {
    "flora_provider.api",
    *(f"flora_provider.api.{name}" for name in ("validation", "errors", "settings", "text", "urls")),
}


def modules_after(code, before=""):
    """The modules that `code` loads, and what was loaded without it."""
    script = f"""
    import json, sys
    {before}
    had = set(sys.modules)
    {code}
    print(json.dumps([sorted(had), sorted(set(sys.modules) - had)]))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], check=True, capture_output=True, text=True
    )
    return [set(names) for names in json.loads(done.stdout.splitlines()[-1])]


TASKS = """
    G(task_id="a", type="image", prompt="a fern", model_params={"seed": 1}, callback_url="https://example.com/flora")
    G.partial(task_id="b", type="image").expand(prompt=["a", "b"])
    S(task_id="c", run_id="run_1")
"""


def test_dag_file_with_tasks_of_ours_loads_neither_the_http_client_nor_the_models():
    names = "G = flora_provider.operators.flora.FloraGenerateOperator; S = flora_provider.sensors.flora.FloraRunSensor"
    had, added = modules_after(f"import {', '.join(MODULES)}\n    {names}\n{TASKS}", before=AIRFLOW.strip())
    assert {name for name in had | added if name.startswith("flora_provider.api")} <= ONLY
    # What stands on them is loaded with Airflow already, or not at all.
    assert not [name for name in added if name in HEAVY or name.startswith(("httpx.", "httpcore"))]


@pytest.mark.parametrize("module", ["flora_provider", "flora_provider.hooks.connection", "flora_provider.api.errors"])
def test_module_that_airflow_reads_at_its_start_needs_only_the_standard_library(module):
    _, added = modules_after(f"import {module}; import flora_provider; flora_provider.get_provider_info()")
    foreign = {name.partition(".")[0] for name in added} - set(sys.stdlib_module_names) - {"flora_provider"}
    assert not foreign
