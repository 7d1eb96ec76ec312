"""The client and what it knows of runs are of use without Airflow, and cost nothing that is not used."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import flora_provider.api
import flora_provider.api.calls
import flora_provider.runs
from flora_provider import sandbox

MODULES = [
    module.name
    for package in (flora_provider.api, flora_provider.runs)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
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


def test_pure_tests_pass_where_airflow_is_not_installed():
    code = """
import sys, pytest
sys.modules["airflow"] = None
sys.exit(pytest.main(["tests/unit", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=quick"]))
"""
    assert " passed" in python(code)


def test_what_a_dag_file_pays_for_needs_the_standard_library_only():
    code = """
import sys
import flora_provider.api.validation, flora_provider.api.errors
import flora_provider.runs.intent, flora_provider.runs.error_codes
print(sorted({"httpx", "pydantic", "pendulum", "anyio", "ssl", "asyncio"} & set(sys.modules)))
"""
    assert python(code) == "[]\n"


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("api", "AsyncFloraClient FloraClient Settings calls download errors models upload webhooks"),
        ("runs", "RunRef wait_for_run"),
        ("files", "RunManifest SavedFile read_manifest save_run"),
        ("sandbox", " ".join(sandbox.__all__)),
    ],
)
def test_public_names_load_on_first_use(module, names):
    code = f"""
import sys, flora_provider.{module} as room
print(*room.__all__)
print(*sorted({{"httpx", "pydantic"}} & set(sys.modules)))
for name in room.__all__:
    getattr(room, name)
try:
    room.nothing
except AttributeError as error:
    print(error)
"""
    assert python(code).splitlines() == [names, "", f"module 'flora_provider.{module}' has no attribute 'nothing'"]


@pytest.mark.parametrize("path", sorted(Path(flora_provider.__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_file_of_the_provider_has_at_most_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300
