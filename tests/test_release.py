"""What a release is made of agrees: version, changelog, tag, metadata, the registry's list and the hosted workflow."""

import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import flora_provider

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / ".github" / "release_notes.py"
REPOSITORY = "https://github.com/airflow-provider-flora/airflow-provider-flora"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

CHANGELOG = f"""# Changelog

## [Unreleased]

## [0.2.0] - 2026-12-24

### Added

- A second thing.

## [0.1.0] - 2026-11-27

### Added

- A first thing.

[Unreleased]: {REPOSITORY}/compare/v0.2.0...HEAD
[0.2.0]: {REPOSITORY}/compare/v0.1.0...v0.2.0
[0.1.0]: {REPOSITORY}/releases/tag/v0.1.0
"""


def release_notes(folder, changelog, *, version="0.2.0", tag="v0.2.0", readme=""):
    """Runs the script of the workflow in a repository that has no more than what it reads."""
    (folder / ".github").mkdir()
    (folder / "flora_provider").mkdir()
    (folder / "flora_provider" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(changelog)
    (folder / "README.md").write_text(readme)
    script = shutil.copy(SCRIPT, folder / ".github")
    return subprocess.run([sys.executable, script, tag], capture_output=True, text=True, timeout=30, check=False)


def test_changelog_and_version_are_in_step(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    script = importlib.import_module(SCRIPT.stem)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert script.problems(changelog, flora_provider.__version__) == []


def test_notes_of_a_release_are_its_part_of_the_changelog(tmp_path):
    done = release_notes(tmp_path, CHANGELOG)
    assert (done.returncode, done.stdout, done.stderr) == (0, "### Added\n\n- A second thing.\n", "")


@pytest.mark.parametrize(
    ("changes", "old", "new", "problem"),
    [
        ({"tag": "v0.2.1"}, "", "", "the tag is v0.2.1, but __version__ is 0.2.0"),
        ({"readme": "Until its first release on PyPI, install it from a clone"}, "", "", "install from PyPI"),
        ({"version": "0.3.0"}, "", "", "the newest release is 0.2.0, but __version__ is 0.3.0"),
        ({}, "## [Unreleased]\n\n", "", "its first heading is not [Unreleased]"),
        ({}, "## [Unreleased]\n", "## [Unreleased]\n\n- A third thing.\n", "something stands under [Unreleased] still"),
        ({}, "### Added\n\n- A second thing.\n", "", "nothing stands under ## [0.2.0]"),
        ({}, " - 2026-12-24", "", "the heading of 0.2.0 has no date"),
        ({}, "v0.1.0...v0.2.0", "v0.1.0...HEAD", f"the link of [0.2.0] is not {REPOSITORY}/compare/v0.1.0...v0.2.0"),
        ({}, "v0.2.0...HEAD", "v0.1.0...HEAD", f"the link of [Unreleased] is not {REPOSITORY}/compare/v0.2.0...HEAD"),
        ({}, "releases/tag/v0.1.0", "tree/v0.1.0", f"the link of [0.1.0] is not {REPOSITORY}/releases/tag/v0.1.0"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_tag_is_refused_that_is_out_of_step(tmp_path, changes, old, new, problem):
    done = release_notes(tmp_path, CHANGELOG.replace(old, new, 1) if old else CHANGELOG, **changes)
    assert (done.returncode, done.stdout) == (1, "")
    assert problem in done.stderr


def test_links_of_the_project_are_there():
    urls = PROJECT["urls"]
    assert urls.keys() == {"Homepage", "Documentation", "Source", "Changelog", "Issues"}
    assert {url for name, url in urls.items() if name != "Documentation" and not url.startswith(REPOSITORY)} == set()
    assert "@" in PROJECT["authors"][0]["email"]


def test_extras_are_for_users_and_each_python_that_is_named_is_tested():
    assert PROJECT["optional-dependencies"].keys() == {"sandbox", "parquet"}
    pythons = {name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)}
    hosted = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert pythons == set(re.findall(r'"(3\.\d+)"', hosted))


def test_registry_lists_what_the_provider_info_offers():
    registry = yaml.safe_load((ROOT / ".astro-registry.yaml").read_text(encoding="utf-8"))
    info = flora_provider.get_provider_info()
    assert registry["package-name"] == PROJECT["name"] == info["package-name"]
    assert registry["display-name"] == info["name"]
    kinds = ("hooks", "operators", "sensors", "triggers")
    entries = [entry["module"].rpartition(".") for kind in kinds for entry in registry[kind]]
    named = {name for kind in kinds for entry in info[kind] for name in entry["python-modules"]}
    named |= {entry["python-module"] for entry in info["transfers"]}
    members = [member for name in named for member in vars(importlib.import_module(name)).items()]
    ours = {member for name, member in members if re.fullmatch(r"\w*Flora\w*(Hook|Operator|Sensor|Trigger)", name)}
    assert len(entries) == len(ours)
    assert {getattr(importlib.import_module(module), name) for module, _, name in entries} == ours


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_to_a_major_version_or_a_commit(workflow):
    actions = re.findall(r"uses: (\S+)", workflow.read_text(encoding="utf-8"))
    assert actions
    assert [one for one in actions if not re.search(r"@(v\d+|release/v\d+|[0-9a-f]{40})$", one)] == []


def test_release_is_built_once_and_published_without_a_stored_secret():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert text.count("make dist") == 1
    assert "secrets." not in text
    assert {name: job["permissions"] for name, job in jobs.items() if "permissions" in job} == {
        "publish": {"id-token": "write"},
        "announce": {"contents": "write"},
    }
    assert set(jobs["publish"]["needs"]) == {"test", "install"}
    assert jobs["install"]["needs"] == "build"
    assert jobs["announce"]["needs"] == "publish"
