"""Many waits over one connection: which runs are polled when, at what price, and which waits are notified."""

from contextvars import ContextVar, copy_context

from flora_provider.api.errors import FloraPermissionError
from flora_provider.api.http.flow import FlowContext
from flora_provider.runs.poll_policy import ONE_TRY, PollPolicy
from flora_provider.runs.poller import RunPoller
from flora_provider.runs.ref import RunRef
from flora_provider.runs.scheduler import MAX_SINGLE_POLLS, PollScheduler
from flora_provider.runs.subscription import Subscription
from tests.support.fake_flora import PAGES, Fault
from tests.support.flows import BEGIN, run_with_response
from tests.support.polling_simulation import without_row
from tests.support.responses import response


def test_scheduler_without_waits_sends_no_request(simulation):
    assert simulation.scheduler.next_round == float("inf")
    simulation.run(3600)
    assert simulation.asked() == []


def test_one_run_is_polled_singly(simulation):
    simulation.wait(*simulation.start(seconds=30))
    simulation.run()
    assert set(simulation.asked()) == {"/runs/run_1"}
    assert len(simulation.asked()) <= 5
    assert simulation.kinds == {"ended"}


def test_runs_that_are_due_together_cost_a_page_and_no_single_poll(simulation):
    simulation.wait(*simulation.start(100, seconds=30))
    simulation.run()
    assert set(simulation.asked()) == {"/generations"}
    assert len(simulation.asked()) <= 15
    assert len(simulation.reported) == 100
    assert max(simulation.lags) < 6


def test_page_also_ends_waits_that_are_not_due_yet(simulation):
    (late,) = simulation.start(seconds=10, estimated=300)
    simulation.wait(late, *simulation.start(5, seconds=30))
    simulation.run(20)
    assert simulation.asked() == ["/generations"]
    assert list(simulation.reported) == [late.run_id]


def test_pages_are_not_asked_for_when_polls_cost_less(simulation):
    mine = simulation.start(3, seconds=30)
    simulation.start(500, seconds=3600)  # by others
    simulation.wait(*mine)
    simulation.run(19)
    first = len(simulation.asked())
    assert set(simulation.asked()) <= {*PAGES, "/runs/run_1", "/runs/run_2", "/runs/run_3"}
    simulation.run()
    assert simulation.asked()[first:]
    assert not set(simulation.asked()[first:]) & set(PAGES)
    assert simulation.kinds == {"ended"}


def test_runs_that_others_push_down_are_found_on_deeper_pages(simulation):
    simulation.wait(*simulation.start(200, seconds=60))
    simulation.start(350, seconds=3600)
    simulation.run()
    assert len(simulation.reported) == 200
    assert simulation.asked_singly == []
    assert max(simulation.lags) < 6


def test_endless_runs_of_others_cost_no_more_pages_than_polls_would(simulation):
    simulation.wait(*simulation.start(8, seconds=40))
    simulation.start(5000, seconds=3600)
    simulation.run()
    assert len(simulation.asked()) - len(simulation.asked_singly) <= 8
    assert len(simulation.reported) == 8


def test_runs_of_techniques_are_found_in_their_own_history(simulation):
    simulation.wait(*simulation.start(50, seconds=40, history="/technique-runs"))
    simulation.run(25)
    assert simulation.asked() == [*PAGES]
    simulation.run()
    assert set(simulation.asked()[1:]) == {"/technique-runs"}
    assert len(simulation.reported) == 50


def test_both_histories_are_searched_for_runs_of_both_kinds(simulation):
    simulation.wait(*simulation.start(50, seconds=40), *simulation.start(50, seconds=40, history="/technique-runs"))
    simulation.run()
    assert len(simulation.reported) == 100
    assert set(simulation.asked()) == set(PAGES)


def test_runs_in_no_history_are_polled_singly_and_searched_for_once_a_minute(simulation):
    simulation.wait(*simulation.start(20, seconds=200, history=""))
    simulation.run()
    assert len(simulation.reported) == 20
    polls = len(simulation.asked_singly)
    assert polls >= 20 * 4
    # Two that are due together are searched for on two pages: no more than a request per run and minute.
    assert 2 * 3 <= len(simulation.asked()) - polls <= 20 * 3


def test_page_that_omits_a_run_costs_one_poll_and_no_more(simulation):
    simulation.wait(*simulation.start(100, seconds=40))
    omitted = Fault(lambda answer: without_row(answer, "run_8"), hits=PAGES.__contains__, until=BEGIN + 30)
    simulation.flora.faults.append(omitted)
    simulation.run()
    assert "/runs/run_8" in simulation.asked()
    assert set(simulation.asked_singly) == {"/runs/run_8"}
    assert len(simulation.reported) == 100


def test_no_more_polls_are_made_between_two_rounds_than_a_page_could_save(simulation):
    simulation.wait(*simulation.start(MAX_SINGLE_POLLS + 50, history="", estimated=None))
    simulation.now += 10
    first, second = [
        run_with_response(simulation.scheduler.round(), response(200, {"generations": [], "technique_runs": []}))
        for _ in range(2)
    ]
    assert (len(first), len(second)) == (MAX_SINGLE_POLLS, 50)
    assert not set(first) & set(second)


def test_each_wait_keeps_its_own_deadline(simulation):
    runs = simulation.start(40, seconds=3600, estimated=None)
    for number, run in enumerate(runs):
        simulation.wait(run, deadline=20 + number)
    simulation.run()
    assert simulation.kinds == {"timed_out"}
    late = [
        reported[0][0] - BEGIN - 20 - number
        for number, reported in enumerate(simulation.reported[run.run_id] for run in runs)
    ]
    assert min(late) >= 0
    assert max(late) < 1


