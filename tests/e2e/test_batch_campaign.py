"""Batches whose task, triggerer and scheduler are killed; `make campaign` runs more of them, and longer ones."""

import os

from tests.e2e.batch.checker import doubles, figures, problems
from tests.e2e.batch.runner import run_batches, triggers_left
from tests.e2e.batch.workload import MODES, PHASES, Strike, draw_strikes, draw_workload

SEED = int(os.environ.get("FLORA_BATCH_SEED", "4"))
ROWS = int(os.environ.get("FLORA_BATCH_ROWS", "60"))
SEEDS = range(SEED, SEED + len(MODES))
STRIKES = [Strike("triggerer killed", 0.3, 0.2), Strike("scheduler killed", 0.6, 0.5)]


def test_batches_of_the_seeds_cover_every_mode_and_both_phases():
    drawn = [draw_workload(seed, ROWS) for seed in SEEDS]
    assert {one.mode for one in drawn} == set(MODES)
    assert {kill.phase for one in drawn for kill in one.kills if kill} == set(PHASES)
    assert draw_workload(SEED, ROWS) == drawn[0], "the same seed, the same batch"


def test_triggerer_and_scheduler_are_killed_by_each_seed():
    for seed in range(100):
        assert {"triggerer killed", "scheduler killed"} <= {strike.what for strike in draw_strikes(seed)}


def test_each_row_is_billed_once_whatever_is_killed(cluster, capsys):
    results = run_batches(cluster, SEEDS, ROWS, strikes=STRIKES)
    with capsys.disabled():
        print("", *map(figures, results), sep="\n")  # noqa: T201 - what a person wants to know of a long test
    found = [f"seed {result.workload.seed}: {problem}" for result in results for problem in problems(result)]
    assert not found, "\n".join(found)
    assert not any(doubles(result) for result in results if result.workload.mode != "none")
    assert triggers_left(cluster) == 0
