"""What docs/ says of containers, codes and names is true, and its links lead somewhere.

`test_docs_snippets.py` runs the snippets; `make docs` follows the links between pages.
"""

import ast
import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from flora_provider import sandbox
from flora_provider.api.models import Run
from flora_provider.runs.error_codes import _ADVICE, RetryAdvice
from flora_provider.sandbox.__main__ import _parser

ROOT = Path(__file__).parent.parent
REPOSITORY = "https://github.com/airflow-provider-flora/airflow-provider-flora"
DOCS = sorted((ROOT / "docs").rglob("*.md"))


def snippets(file, language):
    text = (ROOT / file).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_container_starts_the_sandbox_with_options_it_knows():
    (containerfile,) = snippets("docs/containers.md", "dockerfile")
    (compose,) = map(yaml.safe_load, snippets("docs/containers.md", "yaml"))
    entry_point = json.loads(re.search("^ENTRYPOINT (.*)$", containerfile, re.MULTILINE)[1])
    assert entry_point[:3] == ["python", "-m", "flora_provider.sandbox"]
    options = _parser().parse_args(entry_point[3:] + compose["services"]["flora"]["command"])
    assert f"127.0.0.1:{options.port}:{options.port}" in compose["services"]["flora"]["ports"]


def test_connection_of_the_composed_airflow_is_that_of_the_sandbox():
    (compose,) = map(yaml.safe_load, snippets("docs/containers.md", "yaml"))
    airflow = compose["services"]["airflow"]
    connection = json.loads(airflow["environment"]["AIRFLOW_CONN_FLORA_DEFAULT"])
    assert connection == json.loads(sandbox.Sandbox().connection_json("http://127.0.0.1:4711"))
    assert airflow["network_mode"] == "service:flora"  # so that its address is one of this machine


def test_image_has_all_that_the_sandbox_imports():
    (containerfile,) = snippets("docs/containers.md", "dockerfile")
    installed = shlex.split(re.search("&& pip install --no-cache-dir (.*)$", containerfile, re.MULTILINE)[1])
    trees = [ast.parse(path.read_bytes()) for path in Path(sandbox.__file__).parent.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    packages = {name.partition(".")[0].lower().replace("pil", "pillow") for name in names} - sys.stdlib_module_names
    # Those who test with the pytest plugin have the last two.
    assert packages - {"flora_provider", "pytest", "airflow"} == set(installed)


@pytest.mark.parametrize("file", [ROOT / "README.md", *DOCS], ids=lambda file: file.name)
def test_links_of_the_docs_lead_to_files(file):
    text = file.read_text(encoding="utf-8")
    paths = [file.parent / path for path in re.findall(r"\]\(([\w./-]+)[)#]", text)]
    paths += [ROOT / path for path in re.findall(rf"{REPOSITORY}/(?:blob|tree)/main/([\w./-]+)", text)]
    assert [path for path in paths if not path.exists()] == []


@pytest.mark.parametrize("file", [ROOT / "README.md", *DOCS], ids=lambda file: file.name)
def test_headings_that_are_linked_to_are_there(file):
    text = file.read_text(encoding="utf-8")
    for path, anchor in re.findall(rf"{REPOSITORY}/blob/main/([\w./-]+)#([\w-]+)", text):
        headings = re.findall(r"^#+ (.*)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_and_quickstart_show_the_same_dag():
    assert snippets("README.md", "python") == snippets("docs/quickstart.md", "python")


def test_finished_run_has_the_members_that_the_example_shows():
    (example,) = map(json.loads, snippets("docs/operators.md", "json"))
    output = {"output_id": "output_1", "type": "imageUrl", "url": "https://media.flora.ai/1.png"}
    run = Run.read({"run_id": "run_1", "status": "completed", "outputs": [output]}).to_dict()
    assert list(run) == list(example)
    assert list(run["outputs"][0]) == list(example["outputs"][0])


def test_sums_of_the_sizing_page_are_what_its_script_prints(capsys):
    (code,) = snippets("docs/sizing.md", "python")
    exec(code, {})  # noqa: S102 - the docs are ours
    assert [capsys.readouterr().out] == snippets("docs/sizing.md", "text")


def test_codes_of_the_docs_are_those_that_are_known():
    page = (ROOT / "docs" / "retries.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in page[page.index("| family |") :].splitlines() if "`" in line]
    families = ("RETRY_NOW", "RETRY_LATER", "CHANGE_INPUT", "MODERATED", "NEVER")
    on_page = {
        code.upper(): RetryAdvice[advice]
        for (_, codes), advice in zip(rows, families, strict=True)
        for code in re.findall(r"`(\w+)`", codes)
    }
    assert on_page == _ADVICE


def test_metrics_are_those_that_are_sent():
    from flora_provider.telemetry import metrics

    sent = {value for name, value in vars(metrics).items() if name.isupper() and str(value).startswith("flora.")}
    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(flora\.\w+)` \| (?:counter|timing)", page, re.MULTILINE)) == sent


def test_attributes_of_spans_are_those_that_are_sent():
    from dataclasses import fields

    from flora_provider.telemetry.facts import RunFacts

    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8").partition("## Traces")[2]
    named = {
        name
        for row in re.findall(r"^\| (`flora\.[^|]*) \|", page, re.MULTILINE)
        for name in re.findall(r"flora\.(\w+)", row)
    }
    assert named == {member.name for member in fields(RunFacts)} - {"reused"}
