"""Bad weather over many waits, one kind at a time: no wait fails, FLORA is obeyed, and all recovers."""

from itertools import pairwise

import pytest

from flora_provider.api.plan import Response
from flora_provider.runs.patience import REFUSED_FOR
from flora_provider.runs.watch import PAGES_OFF_FOR
from tests.runs.virtual_flora import BEGIN, OUTAGES, PAGES, World, ok, on_all, on_looks, on_pages


@pytest.fixture
def world():
    return World()


def paged(world):
    return [at - BEGIN for at, path, _ in world.flora.record if path in PAGES]


def reply(rows=(), **meta):
    return ok({"generations": list(rows), "technique_runs": [], "meta": meta})


@pytest.mark.parametrize("listed", ["/generations", "/technique-runs", ""])
def test_after_a_429_nobody_asks_before_flora_allows_it(world, listed):
    world.wait(*world.start(60, listed=listed))
    world.spoil(Response(429, {"retry-after": "20"}), since=BEGIN + 18, times=3)
    world.run()
    assert world.flora.asked_too_early() == []
    assert len(world.ended) == 60


def test_a_429_that_asks_for_more_than_a_minute_is_obeyed_too(world):
    world.wait(*world.start(60))
    world.spoil(Response(429, {"retry-after": "240"}), since=BEGIN + 18, times=1)
    world.run()
    assert world.flora.asked_too_early() == []
    assert len(world.ended) == 60
    assert world.now - BEGIN < 18 + 240 * 1.2


def test_a_429_on_a_single_look_silences_the_pages_as_well(world):
    world.wait(*world.start(3, listed="", estimated=None), *world.start(50))
    world.spoil(Response(429, {"retry-after": "30"}), hits=on_looks, times=1)
    world.run()
    assert world.flora.asked_too_early() == []
    assert len(world.ended) == 53


def test_a_429_without_a_time_slows_all_down_for_a_while(world):
    world.wait(*world.start(40, listed=""))
    world.spoil(Response(429), since=BEGIN + 18, times=1)
    world.run()
    times = [at for at, _, _ in world.flora.record]
    assert max(after - before for before, after in pairwise(times) if before > BEGIN + 18) >= 4
    assert len(world.ended) == 40


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
@pytest.mark.parametrize("hits", [on_pages, on_looks, on_all], ids=["pages", "looks", "all"])
@pytest.mark.parametrize("listed", ["/generations", ""])
def test_a_minute_of_trouble_fails_no_wait_and_is_over_soon_after(world, outage, hits, listed):
    world.wait(*world.start(40, seconds=60, listed=listed))
    world.spoil(outage, hits=hits, since=BEGIN + 10, until=BEGIN + 70)
    world.run()
    assert len(world.ended) == 40
    assert world.now - BEGIN < 70 + 60


def test_what_is_wrong_with_pages_alone_costs_single_looks_and_pages_are_tried_ever_more_rarely(world):
    world.wait(*world.start(50, seconds=600))
    world.spoil(Response(403), hits=on_pages)
    world.run()
    pauses = [after - before for before, after in pairwise(paged(world))]
    first, most = PAGES_OFF_FOR
    assert all(min(first * 2**number, most) <= pause < most + 20 for number, pause in enumerate(pauses))
    assert len(world.ended) == 50


def test_pages_are_used_again_once_they_are_well(world):
    world.wait(*world.start(50, seconds=300))
    world.spoil(Response(200, {}, b"[]"), hits=on_pages, until=BEGIN + 40)
    world.run()
    assert not [path for at, path, _ in world.flora.record if at > BEGIN + 100 and path not in PAGES]
    assert len(world.ended) == 50


def test_an_outage_is_not_counted_against_pages(world):
    world.wait(*world.start(50, seconds=100))
    world.spoil(Response(503), since=BEGIN + 10, until=BEGIN + 60)
    world.run()
    # One look told that it was about all of FLORA: no storm of single looks, and pages at once when all is well.
    assert len([path for path in world.asked() if path not in PAGES]) < 20
    assert any(60 <= at < 95 for at in paged(world))


STRANGE_ROWS = {
    "no object": lambda _row: 7,
    "no id": lambda row: row | {"run_id": None},
    "no status": lambda row: row | {"status": {}},
    "completed without outputs": lambda row: row | {"status": "completed", "outputs": []},
}


@pytest.mark.parametrize("change", STRANGE_ROWS.values(), ids=STRANGE_ROWS)
def test_a_row_that_cannot_be_used_is_looked_at_singly(world, change):
    runs = world.start(30)
    world.wait(*runs)
    rows = [run.row(run.ends) for run in runs]
    world.spoil(lambda _: reply([change(rows[0]), *rows[1:]]), hits=on_pages)
    world.run(29)
    assert len(world.ended) == 29
    world.run()
    assert len(world.ended) == 30
    assert {path for path in world.asked() if path not in PAGES} == {"/runs/run_0"}


