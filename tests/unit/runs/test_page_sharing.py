"""How often pages are read that many runs share, and runs between them."""

from itertools import pairwise

from tests.support.fake_flora import PAGES


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
