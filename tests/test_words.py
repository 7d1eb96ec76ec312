"""Names of ours are the terms that an engineer of this field would search for, and none of our former private words."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("flora_provider", "example_dags", "tests", "devstack", "demo", "benchmarks")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]

# A name is refused if one of its words is one of these.
REFUSED = re.compile(
    "places?|look(s|ed|ing)?|saw|told|tells|tales?|story|stories|weather|fates?|arriving|catalogue|colours?|pacers?|pace"
    "|glue|patience|slowest|plague|oblivion|fleets?|witness(es)?|campaigns?|verdict|spoil(ed)?"
)
# These are refused as whole names.
REFUSED_NAMES = re.compile(
    "is_weather|vanished_for|gone_for|breath|_?ahead|singles|alone_for|_?at_once|overdue|unseen_end|tools|perform"
    "|is_for_flora|announced|came_from|_telling|in_worker|finish|own_params|tell_lost_wait|net_below|settled_after"
    "|hold_until|ends_task|pushes_result|refusal|_door|follow_run|watched|watcher|act|answers|failures|given|listed|missed"
    "|shown"
)


def names(tree):
    """Every name that a file gives to something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def words(name):
    """`sent_at`, `SENT_AT` and `SentAt` are `sent` and `at`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_are_plain_terms(path):
    found = {path.stem, *names(ast.parse(path.read_text(encoding="utf-8")))}
    # A test's name is a sentence, in which such a word may stand for itself.
    found = {name for name in found if not name.startswith("test_")}
    assert not {
        name for name in found if any(map(REFUSED.fullmatch, words(name))) or REFUSED_NAMES.fullmatch(name.lower())
    }
