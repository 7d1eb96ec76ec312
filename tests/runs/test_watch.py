"""Many waits over one connection: who is looked at when, at what price, and who is told."""

import json
from contextvars import ContextVar, copy_context

import pytest

from flora_provider.api.errors import FloraPermissionError
from flora_provider.runs.follow import PollPolicy, Wait
from flora_provider.runs.watch import HISTORIES, SINGLES, Watch, Watched
from tests.runs.virtual_flora import BEGIN, Trouble, World, ok

PAGES = tuple(f"/{path}" for path, _ in HISTORIES)


@pytest.fixture
def world():
    return World()


def kinds(world):
    return {event.kind for told in world.told.values() for _, event in told}


def lags(world):
    return [at - world.flora.runs[run_id].ends for run_id, told in world.told.items() for at, _ in told]


def singles(paths):
    return [path for path in paths if path not in PAGES]


def test_nobody_waits_and_nothing_is_asked(world):
    assert world.watch.next_round == float("inf")
    world.run(3600)
    assert world.asked() == []


def test_one_run_is_looked_at_singly(world):
    world.wait(*world.start(seconds=30))
    world.run()
    assert set(world.asked()) == {"/runs/run_0"}
    assert len(world.asked()) <= 5
    assert kinds(world) == {"ended"}


def test_runs_that_are_due_together_cost_a_page_and_no_single_look(world):
    world.wait(*world.start(100, seconds=30))
    world.run()
    assert set(world.asked()) == {"/generations"}
    assert len(world.asked()) <= 15
    assert len(world.told) == 100
    assert max(lags(world)) < 6


def test_a_page_tells_of_runs_that_are_not_due_yet(world):
    (late,) = world.start(seconds=10, estimated=300)
    world.wait(late, *world.start(5, seconds=30))
    world.run(20)
    assert world.asked() == ["/generations"]
    assert list(world.told) == [late.run_id]


def test_pages_are_not_asked_for_when_looks_cost_less(world):
    mine = world.start(3, seconds=30)
    world.start(500, seconds=3600)  # by others
    world.wait(*mine)
    world.run(19)
    first = len(world.asked())
    assert set(world.asked()) <= {*PAGES, "/runs/run_0", "/runs/run_1", "/runs/run_2"}
    world.run()
    assert singles(world.asked()[first:]) == world.asked()[first:] != []
    assert kinds(world) == {"ended"}


def test_runs_that_others_push_down_are_found_on_deeper_pages(world):
    world.wait(*world.start(200, seconds=60))
    world.start(350, seconds=3600)
    world.run()
    assert len(world.told) == 200
    assert singles(world.asked()) == []
    assert max(lags(world)) < 6


def test_others_who_push_without_end_cost_no_more_pages_than_looks_would(world):
    world.wait(*world.start(8, seconds=40))
    world.start(5000, seconds=3600)
    world.run()
    assert len(world.asked()) - len(singles(world.asked())) <= 8
    assert len(world.told) == 8


def test_runs_of_techniques_are_found_in_their_own_history(world):
    world.wait(*world.start(50, seconds=40, listed="/technique-runs"))
    world.run(25)
    assert world.asked() == [*PAGES]
    world.run()
    assert set(world.asked()[1:]) == {"/technique-runs"}
    assert len(world.told) == 50


def test_both_histories_are_gone_through_for_a_mixed_fleet(world):
    world.wait(*world.start(50, seconds=40), *world.start(50, seconds=40, listed="/technique-runs"))
    world.run()
    assert len(world.told) == 100
    assert set(world.asked()) == set(PAGES)


def test_what_no_history_shows_is_looked_at_singly_and_searched_for_again_once_a_minute(world):
    world.wait(*world.start(20, seconds=200, listed=""))
    world.run()
    assert len(world.told) == 20
    looks = len(singles(world.asked()))
    assert looks >= 20 * 4
    # Two that are due together are searched for on two pages: no more than a request per run and minute.
    assert 2 * 3 <= len(world.asked()) - looks <= 20 * 3


def test_a_page_that_omits_a_run_costs_one_look_and_no_more(world):
    world.wait(*world.start(100, seconds=40))
    omitted = Trouble(lambda answer: _without(answer, "run_7"), hits=PAGES.__contains__, until=BEGIN + 30)
    world.flora.troubles.append(omitted)
    world.run()
    assert "/runs/run_7" in world.asked()
    assert set(singles(world.asked())) == {"/runs/run_7"}
    assert len(world.told) == 100


def _without(answer, run_id):
    page = json.loads(answer.body)
    return ok({name: [row for row in rows if row["run_id"] != run_id] if isinstance(rows, list) else rows
               for name, rows in page.items()})  # fmt: skip


def test_no_more_looks_are_made_between_two_rounds_than_a_page_could_save(world):
    world.wait(*world.start(SINGLES + 50, listed="", estimated=None))
    world.now += 10
    first, second = [ended_with(world.watch.round(), ok({"generations": [], "technique_runs": []})) for _ in range(2)]
    assert (len(first), len(second)) == (SINGLES, 50)
    assert not set(first) & set(second)