@pytest.mark.parametrize("meta", [{}, {"next_cursor": None}, {"next_cursor": ""}, {"next_cursor": 7}])
def test_a_list_without_a_cursor_has_ended(world, meta):
    world.wait(*world.start(30))
    world.spoil(reply(**meta), hits=on_pages)
    world.run(29)
    assert len(paged(world)) == 2


def test_a_list_whose_meta_is_no_object_has_ended(world):
    world.wait(*world.start(30))
    world.spoil(ok({"generations": [], "technique_runs": [], "meta": 7}), hits=on_pages)
    world.run(29)
    assert len(paged(world)) == 2


def test_a_list_that_never_ends_is_left(world):
    world.wait(*world.start(30))
    world.spoil(reply([{"run_id": "run_of_others", "status": "running"}], next_cursor="0"), hits=on_pages)
    world.run()
    assert len(world.ended) == 30
    assert len(paged(world)) <= 2 * 30


def test_a_run_that_vanishes_for_a_while_comes_back(world):
    world.wait(*world.start(50, seconds=30))
    gone = world.flora.runs.pop("run_3")
    world.after(25, lambda: world.flora.runs.update({"run_3": gone}))
    world.run()
    assert len(world.ended) == 50


def test_a_run_that_never_comes_back_is_given_up_and_alone(world):
    world.wait(*world.start(50, seconds=30))
    del world.flora.runs["run_3"]
    world.run()
    ((at, event),) = world.told["run_3"]
    assert (event.kind, len(world.ended)) == ("refused", 49)
    assert at - BEGIN > 60


def test_an_outage_followed_by_a_404_does_not_add_up_to_a_run_that_is_gone(world):
    world.wait(*world.start(listed="", seconds=150, estimated=None))
    world.spoil(Response(503), until=BEGIN + 90)
    world.spoil(Response(404), since=BEGIN + 90, until=BEGIN + 130)
    world.run()
    assert len(world.ended) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("listed", ["/generations", ""])
def test_a_refusal_of_minutes_fails_no_wait_and_costs_no_storm(world, listed, status):
    world.wait(*world.start(40, seconds=30, listed=listed))
    world.run(25)
    world.spoil(Response(status), until=BEGIN + 25 + 250)
    asked = len(world.asked())
    world.run()
    assert len(world.ended) == 40
    assert world.now - BEGIN < 25 + 250 + 60
    assert len(world.asked()) - asked < 40 * 15
    assert set(world.refusals) == set(world.ended)


def test_a_refused_key_costs_pages_and_few_looks_for_all(world):
    world.wait(*world.start(100, seconds=30))
    world.spoil(Response(401), until=BEGIN + 200)
    world.run()
    assert len(world.ended) == 100
    assert len(world.asked()) < 300


def test_a_refusal_that_lasts_ends_all_waits_and_a_retry_may_cure_it(world):
    world.wait(*world.start(40, seconds=30))
    world.spoil(Response(401))
    world.run()
    events = [event for told in world.told.values() for _, event in told]
    assert {event.kind for event in events} == {"refused"}
    assert len(events) == 40
    assert REFUSED_FOR < world.now - BEGIN < REFUSED_FOR + 120


def test_a_key_that_is_refused_for_pages_alone_fails_no_wait(world):
    world.wait(*world.start(5))
    world.spoil(Response(401), hits=on_pages)
    world.run()
    assert len(world.ended) == 5


@pytest.mark.parametrize("header", ["1787000000", "Fri, 31 Dec 9999 23:59:59 GMT"])
@pytest.mark.parametrize("hits", [on_pages, on_looks, on_all], ids=["pages", "looks", "all"])
def test_a_429_with_a_date_as_its_seconds_silences_nobody_for_years(world, header, hits):
    world.wait(*world.start(60))
    world.wait(*world.start(2, listed=""))
    world.spoil(Response(429, {"retry-after": header}), hits=hits, since=BEGIN + 18, times=1)
    world.run()
    assert len(world.ended) == 62
    assert world.now - BEGIN < 18 + 400


def test_a_page_that_is_refused_after_all_its_waits_have_gone_asks_nothing_more(world):
    waits = world.wait(*world.start(5))
    world.spoil(Response(403), hits=on_pages)
    world.run(18)
    plan = world.watch.round()
    world.now += 1
    next(plan)
    for wait in waits:
        world.watch.discard(wait)
    with pytest.raises(StopIteration) as end:
        plan.send(Response(403))
    assert end.value.value == []


def test_the_pause_that_flora_asks_for_is_kept_by_the_watch_itself(world):
    (wait,) = world.wait(*world.start(listed=""))
    world.now = wait.wait.due
    plan = world.watch.look("run_0")
    next(plan)
    with pytest.raises(StopIteration):
        plan.send(Response(429, {"retry-after": "50"}))
    assert world.watch.next_round >= world.now + 50
