"""What nobody foresaw, in one wait, one look or one page: it ends nobody else's wait."""

import pytest

from flora_provider.api.errors import FloraPermissionError
from flora_provider.runs.event import WaitRefused
from flora_provider.runs.follow import PollPolicy, Wait
from flora_provider.runs.patience import REFUSED_FOR
from flora_provider.runs.watch import Watched
from tests.runs.test_watch import ended_with
from tests.runs.virtual_flora import BEGIN, World, ok


@pytest.fixture
def world():
    return World()


def test_a_wait_that_raises_ends_alone_and_a_retry_may_cure_it(world, caplog):
    class Broken(PollPolicy):
        def next(self, **_):
            raise ZeroDivisionError("of its own")

    good, bad = world.start(seconds=30), world.start(seconds=30)
    world.wait(*good)
    wait = Wait(bad[0].run_id, policy=Broken(), now=world.now)
    ends = []
    world.watch.add(Watched(wait, tell=ends.append))
    world.run()
    assert [event.kind for event in ends] == ["refused"]
    with pytest.raises(WaitRefused, match="ZeroDivisionError"):
        ends[0].result()
    assert world.ended == [good[0].run_id]
    assert "of its own" in caplog.text


def test_a_look_that_raises_what_nobody_foresaw_ends_its_own_waits_after_minutes(world):
    runs = world.start(2, seconds=3600, listed="")
    world.wait(*runs)
    while not world.told:
        world.now += 10
        world.watch.broke(runs[0].run_id, ZeroDivisionError("in a proxy"))
    ((at, event),) = world.told.pop(runs[0].run_id)
    assert event.kind == "refused"
    assert "ZeroDivisionError" in event.detail
    assert at - BEGIN > REFUSED_FOR
    world.run()
    assert world.ended == [runs[1].run_id]


def test_pages_that_raise_what_nobody_foresaw_cost_single_looks(world):
    runs = world.start(20, seconds=60)
    world.wait(*runs)
    world.watch.pages_broke(RecursionError("deep"))
    world.now += 1
    world.run(2)
    assert world.asked() == []
    world.run()
    assert len(world.ended) == 20


def test_what_is_due_can_be_had_while_a_page_hangs_and_is_not_told_what_the_page_meets(world):
    world.wait(*world.start(5, seconds=20))
    world.run(11.9)
    world.now += 1
    pages = world.watch.round()
    assert next(pages).request.target == "/generations"
    due = world.watch.due_now()
    assert len(due) == 5
    for run_id in due:
        ended_with(world.watch.look(run_id), ok(world.flora.runs[run_id].row(world.now)))
    with pytest.raises(StopIteration) as end:
        pages.throw(FloraPermissionError("no entry", status=403))
    assert end.value.value == []
    assert world.told == {}
