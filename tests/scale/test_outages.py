"""Outages during many waits, one kind at a time: no wait fails, FLORA is obeyed, and all recovers."""

from itertools import count, pairwise

import pytest

from flora_provider.api.http.flow import Response
from flora_provider.runs.ref import RunRef
from flora_provider.runs.scheduler import PAGES_OFF_FOR
from flora_provider.runs.tolerance import REFUSED_FOR
from tests.support.fake_flora import PAGES
from tests.support.flows import BEGIN, run_flow, run_with_response
from tests.support.polling_simulation import HITS, OUTAGES, Simulation, on_pages, on_single_polls
from tests.support.responses import response


@pytest.fixture
def simulation():
    return Simulation()


def page(rows=(), meta=None):
    return response(200, {"generations": list(rows), "technique_runs": [], "meta": {} if meta is None else meta})


@pytest.mark.parametrize("history", ["/generations", "/technique-runs", ""])
@pytest.mark.parametrize(("retry_after", "times"), [("20", 3), ("240", 1)])
def test_scheduler_sends_nothing_after_a_429_before_flora_allows_it(simulation, history, retry_after, times):
    simulation.wait(*simulation.start(60, history=history))
    simulation.inject(Response(429, {"retry-after": retry_after}), since=BEGIN + 18, times=times)
    simulation.run()
    assert simulation.asked_too_early() == []
    assert len(simulation.ended) == 60
    assert simulation.now - BEGIN < 18 + 240 * 1.2


def test_429_on_a_single_poll_delays_the_pages_as_well(simulation):
    simulation.wait(*simulation.start(3, history="", estimated=None), *simulation.start(50))
    simulation.inject(Response(429, {"retry-after": "30"}), hits=on_single_polls, times=1)
    simulation.run()
    assert simulation.asked_too_early() == []
    assert len(simulation.ended) == 53


def test_429_without_retry_after_slows_all_requests_for_a_while(simulation):
    simulation.wait(*simulation.start(40, history=""))
    simulation.inject(Response(429), since=BEGIN + 18, times=1)
    simulation.run()
    times = [at for at, _, _ in simulation.flora.record]
    assert max(after - before for before, after in pairwise(times) if before > BEGIN + 18) >= 4
    assert len(simulation.ended) == 40


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
@pytest.mark.parametrize("hits", HITS.values(), ids=HITS)
@pytest.mark.parametrize("history", ["/generations", ""])
def test_outage_of_a_minute_fails_no_wait_and_is_over_soon_after(simulation, outage, hits, history):
    simulation.wait(*simulation.start(40, seconds=60, history=history))
    simulation.inject(outage, hits=hits, since=BEGIN + 10, until=BEGIN + 70)
    simulation.run()
    assert len(simulation.ended) == 40
    assert simulation.now - BEGIN < 70 + 60


def test_pages_that_alone_fail_cost_single_polls_and_are_tried_ever_more_rarely(simulation):
    simulation.wait(*simulation.start(50, seconds=600))
    simulation.inject(Response(403), hits=on_pages)
    simulation.run()
    pauses = [after - before for before, after in pairwise(simulation.paged_at)]
    first, most = PAGES_OFF_FOR
    assert all(min(first * 2**number, most) <= pause < most + 20 for number, pause in enumerate(pauses))
    assert len(simulation.ended) == 50


def test_pages_are_used_again_once_they_are_well(simulation):
    simulation.wait(*simulation.start(50, seconds=300))
    simulation.inject(Response(200, {}, b"[]"), hits=on_pages, until=BEGIN + 40)
    simulation.run()
    assert not [path for at, path, _ in simulation.flora.record if at > BEGIN + 100 and path not in PAGES]
    assert len(simulation.ended) == 50


def test_outage_is_not_counted_against_pages(simulation):
    simulation.wait(*simulation.start(50, seconds=100))
    simulation.inject(Response(503), since=BEGIN + 10, until=BEGIN + 60)
    simulation.run()
    # One poll showed that it was about all of FLORA: no storm of single polls, and pages at once when all is well.
    assert len(simulation.asked_singly) < 20
    assert any(60 <= at < 95 for at in simulation.paged_at)


STRANGE_ROWS = {
    "no object": lambda _row: 7,
    "no id": lambda row: row | {"run_id": None},
    "no status": lambda row: row | {"status": {}},
    "completed without outputs": lambda row: row | {"status": "completed", "outputs": []},
}


@pytest.mark.parametrize("change", STRANGE_ROWS.values(), ids=STRANGE_ROWS)
def test_row_that_cannot_be_used_is_polled_singly(simulation, change):
    runs = simulation.start(30)
    simulation.wait(*runs)
    rows = [run.row(run.ends) for run in runs]
    simulation.inject(lambda _: page([change(rows[0]), *rows[1:]]), hits=on_pages)
    simulation.run(29)
    assert len(simulation.ended) == 29
    simulation.run()
    assert len(simulation.ended) == 30
    assert set(simulation.asked_singly) == {"/runs/run_1"}


