"""More waits than requests: what a thousand of them cost, and that everybody's turn comes."""

import os
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise

from tests.support.fake_flora import PAGES
from tests.support.polling_simulation import Simulation


def after_a_thousand_waits(simulation):
    for number in range(1000):
        simulation.wait(*simulation.start(seconds=20 + number % 41), interval=3.0)
    simulation.run()
    return simulation


def test_thousand_waits_cost_half_a_request_each_and_are_noticed_within_a_second():
    simulation = after_a_thousand_waits(Simulation())
    lags = sorted(simulation.lags)
    assert len(simulation.ended) == len(lags) == 1000
    assert len(simulation.asked()) < 500
    assert lags[500] < 1
    assert lags[950] < 2.5


def test_strict_limit_costs_time_but_hardly_a_request():
    free, limited = after_a_thousand_waits(Simulation()), after_a_thousand_waits(Simulation(limit=2))
    assert len(free.ended) == len(limited.ended) == 1000
    assert limited.asked_too_early() == []
    assert len(limited.asked()) <= 1.2 * len(free.asked())


def test_every_run_is_polled_while_requests_are_limited():
    simulation = Simulation(requests_per_second=2)
    simulation.wait(*simulation.start(120, seconds=600, history="", estimated=None))
    simulation.run(600)
    polled = defaultdict(list)
    for at, path, _ in simulation.flora.record:
        if path not in PAGES:
            polled[path].append(at)
    assert len(polled) == 120
    # 120 runs at two requests a second: everybody's turn comes once a minute, or a little later for pages between.
    assert max(after - before for times in polled.values() for before, after in pairwise(times)) < 70


SIMULATED = """
from tests.support.polling_simulation import Simulation
simulation = Simulation()
simulation.wait(*simulation.start(40, history="", estimated=None), *simulation.start(40))
simulation.run()
print(simulation.asked())
"""


def test_who_is_polled_first_does_not_depend_on_hashes():
    command = [sys.executable, "-c", SIMULATED]
    asked = {
        subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in "123"
    }
    assert len(asked) == 1
