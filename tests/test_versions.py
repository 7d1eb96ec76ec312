"""What is said of versions, in the Makefile, the workflow, the package and its pages, is the same."""

import re
import shutil
import subprocess
import tomllib
from itertools import product
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def cells():
    """Each Airflow with each of its Pythons, as `make matrix` tests them."""
    done = subprocess.run([shutil.which("make"), "-s", "cells"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [tuple(cell.split("-python")) for cell in done.stdout.split()]


def test_page_says_which_pythons_each_airflow_is_tested_on(cells):
    rows = re.findall(r"^\| (\d[\d.]+) \| ([\d., ]+) \|$", PAGE, re.MULTILINE)
    assert [(airflow, python) for airflow, pythons in rows for python in pythons.split(", ")] == cells


def test_workflow_runs_the_whole_matrix(cells):
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    matrix = jobs["airflows"]["strategy"]["matrix"]
    left_out = {(one["airflow"], one["python"]) for one in matrix["exclude"]}
    assert [cell for cell in product(matrix["airflow"], matrix["python"]) if cell not in left_out] == cells
    assert {"python": matrix["python"][1:]} == jobs["pythons"]["strategy"]["matrix"]


def test_oldest_and_newest_airflow_are_tested_before_a_change_lands(cells):
    script = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r"^make matrix-([\d.]+)", script, re.MULTILINE) == [cells[0][0], cells[-1][0]]


def test_pins_are_of_the_airflow_that_is_tested(cells):
    for airflow in {airflow for airflow, _ in cells}:
        pins = (ROOT / "constraints" / f"airflow-{airflow.rpartition('.')[0]}.txt").read_text().splitlines()
        assert f"apache-airflow=={airflow}" in pins


def test_package_names_the_pythons_that_it_is_tested_on(cells):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert named == sorted({python for _, python in cells})
    assert project["requires-python"] == f">={named[0]}"


def test_lowest_pins_are_what_the_package_asks_for():
    """But for Airflow itself, whose lowest series is meant, and asks for more of some."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints" / "lowest.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines)
    asked = [
        *project["dependencies"],
        *project["optional-dependencies"]["sandbox"],
        *project["optional-dependencies"]["parquet"],
    ]
    for name, lowest in (requirement.split(">=") for requirement in asked):
        assert f"{pins[name]}.".startswith(f"{lowest}."), name
