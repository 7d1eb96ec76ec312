"""A short campaign, the same each time; `make chaos` fights longer ones."""

from tests.e2e.chaos.campaign import fight
from tests.e2e.chaos.rounds import DISASTERS, KILLS, MODES, WIRES, draw
from tests.e2e.chaos.verdict import problems, report

SEED, ROUNDS = 1, 36


def test_the_short_campaign_strikes_everywhere():
    rounds = draw(SEED, ROUNDS)

    assert {point for drawn in rounds for point in drawn.kills} == set(KILLS)
    assert {drawn.wire for drawn in rounds if drawn.wire} == set(WIRES)
    assert {drawn.mode for drawn in rounds} == set(MODES)


def test_whatever_is_killed_every_run_is_paid_for_once_by_the_task_that_meant_it(field):
    results = fight(field, SEED, ROUNDS, batch=ROUNDS // len(DISASTERS))

    runs = {mode: field.runs(mode) for mode in MODES}
    assert problems(results, runs) == [], "\n".join(report(results, runs))
    assert {result.disaster for result in results} == set(DISASTERS)
