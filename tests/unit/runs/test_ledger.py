"""Records: which are read, which is a request's, and what tells a clear from a retry."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.runs.errors import LedgerUnreadable
from flora_provider.runs.ledger import VERSION, Attempt, LedgerRecord, claim, find, is_cleared, load
from flora_provider.runs.moderation import ModeratedRun

FIRST = Attempt(try_number=1, max_tries=3, retries=3, clear_number=0, process="p")
RETRY = Attempt(try_number=2, max_tries=3, retries=3, clear_number=0, process="q")
VERSION_1 = {"clears": 2, "generation": 1, "key": "airflow-1-g1", "intended_at": 1.5, "run_id": "run_1"}


def record(fingerprint="a", **members):
    defaults = {"max_tries": 3, "retries": 3, "clear_number": 0, "key": "k", "key_version": 1, "intended_at": 0.0}
    return LedgerRecord(fingerprint=fingerprint, **defaults | members)


def of_try(attempt, *fingerprints):
    return [record(name, claimed_by=claim(attempt)) for name in fingerprints]


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_record_survives_json_without_nulls():
    kept = record(
        quoted_cost=0.1, search_query=(("limit", "100"),), search_for={"model_id": "m"}, body='{"prompt":"ä"}'.encode()
    )
    plain = kept.dump()
    assert load(json.loads(json.dumps(plain))) == kept
    assert None not in plain.values()
    assert record().dump()["version"] == VERSION


def test_record_of_the_first_version_is_read_as_the_current_requests():
    read = load(VERSION_1)
    assert (read.max_tries, read.key, read.run_id, read.fingerprint) == (2, "airflow-1-g1", "run_1", "")
    assert load({name: VERSION_1[name] for name in VERSION_1 if name != "run_id"}).run_id == ""
    found = find([read], Attempt(try_number=2, max_tries=2), "any")
    assert (found.record, found.is_changed) == (read, False)


def test_record_without_its_request_is_that_of_the_next_one_and_keeps_what_was_refused():
    refused = ModeratedRun(run_id="run_1", code="safety_blocked")
    kept = record(body=b'{"prompt":"a fern"}', run_id="run_2", seed={"seed": 7}, moderated=(refused,))
    plain = kept.without_request().dump()
    assert "prompt" not in json.dumps(plain)
    read = load(json.loads(json.dumps(plain)))
    assert (read.run_id, read.seed, read.moderated) == ("run_2", {"seed": 7}, (refused,))
    assert find([read], FIRST, "any") == find([read], FIRST, "a")
    assert not find([read], FIRST, "any").is_changed


def test_record_with_a_member_more_is_read():
    assert load({**record().dump(), "later": 3}) == record()
    assert load({**VERSION_1, "later": 1}).run_id == "run_1"


@pytest.mark.parametrize("missing", ["clears", "generation", "key", "intended_at"])
def test_record_with_a_member_less_is_an_error(missing):
    with pytest.raises(LedgerUnreadable, match=r"cannot be read.*nothing was sent"):
        load({name: value for name, value in VERSION_1.items() if name != missing})


@pytest.mark.parametrize("stored", [5, "text", [], {}, True, {"version": 3}, {"version": "2"}, {"version": None}])
def test_invalid_record_is_an_error(stored):
    with pytest.raises(LedgerUnreadable):
        load(stored)


@given(
    st.dictionaries(
        st.sampled_from([*VERSION_1, "version", "fingerprint", "max_tries"]),
        st.none() | st.text() | st.integers(),
        max_size=6,
    )
)
def test_record_is_either_read_with_its_key_or_refused(stored):
    try:
        read = load(stored)
    except LedgerUnreadable:
        return
    assert read.key == stored["key"]


def test_load_returns_none_if_nothing_is_stored():
    assert load(None) is None


# ── Which record is a request's ───────────────────────────────────────────────────────────────────────────────────────


def test_find_gives_a_new_request_the_next_slot():
    assert find([], FIRST, "a")[:3] == (0, None, False)
    assert find(of_try(FIRST, "a"), FIRST, "b")[:3] == (1, None, False)


def test_find_takes_the_record_of_an_equal_request_wherever_it_stands():
    records = of_try(FIRST, "a", "b", "c")
    assert [find(records, RETRY, name).number for name in "cab"] == [2, 0, 1]


def test_find_counts_equal_requests_of_one_try():
    records = of_try(FIRST, "a")
    second = find(records, FIRST, "a")
    assert (second.number, second.record, second.occurrence) == (1, None, 1)
    records += [record("a", occurrence=1, claimed_by=claim(FIRST))]
    assert find(records, RETRY, "a").number == 0
    records[0] = records[0].with_(claimed_by=claim(RETRY))
    assert find(records, RETRY, "a").number == 1


def test_find_knows_a_request_that_failed_in_this_try_again_and_takes_no_other_for_its_change():
    records = [record("a", claimed_by=claim(FIRST), is_released=True)]
    assert find(records, FIRST, "a").number == 0
    assert find(records, FIRST, "b")[:3] == (1, None, False)


def test_find_calls_another_request_in_the_same_position_a_change():
    records = of_try(FIRST, "a", "b")
    changed = find(records, RETRY, "x")
    assert (changed.number, changed.is_changed) == (0, True)
    records[0] = records[0].with_(claimed_by=claim(RETRY))
    assert find(records, RETRY, "y")[:1] == (1,)
    assert find(records, RETRY, "b").is_changed is False


def test_find_takes_a_request_at_the_end_of_a_list_for_a_new_one():
    """The list of a task lost its first item and got another last one: what is new is started, the rest is found."""
    records = of_try(FIRST, "a", "b", "c")
    for number in (1, 2):
        records[number] = records[number].with_(claimed_by=claim(RETRY))
    assert find(records, RETRY, "d")[:3] == (3, None, False)


def test_find_starts_anew_after_a_clear_and_counts_it():
    cleared = Attempt(try_number=2, max_tries=4, retries=3, clear_number=1)
    first = find(of_try(FIRST, "a", "b"), cleared, "a")
    assert (first.number, first.record, first.clear_count) == (0, None, 1)
    records = [record("a", max_tries=4, clear_number=1, clear_count=1, claimed_by=claim(cleared)), *of_try(FIRST, "b")]
    assert find(records, cleared, "b")[:3] == (1, None, False)


# ── Clears and retries ────────────────────────────────────────────────────────────────────────────────────────────────


def cleared(try_number, max_tries, *, retries=3, clear_number=0, before=3, **stored):
    stored = record(**{"max_tries": before, "retries": before, "clear_number": 0, **stored})
    attempt = Attempt(try_number=try_number, max_tries=max_tries, retries=retries, clear_number=clear_number)
    return is_cleared(stored, attempt)


CLEARED = {
    "retry": (cleared(2, 3), False),
    "retry of a try that failed": (cleared(2, 3, failed_try=1), False),
    "retry after the author lowered the retries": (cleared(2, 3, retries=2, failed_try=1), False),
    "max_tries that moved": (cleared(2, 4, clear_number=1), True),
    "fewer retries, which leave max_tries": (cleared(2, 1, retries=0, clear_number=1, before=1), True),
    "fewer retries after a failed try": (cleared(3, 3, retries=1, clear_number=1, failed_try=2), True),
    "running task, which leaves max_tries": (cleared(2, 3, clear_number=1, may_run_long=True), True),
    "another task, and this one failed by itself": (
        cleared(2, 3, clear_number=1, failed_try=1, may_run_long=True), False,
    ),
    "another task, and this one was killed in the seconds that it runs": (cleared(2, 3, clear_number=1), False),
}  # fmt: skip


@pytest.mark.parametrize(("found", "expected"), CLEARED.values(), ids=CLEARED)
def test_clear_is_distinguished_from_a_retry(found, expected):
    assert found == expected


@pytest.mark.parametrize("known", [(None, 1), (0, None)])
def test_clear_is_recognized_by_the_retries_without_a_clear_number(known):
    before, now = known
    stored = record(max_tries=1, retries=1, clear_number=before)
    lowered = Attempt(try_number=2, max_tries=1, retries=0, clear_number=now)
    assert is_cleared(stored, lowered)
    assert not is_cleared(stored.with_(failed_try=1), lowered)
    assert not is_cleared(stored, Attempt(try_number=2, max_tries=1, retries=1, clear_number=now))


@given(st.integers(0, 5), st.lists(st.booleans(), max_size=8))
def test_any_sequence_of_retries_and_clears_is_read_right_while_the_author_leaves_the_retries(retries, clears):
    max_tries, clear_number, tried = retries, 0, 1
    stored = record(max_tries=max_tries, retries=retries, clear_number=0)
    for is_clear in clears:
        stored = stored.with_(max_tries=max_tries, clear_number=clear_number, failed_try=0 if is_clear else tried)
        if is_clear:
            max_tries, clear_number = tried + retries, clear_number + 1
        tried += 1
        attempt = Attempt(try_number=tried, max_tries=max_tries, retries=retries, clear_number=clear_number)
        assert is_cleared(stored, attempt) == is_clear
