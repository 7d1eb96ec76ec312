"""A few rounds, the same each time; `make chaos` runs more."""

from tests.e2e.chaos.checker import problems, report
from tests.e2e.chaos.runner import run_rounds
from tests.e2e.chaos.workload import DELIVERIES, DISASTERS, KILLS, KINDS, MODES, ON_CHANGED, SAYINGS, draw_rounds

SEED, ROUNDS = 10, 30
DISASTERS_PER_BATCH = 5  # disasters a batch


def test_rounds_of_the_seed_cover_every_fault():
    rounds = draw_rounds(SEED, ROUNDS)

    assert {point for drawn in rounds for point in drawn.kills} == set(KILLS)
    assert {drawn.delivery for drawn in rounds if drawn.delivery} == set(DELIVERIES)
    assert {drawn.mode for drawn in rounds} == set(MODES)
    assert {(drawn.kind, drawn.style == "resumed") for drawn in rounds} == {
        (kind, resumed) for kind in KINDS for resumed in (True, False)
    }
    assert {drawn.on_changed for drawn in rounds if drawn.edited} == set(ON_CHANGED)
    assert {drawn.says for drawn in rounds if drawn.says} == set(SAYINGS)
    assert any(drawn.listed_after for drawn in rounds)
    assert any(drawn.clock for drawn in rounds)


def test_run_is_paid_for_once_by_its_task_whatever_is_killed_or_changed(cluster):
    batch = ROUNDS * DISASTERS_PER_BATCH // len(DISASTERS)
    others = {run["run_id"] for mode in MODES for run in cluster.runs(mode)}  # of tests before this one
    results = run_rounds(cluster, SEED, ROUNDS, batch=batch, concurrent=DISASTERS_PER_BATCH, longest=15.0)

    runs = {mode: [run for run in cluster.runs(mode) if run["run_id"] not in others] for mode in MODES}
    found = problems(results, runs)
    assert not found, "\n".join([*found, *report(results, runs)])
    assert {disaster for result in results for disaster in result.disasters} == set(DISASTERS)
