"""Two triggerers that share the waits of one: they send at most twice its requests, and are no later."""

import random
from statistics import median

import pytest

from tests.support.fake_flora import FakeFlora
from tests.support.polling_simulation import Simulation

# How many waits, and how many seconds one starts after the other.
SHAPES = [(2, 0.0), (10, 0.0), (30, 0.0), (50, 0.5), (100, 0.0), (100, 0.5), (300, 0.1), (500, 0.0), (1000, 0.0),
          (1000, 0.01), (1000, 0.05)]  # fmt: skip


def processes_of(triggerers, flora, seed):
    """Triggerers that poll the same FLORA, before they wait for anything."""
    first = Simulation(seed=seed, flora=flora)
    return [first, *(Simulation(seed=seed + number, beside=first) for number in range(1, triggerers))]


def triggerers_after(waits, apart, *, triggerers, seed, others=0):
    """Simulated triggerers, after waits that were spread over them have ended; `others` start runs beside each."""
    rng, flora = random.Random(seed), FakeFlora()  # noqa: S311 - the same numbers each time
    processes = processes_of(triggerers, flora, seed)
    for number in range(waits):
        seconds = rng.uniform(20, 60)
        estimated, process = round(seconds * rng.uniform(0.7, 1.3)), processes[rng.randrange(triggerers)]

        def start(seconds=seconds, estimated=estimated, process=process):
            process.wait(flora.start(seconds, estimated=estimated), interval=3.0)
            for _ in range(others):
                flora.start(seconds)

        process.after(number * apart, start)
    processes[0].run()
    assert sum(len(process.ended) for process in processes) == waits
    return processes


def requests_of(processes):
    return len(processes[0].flora.record)


def lags_of(processes):
    return [lag for process in processes for lag in process.lags]


@pytest.mark.parametrize(("waits", "apart"), SHAPES)
def test_two_triggerers_send_at_most_twice_the_requests_of_one(waits, apart):
    seeds = range(max(1, min(6, 1200 // waits)))  # few waits are at the mercy of chance
    one = [triggerers_after(waits, apart, triggerers=1, seed=seed) for seed in seeds]
    two = [triggerers_after(waits, apart, triggerers=2, seed=seed) for seed in seeds]
    assert sum(map(requests_of, two)) <= 2 * sum(map(requests_of, one))
    assert median(lag for processes in two for lag in lags_of(processes)) <= 1.2


@pytest.mark.parametrize(("waits", "apart", "others"), [(100, 0.1, 3), (300, 0.05, 2)])
def test_two_triggerers_send_at_most_twice_the_requests_of_one_beside_runs_of_others(waits, apart, others):
    one, two = (triggerers_after(waits, apart, triggerers=number, seed=1, others=others) for number in (1, 2))
    assert requests_of(two) <= 2 * requests_of(one)


def waves_of(triggerers, *, waves, apart, seed):
    """Requests for the runs of several DAG runs, whose sensors are started some at a time, as by a scheduler."""
    rng, flora = random.Random(seed), FakeFlora()  # noqa: S311 - the same numbers each time
    processes = processes_of(triggerers, flora, seed)
    for wave in range(waves):
        runs, every = {}, rng.uniform(1, 2)
        for number in range(100):
            process = rng.choice(processes)

            def start(runs=runs, number=number):
                runs[number] = flora.start(45.0, estimated=40)

            def wait(runs=runs, number=number, process=process):
                process.wait(runs[number], interval=3.0)

            processes[0].after(wave * apart + number * 0.06, start)
            processes[0].after(wave * apart + 8 + (number // 15 + 1) * every, wait)
    processes[0].run()
    assert sum(len(process.ended) for process in processes) == waves * 100
    return requests_of(processes)


@pytest.mark.parametrize(("waves", "apart"), [(1, 0), (3, 15), (3, 20), (3, 25), (3, 30)])
def test_two_triggerers_send_at_most_twice_the_requests_for_waits_that_go_on_coming(waves, apart):
    one, two = (
        sum(waves_of(triggerers, waves=waves, apart=apart, seed=seed) for seed in range(4)) for triggerers in (1, 2)
    )
    assert two <= 2 * one


def test_runs_deeper_in_the_history_than_as_many_as_are_waited_for_are_found_on_pages():
    # Each triggerer waits for half of a thousand runs, which stand on ten pages; the first that are due are the last.
    processes = triggerers_after(1000, 0.01, triggerers=2, seed=2)
    assert len(processes[0].asked_singly) < 100
