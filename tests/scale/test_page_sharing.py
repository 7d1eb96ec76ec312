"""How often pages are read that many runs share, and runs between them."""

from itertools import pairwise

from flora_provider.api.http.flow import Sleep
from flora_provider.runs.ref import RunRef
from tests.support.fake_flora import PAGES
from tests.support.flows import run_flow, run_with_response
from tests.support.responses import response


def test_page_that_many_runs_share_is_read_sooner_than_interval_but_no_sooner_than_a_third_of_it(simulation):
    simulation.wait(*simulation.start(100, seconds=60, estimated=40), interval=3)
    simulation.run()
    pauses = [after - before for before, after in pairwise(simulation.paged_at)]
    assert min(pauses) >= 1
    assert min(pauses) < 3


def test_polls_of_one_run_by_itself_keep_interval_whatever_pages_show_it(simulation):
    for seconds in range(20, 60, 4):
        simulation.wait(*simulation.start(seconds=seconds, estimated=40), interval=3)
    simulation.run()
    asked = [(at, path) for at, path, _ in simulation.flora.record if path not in PAGES]
    for run_id in simulation.ended:
        times = [at for at, path in asked if path == f"/runs/{run_id}"]
        assert all(after - before >= 3 for before, after in pairwise(times))
    assert simulation.paged_at
    assert asked


def test_scheduler_starts_no_more_than_two_rounds_a_second_while_pages_are_not_worth_it(simulation):
    simulation.start(300, seconds=3600)  # by others
    simulation.wait(*simulation.start(40, seconds=300))
    simulation.start(300, seconds=3600)
    rounds, start_round = [], simulation.start_round
    simulation.start_round = lambda: rounds.append(simulation.now) or start_round()
    simulation.run()
    assert len(simulation.ended) == 40
    assert len(rounds) <= 2 * 300 + 100


def test_run_that_was_polled_while_its_page_was_on_its_way_is_found_on_it(simulation):
    simulation.start(300, seconds=3600)  # by others, on later pages
    runs = simulation.start(40, seconds=3600)
    simulation.wait(*runs, interval=5)
    simulation.now += 40

    def poll_meanwhile(effect):
        if isinstance(effect, Sleep):
            return None
        run_with_response(simulation.scheduler.poll(RunRef(runs[0].run_id)), response(200, runs[0].row(simulation.now)))
        return simulation.flora.handle(effect.request)

    assert run_flow(simulation.scheduler.round(), poll_meanwhile) == []
    assert simulation.asked() == ["/generations"]
    simulation.run(600)
    assert simulation.asked_singly == []
