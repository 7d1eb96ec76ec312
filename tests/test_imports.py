"""The client and what it knows of runs are of use without Airflow, and cost nothing that is not used."""

import pkgutil
import subprocess
import sys

import flora_provider.api
import flora_provider.api.calls
import flora_provider.runs

MODULES = [
    module.name
    for package in (flora_provider.api, flora_provider.api.calls, flora_provider.runs)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
]


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_imports_where_airflow_is_not_installed():
    code = f"""
import importlib, sys
sys.modules["airflow"] = None  # every import of it fails
for name in {MODULES!r}:
    importlib.import_module(name)
from flora_provider.api.client import AsyncFloraClient, FloraClient
FloraClient(api_key="k").close()
print(len([name for name in sys.modules if name.startswith("airflow.")]))
"""
    assert python(code) == "0\n"


def test_what_a_dag_file_pays_for_needs_the_standard_library_only():
    code = """
import sys
import flora_provider.api.checks, flora_provider.api.errors, flora_provider.runs.identity, flora_provider.runs.failures
print(sorted({"httpx", "pydantic", "pendulum", "anyio", "ssl", "asyncio"} & set(sys.modules)))
"""
    assert python(code) == "[]\n"
