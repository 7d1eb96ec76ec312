import json
import logging

import pytest

from flora_provider.api.errors import FloraConnectionError, FloraInputError
from flora_provider.api.http.flow import Response
from flora_provider.api.settings import Settings
from flora_provider.catalog import lookup

ACCOUNT = ("https://a.com/api/v1", "hash")
MODEL = {"model_id": "t2i-x", "name": "X", "type": "image", "params": []}
TECHNIQUE = {"technique_id": "tech_1", "name": "T", "run_cost": 1, "inputs": [], "outputs": []}
ACTION = {"action_id": "act", "name": "A"}
NOT_FOUND = Response(404, body=b'{"error": {"code": "not_found", "message": "No."}}')


@pytest.fixture
def cache():
    return lookup.CatalogCache()


def ok(data):
    return Response(200, body=json.dumps(data).encode())


def models(*rows, cursor=None):
    return ok({"models": list(rows), "meta": {"next_cursor": cursor}})


def judge(definition):
    return definition, [] if definition and definition[0].name == "good" else ["refused"]


def test_models_are_read_once_an_hour(runner, context, cache):
    [row] = runner.run(lookup.models(context, ACCOUNT, cache=cache), models(MODEL))
    assert row.model_id == "t2i-x"
    runner.now += 3600
    assert runner.run(lookup.models(context, ACCOUNT, cache=cache)) == (row,)
    runner.now += 1
    assert runner.run(lookup.models(context, ACCOUNT, cache=cache), models(MODEL)) == (row,)


def test_models_of_all_pages_are_read(runner, context, cache):
    second = MODEL | {"model_id": "t2i-y"}
    rows = runner.run(lookup.models(context, ACCOUNT, cache=cache), models(MODEL, cursor="c"), models(second))
    assert [row.model_id for row in rows] == ["t2i-x", "t2i-y"]


def test_accounts_and_definitions_have_copies_of_their_own(runner, context, cache):
    for account in (ACCOUNT, ("https://a.com/api/v1", "other")):
        assert runner.run(lookup.technique("tech_1", context, account, cache=cache), ok(TECHNIQUE)).name == "T"
        assert runner.run(lookup.action("act", context, account, cache=cache), ok(ACTION)).name == "A"
    assert len(cache) == 4
    cache.clear()
    assert len(cache) == 0


def test_cache_is_bounded():
    cache = lookup.CatalogCache(max_entries=2)
    for number in range(5):
        cache.put((number,), lookup.CatalogCopy(1, at=0.0))
    assert len(cache) == 2
    assert cache.get((4,), now=0.0)
    assert cache.get((0,), now=0.0) is None


def test_copy_from_the_future_is_not_used():
    cache = lookup.CatalogCache()
    cache.put((1,), lookup.CatalogCopy(1, at=10.0))
    assert cache.get((1,), now=9.0) is None


def test_catalog_that_cannot_be_had_is_none_after_one_warning(runner, context, cache, caplog):
    failure = FloraConnectionError("down")
    with caplog.at_level(logging.WARNING, lookup.__name__):
        assert runner.run(lookup.models(context, ACCOUNT, cache=cache), failure, failure) is None
        assert runner.run(lookup.models(context, ACCOUNT, cache=cache)) is None
    assert [record.name for record in caplog.records].count(lookup.__name__) == 1
    assert "sent unchecked" in caplog.text
    runner.now += 61
    assert runner.run(lookup.models(context, ACCOUNT, cache=cache), models(MODEL))


@pytest.mark.parametrize(
    "answer", [Response(200, body=b"<html>"), ok({"models": 5}), ok([]), Response(403), Response(404), NOT_FOUND]
)
def test_unreadable_list_of_models_is_none(runner, context, cache, answer):
    assert runner.run(lookup.models(context, ACCOUNT, cache=cache), answer) is None


@pytest.mark.parametrize(
    "answer", [ok([]), ok({"technique_id": "tech_1"}), ok(TECHNIQUE | {"inputs": 5}), Response(404)]
)
def test_unreadable_technique_is_none(runner, context, cache, answer):
    assert runner.run(lookup.technique("tech_1", context, ACCOUNT, cache=cache), answer) is None


def test_broken_rows_of_models_are_kept(runner, context, cache):
    answer = models(5, {"name": "no id"}, {"model_id": "a", "name": 5, "params": "x"}, MODEL)
    rows = runner.run(lookup.models(context, ACCOUNT, cache=cache), answer)
    assert [row.model_id for row in rows] == ["a", "t2i-x"]


def test_unknown_technique_and_action_are_refused_by_name(runner, context, cache):
    with pytest.raises(FloraInputError, match="technique 'x' is unknown to FLORA"):
        runner.run(lookup.technique("x", context, ACCOUNT, cache=cache), NOT_FOUND)
    with pytest.raises(FloraInputError, match="action 'x' is unknown to FLORA"):
        runner.run(lookup.action("x", context, ACCOUNT, cache=cache), NOT_FOUND)


def test_checked_collects_an_unknown_name_and_other_problems(runner, context, cache):
    flow = lookup.checked(lookup.action_lookup("x"), judge, context, ACCOUNT, cache=cache)
    result, [unknown, other] = runner.run(flow, NOT_FOUND)
    assert (result, other) == (None, "refused")
    assert "unknown" in unknown


def check(runner, context, cache, *script):
    return runner.run(lookup.checked(lookup.model_lookup(), judge, context, ACCOUNT, cache=cache), *script)


def test_checked_reads_an_older_copy_again_before_it_refuses(runner, context, cache):
    good = MODEL | {"name": "good"}
    assert check(runner, context, cache, models(MODEL))[1] == ["refused"]
    runner.now += 60
    assert check(runner, context, cache)[1] == ["refused"]
    runner.now += 1
    assert check(runner, context, cache, models(good))[1] == []
    runner.now += 1000
    assert check(runner, context, cache)[1] == []


def test_checked_refuses_by_the_older_copy_if_it_cannot_be_read_again(runner, context, cache, caplog):
    check(runner, context, cache, models(MODEL))
    runner.now += 100
    assert check(runner, context, cache, Response(403))[1] == ["refused"]
    assert "older copy" in caplog.text


def test_account_shows_no_key():
    first, second = (lookup.account_of(Settings(api_key=key)) for key in ("secret-1", "secret-2"))
    assert first != second
    assert "secret" not in repr(first)
