"""What nobody foresaw, in one wait, one poll or one page: it ends nobody else's wait."""

import pytest

from flora_provider.api.errors import FloraPermissionError
from flora_provider.runs.errors import WaitRefused
from flora_provider.runs.poll_policy import PollPolicy
from flora_provider.runs.poller import RunPoller
from flora_provider.runs.ref import RunRef
from flora_provider.runs.subscription import Subscription
from flora_provider.runs.tolerance import REFUSED_FOR
from tests.support.flows import BEGIN, run_flow, run_with_response
from tests.support.responses import response


def test_wait_that_raises_ends_alone_and_a_retry_may_cure_it(simulation, caplog):
    class Broken(PollPolicy):
        def next(self, **_):
            raise ZeroDivisionError("of its own")

    good, bad = simulation.start(seconds=30), simulation.start(seconds=30)
    simulation.wait(*good)
    wait = RunPoller(RunRef(bad[0].run_id), policy=Broken(), now=simulation.now)
    ends = []
    simulation.scheduler.add(Subscription(wait, on_end=ends.append))
    simulation.run()
    assert [event.kind for event in ends] == ["refused"]
    with pytest.raises(WaitRefused, match="ZeroDivisionError"):
        ends[0].result()
    assert simulation.ended == [good[0].run_id]
    assert "of its own" in caplog.text


def test_poll_that_raises_an_unexpected_error_ends_its_own_waits_after_minutes(simulation):
    runs = simulation.start(2, seconds=3600, history="")
    simulation.wait(*runs)
    while not simulation.reported:
        simulation.now += 10
        simulation.scheduler.poll_crashed(RunRef(runs[0].run_id), ZeroDivisionError("in a proxy"))
    ((at, event),) = simulation.reported.pop(runs[0].run_id)
    assert event.kind == "refused"
    assert "ZeroDivisionError" in event.detail
    assert at - BEGIN > REFUSED_FOR
    simulation.run()
    assert simulation.ended == [runs[1].run_id]


def test_pages_that_raise_an_unexpected_error_cost_single_polls(simulation):
    runs = simulation.start(20, seconds=60)
    simulation.wait(*runs)
    simulation.scheduler.pages_crashed(RecursionError("deep"))
    simulation.now += 1
    simulation.run(2)
    assert simulation.asked() == []
    simulation.run()
    assert len(simulation.ended) == 20


def test_due_polls_are_made_while_a_page_hangs_and_do_not_get_its_error(simulation):
    simulation.wait(*simulation.start(5, seconds=20))
    simulation.run(11.9)
    simulation.now += 1

    def hang(effect):
        assert effect.request.url == "/generations"
        due = simulation.scheduler.due_now()
        assert len(due) == 5
        for ref in due:
            row = simulation.flora.runs[ref.run_id].row(simulation.now)
            run_with_response(simulation.scheduler.poll(ref), response(200, row))
        return FloraPermissionError("no entry", status=403)

    assert run_flow(simulation.scheduler.round(), hang) == []
    assert simulation.reported == {}
