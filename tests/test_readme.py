"""What the README says is executed."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from flora_provider.files import read_manifest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = {
    language: re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    for language in ("python", "bash", "json")
}


def snippet(containing):
    (found,) = [text for text in SNIPPETS["python"] if containing in text]
    return found


def test_every_python_snippet_is_executed_by_a_test_below_or_of_the_docs():
    assert len(SNIPPETS["python"]) == 1


def test_the_dag_runs_as_the_readme_says(tmp_path):
    """In a folder of its own, as a user's first try would be; `test_docs.py` has the test of the DAG."""
    (tmp_path / "postcards.py").write_text(snippet("def postcards").replace("/tmp/postcards", str(tmp_path / "saved")))
    (commands,) = [text for text in SNIPPETS["bash"] if "airflow db migrate" in text]
    with socket.create_server(("127.0.0.1", 0)) as free:
        commands = commands.replace("4711", str(free.getsockname()[1]))
    script = f"set -e\n{commands}\n"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
    }
    process = subprocess.Popen(
        ["/bin/bash", "-c", script],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=300)
    finally:
        with suppress(ProcessLookupError):  # its sandbox, too
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output
    (manifest,) = [read_manifest(path) for path in (tmp_path / "saved").glob("*.json")]
    assert [Path(file.path).read_bytes().startswith(b"\x89PNG") for file in manifest.files] == [True]


def test_the_pool_can_be_made(airflow_db):
    (command,) = [text for text in SNIPPETS["bash"] if text.startswith("airflow pools")]
    made = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(made, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "flora" in done.stdout


def test_the_connection_can_be_exported(monkeypatch):
    from flora_provider.hooks.flora import FloraHook

    (export,) = [text for text in SNIPPETS["bash"] if text.startswith("export")]
    command = ["bash", "-c", f'{export}\nprintf %s "$AIRFLOW_CONN_FLORA_DEFAULT"']
    value = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.replace("…", "123")
    monkeypatch.setenv("AIRFLOW_CONN_FLORA_DEFAULT", value)
    hook = FloraHook()
    assert hook.settings.api_key == "sk_live_123"
    assert hook.scope(None, None) == {"workspace_id": "ws_123", "project_id": "prj_123"}


def test_the_first_commands_are_what_must_pass_before_a_change_lands():
    commands = SNIPPETS["bash"][0].splitlines()
    assert commands == ["make demo", "make test"]
    assert README.index(commands[1]) < README.index("## Use it")
    assert set(commands) <= set((ROOT / ".ci" / "run").read_text().splitlines())


def test_the_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z]+)", README)) - {"a"}
    assert named
    assert named <= targets


def test_links_are_absolute_as_the_page_of_a_release_needs_them():
    forms = (r"\]\(([^)\s]+)[^)]*\)", r"^\[[^]]+\]: (\S+)", r"(?:src|href)=[\"']([^\"']+)")
    targets = [target for form in forms for target in re.findall(form, README, re.MULTILINE)]
    targets += re.findall(r"^\[[\w-]+\]: (\S+)", README, re.MULTILINE)
    assert targets
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []


def test_links_within_the_page_lead_to_headings():
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors


@pytest.mark.parametrize(("kind", "path"), re.findall(r"/airflow-provider-flora/(blob|tree)/main/([\w./-]+)", README))
def test_links_to_the_repository_lead_to_files_and_folders(kind, path):
    target = ROOT / path
    assert target.is_dir() if kind == "tree" else target.is_file()


def test_labels_of_links_are_defined_and_used():
    used = re.findall(r"\]\[([\w-]+)\]", README)
    assert set(used) == set(re.findall(r"^\[([\w-]+)\]: ", README, re.MULTILINE))
