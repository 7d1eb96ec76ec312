"""The key of one intended run: what makes it another one, and that nothing else does."""

import re
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api import calls
from flora_provider.runs.intent import Intent
from tests.support.strategies import texts

INTENT = Intent(
    dag_id="pictures",
    task_id="fern",
    run_id="scheduled__2026-01-01T00:00:00+00:00",
    map_index=-1,
    dag_run_started="2026-01-01T00:00:03+00:00",
    connection="flora_default https://app.flora.ai/api/v1",
    clears=0,
    body=b'{"prompt":"a fern"}',
)
# Keys must survive an upgrade of the provider in the middle of a DAG run. Whoever changes these two pays twice.
KEY = "airflow-4c0cba9ea29f3f5ace9e148aecb89027-g1"
KEY_OF_A_MAPPED_TASK = "airflow-9cb8bbe864abd22fc9baf981c8061b81-g1"

words = texts(max_size=30)
intents = st.builds(
    Intent,
    dag_id=words,
    task_id=words,
    run_id=words,
    map_index=st.integers(-1, 2000),
    dag_run_started=words,
    connection=words,
    clears=st.integers(0, 100),
    body=st.binary(max_size=30),
)


def test_key_is_the_one_that_other_processes_and_earlier_versions_send():
    assert INTENT.key(1) == KEY
    mapped = replace(INTENT, dag_id="Bilder äöü", map_index=7, clears=3, body=b"\x00\xff")
    assert mapped.key(1) == KEY_OF_A_MAPPED_TASK


INGREDIENTS = {
    "dag_id": "pictures2",
    "task_id": "moss",
    "run_id": "manual__1",
    "map_index": 0,
    "dag_run_started": "2026-01-01T00:00:04+00:00",
    "connection": "other https://app.flora.ai/api/v1",
    "clears": 1,
    "body": b'{"prompt":"a moss"}',
    "own_key": "order-1",
    "clear_number": 1,
    "occurrence": 1,
}


@pytest.mark.parametrize(("name", "other"), INGREDIENTS.items())
def test_every_ingredient_makes_another_key(name, other):
    assert replace(INTENT, **{name: other}).key(1) != INTENT.key(1)


def test_key_has_no_other_ingredients():
    """A retry must derive the same key, so nothing that it changes may come in: this list is complete on purpose."""
    counts_for_own_keys_only = {"clear_count"}
    assert {field.name for field in fields(Intent)} == INGREDIENTS.keys() | counts_for_own_keys_only


@given(intents, intents)
def test_only_the_same_intent_has_the_same_key(one, other):
    assert (one.key(1) == other.key(1)) == (one == other)


@given(intents, texts(min_size=1, max_size=10))
def test_key_changes_if_text_moves_from_one_name_to_the_next(intent, text):
    one = replace(intent, dag_id=intent.dag_id + text)
    other = replace(intent, task_id=text + intent.task_id)
    assert one.key(1) != other.key(1)


@given(intents, st.integers(1, 10_000))
def test_key_is_20_to_64_url_safe_characters_and_reveals_no_ingredient(intent, key_version):
    key = intent.key(key_version)
    assert re.fullmatch(r"airflow-[0-9a-f]{32}-g[1-9][0-9]*", key)
    assert 20 <= len(key) <= 64
    assert calls.generate(type="image", prompt="p", workspace_id="ws_1", project_id="prj_1").with_key(key).resendable


@given(intents, st.lists(st.integers(1, 10_000), min_size=2, unique=True))
def test_every_key_version_has_its_own_key(intent, key_versions):
    assert len({intent.key(key_version) for key_version in key_versions}) == len(key_versions)


@given(intents, intents)
def test_own_key_is_used_unchanged_whatever_the_rest(one, other):
    keys = [replace(intent, own_key="order-1").key(1) for intent in (one, other)]
    assert keys == ["order-1", "order-1"]


def test_own_key_counts_key_versions_and_clears():
    own = replace(INTENT, own_key="order-1")
    assert [own.key(key_version) for key_version in (1, 2, 3)] == ["order-1", "order-1-g2", "order-1-g3"]
    assert [replace(own, clear_count=1).key(key_version) for key_version in (1, 2)] == ["order-1-c1", "order-1-c1-g2"]


@given(st.integers(200, 255), st.integers(0, 3), st.integers(1, 3))
def test_own_key_of_any_length_stays_sendable_and_distinct(length, clear_count, key_version):
    keys = [replace(INTENT, own_key=last.rjust(length, "k"), clear_count=clear_count).key(key_version) for last in "ab"]
    assert len(set(keys)) == 2
    assert all(len(key) <= 255 for key in keys)
