"""This Airflow gives what docs/versions.md says of it."""

import re
from pathlib import Path

import pytest

from flora_provider.triggers import ending
from tests.support import airflow_features as features

PAGE = (Path(__file__).parents[3] / "docs" / "versions.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def column():
    """What the page says of this Airflow, by the first words of each line."""
    header, _, *rows = re.search(r"^(\| \|.*\n(\|.*\n)+)", PAGE, re.MULTILINE)[0].splitlines()
    number = cells_of(header).index(".".join(map(str, features.VERSION[:2])))
    return {cells[0]: cells[number] for cells in map(cells_of, rows)}


def cells_of(row):
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_page_says_what_this_airflow_has(column):
    said = iter(column.values())
    assert next(said) == yes(features.HAS_TASK_STATE_STORE)
    assert next(said) == next(said) == yes(features.TRIGGERER_ENDS_TASKS)
    assert next(said) == yes(features.HAS_RETRY_POLICIES)
    assert next(said) == yes(features.LETS_CLASSES_PASS)
    assert next(said) in (["yes", "with FAB"] if features.DRAWS_FORMS else ["with FAB"])
    assert next(said) == yes(features.READS_FORMS_FROM_PROVIDER_INFO)
    assert next(said) == ("list" if features.ALIAS_EVENTS_TAKE_LISTS else "JSON text")
    assert next(said, None) is None


def yes(there):
    return "yes" if there else "no"


def test_provider_leaves_to_the_triggerer_what_this_airflow_lets_it():
    assert ending.TRIGGERER_ENDS_TASKS == features.TRIGGERER_ENDS_TASKS
