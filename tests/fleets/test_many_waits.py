"""More waits than requests: what a thousand of them cost, and that everybody's turn comes."""

from collections import defaultdict
from itertools import pairwise

from tests.runs.virtual_flora import PAGES, World


def lags(world):
    return [at - world.flora.runs[run_id].ends for run_id, told in world.told.items() for at, _ in told]


def test_a_thousand_waits_cost_less_than_a_request_each():
    world = World()
    for number in range(1000):
        world.wait(*world.start(seconds=20 + number % 41))
    world.run()
    assert len(world.told) == 1000
    assert len(world.asked()) < 1000
    assert sorted(lags(world))[500] < 3


def test_a_strict_limit_costs_time_but_hardly_a_request():
    free, limited = World(), World(limit=2)
    for world in (free, limited):
        for number in range(1000):
            world.wait(*world.start(seconds=20 + number % 41))
        world.run()
        assert len(world.ended) == 1000
    assert limited.flora.asked_too_early() == []
    assert len(limited.asked()) <= 1.2 * len(free.asked())


def test_no_run_starves_while_requests_are_scarce():
    world = World(requests_per_second=2)
    world.wait(*world.start(120, seconds=600, listed="", estimated=None))
    world.run(600)
    looked = defaultdict(list)
    for at, path, _ in world.flora.record:
        if path not in PAGES:
            looked[path].append(at)
    assert len(looked) == 120
    # 120 runs at two requests a second: everybody's turn comes once a minute, or a little later for pages between.
    assert max(after - before for times in looked.values() for before, after in pairwise(times)) < 65