def test_deadline_that_has_passed_still_gets_its_one_poll(simulation):
    done, endless = simulation.start(seconds=0), simulation.start(seconds=3600)
    simulation.wait(*done, *endless, deadline=0)
    simulation.run()
    assert {run_id: reported[0][1].kind for run_id, reported in simulation.reported.items()} == {
        "run_1": "ended",
        "run_2": "timed_out",
    }


def test_several_waits_for_one_run_share_its_polls_and_are_all_notified(simulation):
    (run,) = simulation.start(seconds=30)
    simulation.wait(run, run, interval=5)
    simulation.wait(run, deadline=10)
    assert len(simulation.scheduler) == 1
    simulation.run()
    assert sorted(event.kind for _, event in simulation.reported["run_1"]) == ["ended", "ended", "timed_out"]
    assert len(simulation.asked()) <= 6


def test_discarded_wait_is_not_notified_and_ends_no_other(simulation):
    (run,) = simulation.start(seconds=30)
    first, second = simulation.wait(run, run)
    simulation.scheduler.discard(first)
    simulation.scheduler.discard(first)
    simulation.run()
    assert len(simulation.reported["run_1"]) == 1
    simulation.scheduler.discard(second)
    assert len(simulation.scheduler) == 0


def test_scheduler_sends_no_request_after_its_last_wait_is_discarded(simulation):
    waits = simulation.wait(*simulation.start(10, seconds=30))
    simulation.run(19)
    for wait in waits:
        simulation.scheduler.discard(wait)
    asked = len(simulation.asked())
    simulation.run(60)
    assert len(simulation.asked()) == asked
    assert simulation.reported == {}


def test_wait_discarded_during_its_poll_is_not_notified(simulation):
    (wait,) = simulation.wait(*simulation.start(seconds=0))
    simulation.run(0)
    simulation.scheduler.discard(wait)
    simulation.run()
    assert simulation.asked() == ["/runs/run_1"]
    assert simulation.reported == {}


def test_add_returns_whether_the_next_round_is_earlier_now(simulation):
    soon, later = simulation.start(seconds=20), simulation.start(seconds=40)
    assert _add(simulation, later)
    assert simulation.scheduler.next_round < float("inf")
    assert not _add(simulation, simulation.start(seconds=45))
    assert _add(simulation, soon)


def _add(simulation, runs):
    wait = RunPoller(RunRef(runs[0].run_id), policy=PollPolicy(), now=simulation.now, started_at=simulation.now,
                estimated_seconds=runs[0].seconds)  # fmt: skip
    return simulation.scheduler.add(Subscription(wait, on_end=lambda _: None))


def test_wait_that_joins_during_a_poll_is_notified_by_it(simulation):
    (run,) = simulation.start(seconds=0)
    simulation.wait(run)
    simulation.run(0)
    simulation.wait(run)
    simulation.run()
    assert len(simulation.reported["run_1"]) == 2
    assert len(simulation.asked()) == 1


def test_poll_that_was_given_up_is_made_again(simulation):
    simulation.wait(*simulation.start(seconds=0))
    (run_id,) = run_with_response(simulation.scheduler.round(), None)
    assert simulation.scheduler.next_round == float("inf")
    flow = simulation.scheduler.poll(run_id)
    next(flow)
    flow.close()
    simulation.scheduler.poll_given_up(run_id, "no answer")
    simulation.run()
    assert simulation.kinds == {"ended"}


def test_end_all_notifies_every_wait_of_the_reason(simulation):
    simulation.wait(*simulation.start(3), *simulation.start(3))
    simulation.scheduler.end_all(FloraPermissionError("no entry", status=403))
    assert [event.kind for reported in simulation.reported.values() for _, event in reported] == ["refused"] * 6
    assert "no entry" in simulation.reported["run_1"][0][1].detail
    assert len(simulation.scheduler) == 0


def test_end_of_a_run_is_logged_in_the_context_of_its_wait(caplog, monkeypatch):
    caplog.set_level("INFO")
    task = ContextVar("task", default="nobody")
    scheduler = PollScheduler(FlowContext(ONE_TRY, lambda: BEGIN, lambda: 0.5))
    logged = []
    monkeypatch.setattr(caplog.handler, "filters", [lambda record: logged.append((task.get(), record.args[0])) or True])
    for name in ("first", "second"):
        context = copy_context()
        context.run(task.set, name)
        scheduler.add(
            Subscription(
                RunPoller(RunRef(name), policy=PollPolicy(), now=BEGIN), on_end=lambda _: None, context=context
            )
        )
    rows = [{"run_id": name, "status": "failed", "progress": 100} for name in ("first", "second")]
    run_with_response(scheduler.round(), response(200, {"generations": rows, "meta": {"next_cursor": None}}))
    assert sorted(logged) == [("first", "first"), ("second", "second")]


def test_two_routes_to_one_run_are_two_waits_and_one_page_serves_both(simulation):
    (run,) = simulation.start(seconds=5)
    refs = [RunRef(run.run_id), RunRef(run.run_id, "cctv-cam")]
    ends = []
    subscriptions = [
        Subscription(RunPoller(ref, policy=PollPolicy(), now=simulation.now), on_end=ends.append) for ref in refs
    ]
    for subscription in subscriptions:
        simulation.scheduler.add(subscription)
    assert len(simulation.scheduler) == 2
    simulation.scheduler.discard(subscriptions[0])
    assert len(simulation.scheduler) == 1
    simulation.scheduler.add(subscriptions[0])
    rows = [run.row(simulation.now + 60)]
    run_with_response(simulation.scheduler.round(), response(200, {"generations": rows, "meta": {"next_cursor": None}}))
    assert sorted((event.run_id, event.technique or "") for event in ends) == [("run_1", ""), ("run_1", "cctv-cam")]