def ended_with(plan, answer):
    """What a plan returns when every request is answered with this."""
    try:
        effect = next(plan)
        while True:
            effect = plan.send(answer if hasattr(effect, "request") else None)
    except StopIteration as end:
        return end.value


def test_each_wait_keeps_its_own_deadline(world):
    runs = world.start(40, seconds=3600, estimated=None)
    for number, run in enumerate(runs):
        world.wait(run, deadline=20 + number)
    world.run()
    assert kinds(world) == {"timed_out"}
    late = [told[0][0] - BEGIN - 20 - number for number, told in enumerate(world.told[run.run_id] for run in runs)]
    assert min(late) >= 0
    assert max(late) < 1


def test_a_deadline_that_has_passed_still_gets_its_one_look(world):
    done, endless = world.start(seconds=0), world.start(seconds=3600)
    world.wait(*done, *endless, deadline=0)
    world.run()
    assert {run_id: told[0][1].kind for run_id, told in world.told.items()} == {"run_0": "ended", "run_1": "timed_out"}


def test_several_waits_for_one_run_share_its_looks_and_are_all_told(world):
    (run,) = world.start(seconds=30)
    world.wait(run, run, interval=5)
    world.wait(run, deadline=10)
    assert len(world.watch) == 1
    world.run()
    assert sorted(event.kind for _, event in world.told["run_0"]) == ["ended", "ended", "timed_out"]
    assert len(world.asked()) <= 6


def test_who_stops_waiting_is_not_told_and_takes_nobody_along(world):
    (run,) = world.start(seconds=30)
    first, second = world.wait(run, run)
    world.watch.discard(first)
    world.watch.discard(first)
    world.run()
    assert len(world.told["run_0"]) == 1
    world.watch.discard(second)
    assert len(world.watch) == 0


def test_when_nobody_waits_any_more_nothing_is_asked_any_more(world):
    waits = world.wait(*world.start(10, seconds=30))
    world.run(19)
    for wait in waits:
        world.watch.discard(wait)
    asked = len(world.asked())
    world.run(60)
    assert len(world.asked()) == asked
    assert world.told == {}


def test_who_stops_waiting_while_being_looked_at_is_not_told(world):
    (wait,) = world.wait(*world.start(seconds=0))
    world.run(0)
    world.watch.discard(wait)
    world.run()
    assert world.asked() == ["/runs/run_0"]
    assert world.told == {}


def test_adding_says_whether_the_next_round_is_earlier_now(world):
    soon, later = world.start(seconds=20), world.start(seconds=40)
    assert _add(world, later)
    assert world.watch.next_round < float("inf")
    assert not _add(world, world.start(seconds=45))
    assert _add(world, soon)


def _add(world, runs):
    wait = Wait(runs[0].run_id, policy=PollPolicy(), now=world.now, started_at=world.now,
                estimated_seconds=runs[0].seconds)  # fmt: skip
    return world.watch.add(Watched(wait, tell=lambda _: None))


def test_a_wait_that_joins_while_the_run_is_looked_at_is_told_by_that_look(world):
    (run,) = world.start(seconds=0)
    world.wait(run)
    world.run(0)
    world.wait(run)
    world.run()
    assert len(world.told["run_0"]) == 2
    assert len(world.asked()) == 1


def test_a_look_that_was_given_up_is_made_again(world):
    world.wait(*world.start(seconds=0))
    (run_id,) = ended_with(world.watch.round(), None)
    assert world.watch.next_round == float("inf")
    plan = world.watch.look(run_id)
    next(plan)
    plan.close()
    world.watch.gave_up(run_id, "no answer")
    world.run()
    assert kinds(world) == {"ended"}


def test_end_all_tells_everyone_why(world):
    world.wait(*world.start(3), *world.start(3))
    world.watch.end_all(FloraPermissionError("no entry", status=403))
    assert [event.kind for told in world.told.values() for _, event in told] == ["refused"] * 6
    assert "no entry" in world.told["run_0"][0][1].detail
    assert len(world.watch) == 0


def test_what_is_learned_of_a_run_is_learned_in_the_context_of_who_waits(caplog, monkeypatch):
    caplog.set_level("INFO")
    task = ContextVar("task", default="nobody")
    watch = Watch(clock=lambda: BEGIN, draw=lambda: 0.5)
    heard = []
    monkeypatch.setattr(caplog.handler, "filters", [lambda record: heard.append((task.get(), record.args[0])) or True])
    for name in ("first", "second"):
        context = copy_context()
        context.run(task.set, name)
        watch.add(Watched(Wait(name, policy=PollPolicy(), now=BEGIN), tell=lambda _: None, context=context))
    rows = [{"run_id": name, "status": "running", "progress": 10} for name in ("first", "second")]
    ended_with(watch.round(), ok({"generations": rows, "meta": {"next_cursor": None}}))
    assert sorted(heard) == [("first", "first"), ("second", "second")]