@pytest.mark.parametrize("meta", [{}, {"next_cursor": None}, {"next_cursor": ""}, {"next_cursor": 7}, 7])
def test_list_without_a_cursor_has_ended(simulation, meta):
    simulation.wait(*simulation.start(30))
    simulation.inject(page(meta=meta), hits=on_pages)
    simulation.run(29)
    assert len(simulation.paged_at) == 2


def test_list_that_never_ends_is_left(simulation):
    simulation.wait(*simulation.start(30))
    simulation.inject(page([{"run_id": "run_of_others", "status": "running"}], {"next_cursor": "0"}), hits=on_pages)
    simulation.run()
    assert len(simulation.ended) == 30
    assert len(simulation.paged_at) <= 2 * 30


def test_list_that_shows_the_same_runs_for_ever_is_left(simulation):
    first, *others = simulation.start(30)
    simulation.wait(first, *others)
    row, cursors = first.row(first.started), count()
    simulation.inject(lambda _: page([row], {"next_cursor": str(next(cursors))}), hits=on_pages)
    simulation.run()
    assert len(simulation.ended) == 30
    assert len(simulation.paged_at) <= 2 * 30


def test_run_that_vanishes_for_a_while_comes_back(simulation):
    simulation.wait(*simulation.start(50, seconds=30))
    gone = simulation.flora.runs.pop("run_4")
    simulation.after(25, lambda: simulation.flora.runs.update({"run_4": gone}))
    simulation.run()
    assert len(simulation.ended) == 50


def test_run_that_never_comes_back_is_given_up_and_alone(simulation):
    simulation.wait(*simulation.start(50, seconds=30))
    del simulation.flora.runs["run_4"]
    simulation.run()
    ((at, event),) = simulation.reported["run_4"]
    assert (event.kind, len(simulation.ended)) == ("refused", 49)
    assert at - BEGIN > 60


def test_outage_followed_by_a_404_does_not_add_up_to_a_run_that_is_gone(simulation):
    simulation.wait(*simulation.start(history="", seconds=150, estimated=None))
    simulation.inject(Response(503), until=BEGIN + 90)
    simulation.inject(Response(404), since=BEGIN + 90, until=BEGIN + 130)
    simulation.run()
    assert len(simulation.ended) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("history", ["/generations", ""])
def test_refusal_of_minutes_fails_no_wait_and_costs_no_storm(simulation, history, status):
    simulation.wait(*simulation.start(40, seconds=30, history=history))
    simulation.run(25)
    simulation.inject(Response(status), until=BEGIN + 25 + 250)
    asked = len(simulation.asked())
    simulation.run()
    assert len(simulation.ended) == 40
    assert simulation.now - BEGIN < 25 + 250 + 60
    assert len(simulation.asked()) - asked < 40 * 15
    assert set(simulation.refusals) == set(simulation.ended)


def test_refused_key_costs_pages_and_few_polls_for_all(simulation):
    simulation.wait(*simulation.start(100, seconds=30))
    simulation.inject(Response(401), until=BEGIN + 200)
    simulation.run()
    assert len(simulation.ended) == 100
    assert len(simulation.asked()) < 300


def test_refusal_that_lasts_ends_all_waits_and_a_retry_may_cure_it(simulation):
    simulation.wait(*simulation.start(40, seconds=30))
    simulation.inject(Response(401))
    simulation.run()
    events = [event for reported in simulation.reported.values() for _, event in reported]
    assert {event.kind for event in events} == {"refused"}
    assert len(events) == 40
    assert REFUSED_FOR < simulation.now - BEGIN < REFUSED_FOR + 120


def test_key_that_is_refused_for_pages_alone_fails_no_wait(simulation):
    simulation.wait(*simulation.start(5))
    simulation.inject(Response(401), hits=on_pages)
    simulation.run()
    assert len(simulation.ended) == 5


@pytest.mark.parametrize("header", ["1787000000", "Fri, 31 Dec 9999 23:59:59 GMT"])
@pytest.mark.parametrize("hits", HITS.values(), ids=HITS)
def test_429_with_a_date_as_its_seconds_delays_nothing_for_years(simulation, header, hits):
    simulation.wait(*simulation.start(60))
    simulation.wait(*simulation.start(2, history=""))
    simulation.inject(Response(429, {"retry-after": header}), hits=hits, since=BEGIN + 18, times=1)
    simulation.run()
    assert len(simulation.ended) == 62
    assert simulation.now - BEGIN < 18 + 400


def test_page_that_is_refused_after_all_its_waits_have_gone_asks_nothing_more(simulation):
    waits = simulation.wait(*simulation.start(5))
    simulation.inject(Response(403), hits=on_pages)
    simulation.run(18)
    simulation.now += 1

    def discard_all(_effect):
        for wait in waits:
            simulation.scheduler.discard(wait)
        return Response(403)

    assert run_flow(simulation.scheduler.round(), discard_all) == []


def test_pause_that_flora_asks_for_is_kept_by_the_scheduler_itself(simulation):
    (wait,) = simulation.wait(*simulation.start(history=""))
    simulation.now = wait.poller.due
    run_with_response(simulation.scheduler.poll(RunRef("run_1")), response(429, retry_after=50))
    assert simulation.scheduler.next_round >= simulation.now + 50
