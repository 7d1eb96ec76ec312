"""Every Python snippet of docs/ runs to its end against the sandbox, as do the commands of the quickstart.

A snippet is a file with DAGs, or tasks of one, or a script. Those of `testing.md` are tests, which pytest runs;
`test_docs.py` does the sums of `sizing.md`.
"""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from socket import create_server

import pendulum
import pytest
from PIL import Image

from flora_provider.files import read_manifest

ROOT = Path(__file__).parent.parent
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
SNIPPETS = [
    (page, code)
    for page, text in PAGES.items()
    for code in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if page not in {"sizing.md", "testing.md"}
]
DAY = pendulum.datetime(2026, 1, 1, tz="UTC")


def snippet(page, containing=""):
    (found,) = [code for of_page, code in SNIPPETS if of_page == page and containing in code]
    return found


def dags_of(code, folder):
    """The DAGs of a snippet; tasks without one get one of their own."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.providers.common.compat.sdk import DAG

    if re.search(r"^@dag\b|\bDAG\(", code, re.MULTILINE):
        folder.mkdir()
        (folder / "snippet.py").write_text(code)
        bag = DagBag(str(folder))
        assert bag.import_errors == {}
        return list(bag.dags.values())
    with DAG("snippet", schedule=None, start_date=DAY) as dag:
        exec(code, {})  # noqa: S102 - the docs are ours
    return [dag] if dag.tasks else []


def run_script(script, folder):
    """What a script prints that runs in a folder, without settings of this Airflow; what it has started is ended."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    process = subprocess.Popen(
        ["/bin/bash", "-c", script],
        env={**clean, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=900)[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, SIGKILL)


@pytest.fixture
def prepare(flora_sandbox, airflow_db, tmp_path, monkeypatch):
    """Have the paths of a snippet, and the connections that it names, lead to what there is."""
    key = flora_sandbox.sandbox.api_key
    http = {"conn_type": "http", "host": flora_sandbox.base_url, "password": key}
    monkeypatch.setenv("AIRFLOW_CONN_FLORA_HTTP", json.dumps(http))
    monkeypatch.setenv("FLORA_API_KEY", key)
    monkeypatch.setenv("FLORA_BASE_URL", flora_sandbox.base_url)
    monkeypatch.chdir(tmp_path)
    for folder in ("clips", "prompts"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "clips" / "fern.png")
    (tmp_path / "prompts" / f"{DAY.date()}.csv").write_text("prompt\na fern\na moss\n")

    def with_paths(code):
        return code.replace("/tmp/", f"{tmp_path}/").replace("s3://aws_default@bucket", str(tmp_path))

    return with_paths


@pytest.mark.parametrize(("page", "code"), SNIPPETS, ids=[page for page, _ in SNIPPETS])
def test_snippet_of_the_docs_succeeds(page, code, prepare, flora_sandbox, flora_run_dag, tmp_path):
    dags = dags_of(prepare(code), tmp_path / "dags")
    assert [flora_run_dag(dag, logical_date=DAY).state for dag in dags] == ["success"] * len(dags)
    assert flora_sandbox.sandbox.stats()["requests"]


def test_pipeline_of_the_docs_ends_with_a_clip_and_its_manifest(prepare, flora_sandbox, flora_run_dag, tmp_path):
    (dag,) = dags_of(prepare(snippet("operators.md")), tmp_path / "dags")
    assert flora_run_dag(dag).state == "success"
    (manifest,) = [read_manifest(path) for path in tmp_path.glob("clips/*/*.json")]
    assert (manifest.action, [file.media_type for file in manifest.files]) == ("speed-up-video", ["video/mp4"])
    assert len(flora_sandbox.runs) == 3


def test_batch_of_the_docs_saves_a_picture_for_each_row(prepare, flora_sandbox, flora_run_dag, tmp_path):
    (dag,) = dags_of(prepare(snippet("batch.md")), tmp_path / "dags")
    assert flora_run_dag(dag, logical_date=DAY).state == "success"
    assert len(list(tmp_path.glob("pictures/*/*.png"))) == 2
    assert flora_sandbox.sandbox.stats()["runs_billed"] == 2


def test_script_of_the_docs_makes_a_picture_each_time_and_shows_how_it_goes_on(prepare, flora_sandbox, tmp_path):
    command = [sys.executable, "-c", snippet("client.md", "FloraClient()")]
    for times in (1, 2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "fern.png").read_bytes().startswith(b"\x89PNG")
        assert flora_sandbox.sandbox.stats()["runs_billed"] == times
        run_id = done.stdout.strip()
        assert run_id.startswith("run_")
        assert f"FLORA run {run_id}: " in done.stderr
        (tmp_path / "fern.png").unlink()


def test_migrating_by_the_docs_asks_for_the_same_picture(prepare, flora_sandbox, flora_run_dag, tmp_path):
    for number, name in enumerate(("def poster_by_http", "def poster()")):
        (dag,) = dags_of(prepare(snippet("migrating.md", name)), tmp_path / f"dags_{number}")
        assert flora_run_dag(dag, logical_date=DAY).state == "success"
    before, after = flora_sandbox.runs
    assert (before.prompt, before.model, before.params) == (after.prompt, after.model, after.params)
    (saved,) = tmp_path.glob("posters/*.png")
    assert saved.read_bytes()[:4] == (tmp_path / "poster-0.png").read_bytes()[:4] == b"\x89PNG"


def test_quickstart_by_the_letter_makes_a_picture_and_then_has_one_refused(tmp_path):
    page = PAGES["quickstart.md"]
    blocks = [
        text for text in re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) if "sk_live" not in text
    ]
    commands = re.sub(r"^(python -m venv|pip) .*\n", "", "".join(blocks), flags=re.MULTILINE)
    with create_server(("127.0.0.1", 0)) as free:
        commands = commands.replace("4711", str(free.getsockname()[1]))
    (tmp_path / "postcards.py").write_text(snippet("quickstart.md").replace("/tmp/", f"{tmp_path}/"))
    script = f"trap 'kill %1' EXIT\n{commands}".replace("/tmp/", f"{tmp_path}/")
    script = script.replace("mkdir dags\n", "mkdir dags && mv postcards.py dags\n")
    output = run_script(script, tmp_path)
    made, refused = output.split("GENERATION_PROMPT_MODERATED", 1)
    (manifest,) = [read_manifest(path) for path in (tmp_path / "postcards").glob("*.json")]
    assert Path(manifest.files[0].path).name in made  # `ls` shows it
    assert "No retry can help" in refused
    assert "Pool flora created" in refused


def test_dag_is_tested_as_the_docs_say_in_a_folder_of_its_own(tmp_path):
    page = PAGES["testing.md"]
    dag = snippet("quickstart.md")
    tests = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "postcards.py").write_text(dag.replace("/tmp/postcards", str(tmp_path / "saved")))
    for number, text in enumerate(tests):
        (tmp_path / f"test_{number}.py").write_text(text)
    (commands,) = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    output = run_script(re.sub("^pip .*$", "set -e", commands, flags=re.MULTILINE), tmp_path)
    assert f"{''.join(tests).count('def test_')} passed" in output
