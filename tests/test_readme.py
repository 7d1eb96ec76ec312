"""What the README says is executed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = {
    language: re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    for language in ("python", "bash", "json")
}


def snippet(containing):
    (found,) = [text for text in SNIPPETS["python"] if containing in text]
    return found


def test_every_python_snippet_is_executed_by_a_test_below():
    assert len(SNIPPETS["python"]) == 3


def test_the_dag_runs_and_saves_a_file(tmp_path, flora_sandbox, run_dag, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_FLORA_DEFAULT", flora_sandbox.connection_uri)
    file = tmp_path / "postcards.py"
    file.write_text(snippet("def postcards").replace("/tmp/postcards", str(tmp_path / "saved")))
    namespace = {"__name__": "postcards", "__file__": str(file)}
    exec(compile(file.read_text(), file, "exec"), namespace)  # noqa: S102 - the point of this test
    finished = run_dag(namespace["postcards"]())
    assert finished.state == "success"
    (picture,) = (tmp_path / "saved").iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert flora_sandbox.sandbox.stats()["runs_billed"] == 1


def test_the_script_lists_projects(flora_sandbox):
    environment = {
        **os.environ,
        "FLORA_API_KEY": flora_sandbox.sandbox.api_key,
        "FLORA_BASE_URL": flora_sandbox.base_url,
    }
    command = [sys.executable, "-c", snippet("FloraClient()")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_pytest_snippet_passes(tmp_path):
    lines = snippet("pytest_plugins").splitlines(keepends=True)
    (tmp_path / "conftest.py").write_text(lines[0])
    (tmp_path / "test_mine.py").write_text("".join(lines[1:]))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(tmp_path),
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pool_can_be_made(airflow_db):
    (command,) = [text for text in SNIPPETS["bash"] if text.startswith("airflow pools")]
    made = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(made, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "flora" in done.stdout


def test_the_connection_can_be_exported(monkeypatch):
    from flora_provider.hooks.flora import FloraHook

    (export,) = [text for text in SNIPPETS["bash"] if text.startswith("export")]
    shown = ["bash", "-c", f'{export}\nprintf %s "$AIRFLOW_CONN_FLORA_DEFAULT"']
    given = subprocess.run(shown, capture_output=True, text=True, timeout=10, check=True).stdout.replace("…", "123")
    monkeypatch.setenv("AIRFLOW_CONN_FLORA_DEFAULT", given)
    hook = FloraHook()
    assert hook.settings.api_key == "sk_live_123"
    assert hook.place(None, None) == {"workspace_id": "ws_123", "project_id": "prj_123"}


def test_the_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z]+)", README)) - {"a"}
    assert named
    assert named <= targets


def test_the_finished_run_has_the_members_that_the_example_shows():
    import json

    from flora_provider.api.models import Run

    (example,) = map(json.loads, SNIPPETS["json"])
    run = Run.read({"run_id": "run_1", "status": "completed"})
    assert list(run.to_dict()) == list(example)


@pytest.mark.parametrize("file", re.findall(r"\]\(([\w./]+)\)", README))
def test_links_lead_to_files(file):
    assert (ROOT / file).exists()
