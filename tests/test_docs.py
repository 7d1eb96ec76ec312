"""What docs/ says of testing is executed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))


def snippets(file, language):
    text = (ROOT / file).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_dag_is_tested_as_the_docs_say_in_a_folder_of_its_own(tmp_path):
    (dag,) = [text for text in snippets("README.md", "python") if "def postcards" in text]
    tests = [
        text for file in ("README.md", "docs/testing.md") for text in snippets(file, "python") if "def test" in text
    ]
    (tmp_path / "postcards.py").write_text(dag.replace("/tmp/postcards", str(tmp_path / "saved")))
    for number, text in enumerate(tests):
        (tmp_path / f"test_{number}.py").write_text(text)
    (commands,) = snippets("docs/testing.md", "bash")
    script = re.sub("^pip .*$", "set -e", commands, flags=re.MULTILINE)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{''.join(tests).count('def test_')} passed" in done.stdout


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_links_of_the_docs_lead_to_files(file):
    for path in re.findall(r"\]\(([\w./]+)[)#]", file.read_text(encoding="utf-8")):
        assert (file.parent / path).exists(), path
