"""The plugin in a folder of somebody else: found by its entry point, without a line in a conftest."""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def run_pytest(tmp_path):
    """Run pytest on a file of tests in a folder of its own; return its exit code and what it printed."""

    def run(tests, *options, conftest="", **environment):
        (tmp_path / "conftest.py").write_text(conftest)
        (tmp_path / "test_file.py").write_text(tests)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        environment = {**os.environ, "PYTEST_ADDOPTS": "", **environment}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


USED = """
def test_fixture_is_there(flora_sandbox):
    assert flora_sandbox.runs == []
"""


def test_plugin_that_is_not_used_imports_nothing_that_takes_time(run_pytest):
    tests = """
import sys

def test_cost(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("flora")
    assert not {"airflow", "httpx", "pydantic", "uvicorn", "PIL", "flora_provider.sandbox.app"} & set(sys.modules)
"""
    # Those of others would count, too.
    code, output = run_pytest(tests, "-p", "flora", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert (code, "1 passed" in output) == (0, True), output


def test_each_test_has_a_sandbox_and_a_connection_of_its_own(run_pytest):
    tests = """
import json, os
import pytest

seen = []

def connection(name="FLORA_DEFAULT"):
    return json.loads(os.environ[f"AIRFLOW_CONN_{name}"])

@pytest.mark.parametrize("number", [1, 2])
def test_default(flora_sandbox, number):
    seen.append(connection()["host"])
    assert seen[-1] == flora_sandbox.base_url
    assert len(set(seen)) == number
    assert flora_sandbox.sandbox.settings.speed == 1000

@pytest.mark.flora_sandbox(conn_id="flora_team", speed=20, seed=7, idempotency="replay")
def test_marker(flora_sandbox, monkeypatch):
    monkeypatch.undo()
    assert connection("FLORA_TEAM") == json.loads(flora_sandbox.connection_uri)
    assert connection()["host"] == "http://127.0.0.1:9"
    settings = flora_sandbox.sandbox.settings
    assert (settings.speed, settings.seed, settings.idempotency) == (20, 7, "replay")

def test_afterwards():
    assert connection()["host"] == "http://127.0.0.1:9"
    assert "AIRFLOW_CONN_FLORA_TEAM" not in os.environ
"""
    mine = '{"conn_type": "flora", "host": "http://127.0.0.1:9"}'
    code, output = run_pytest(tests, "--strict-markers", AIRFLOW_CONN_FLORA_DEFAULT=mine)
    assert (code, "4 passed" in output) == (0, True), output


def test_option_that_the_marker_has_not_is_named(run_pytest):
    tests = """
import pytest

@pytest.mark.flora_sandbox(sped=20)
def test_misspelt(flora_sandbox): ...

@pytest.mark.flora_sandbox("flora_team")
def test_without_its_name(flora_sandbox): ...

@pytest.mark.flora_sandbox(speed=0)
def test_value(flora_sandbox): ...
"""
    code, output = run_pytest(tests)
    assert (code, "3 errors" in output) == (1, True), output
    assert "unexpected keyword argument 'sped'" in output
    assert "takes 0 positional arguments but 1 was given" in output
    assert "speed: must be a number above 0; got 0" in output


def test_no_flora_switches_it_off(run_pytest):
    code, output = run_pytest(USED, "-p", "no:flora")
    assert code == 1
    assert "fixture 'flora_sandbox' not found" in output


@pytest.mark.parametrize("options", [[], ["-p", "no:flora"]], ids=["beside the entry point", "without it"])
def test_plugin_may_be_named_in_a_conftest(run_pytest, options):
    named = 'pytest_plugins = ["flora_provider.sandbox.pytest_plugin"]'
    code, output = run_pytest(USED, *options, "--strict-markers", "-Werror", conftest=named)
    assert (code, "1 passed" in output) == (0, True), output


@pytest.mark.parametrize("package", ["PIL", "segno", "uvicorn"])
def test_missing_extra_is_named_where_the_fixture_is_used_and_nowhere_else(run_pytest, package):
    tests = f"{USED}\ndef test_something_else(): ...\n"
    code, output = run_pytest(tests, conftest=f"import sys; sys.modules[{package!r}] = None")
    assert (code, "1 passed, 1 error" in output) == (1, True), output
    assert "The sandbox needs uvicorn, Pillow and segno: pip install 'airflow-provider-flora[sandbox]'" in output
