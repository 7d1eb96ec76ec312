"""The verdict finds what it is there to find: each of these rounds has one thing wrong."""

from dataclasses import replace

import pytest

from tests.e2e.chaos.campaign import Result
from tests.e2e.chaos.rounds import Round
from tests.e2e.chaos.verdict import problems


def run(run_id="run_1", *, key="k1", prompt="a fern", billed=True):
    return {"run_id": run_id, "prompt": prompt, "idempotency_key": key, "billed": billed}


def note(event, **more):
    return {"event": event, "try": 1, "key": "k1", **more}


@pytest.fixture
def good():
    """A task that was not hit, and returned the id of its run."""
    drawn = Round(0, "a fern", "text", "duplicate_409", "no wait", kills=(), wire=None, on_unknown="fail", seconds=1.0)
    notes = [note("sent"), note("answer", status=201), note("ledger", run_id="run_1")]
    return Result(
        drawn, ("chaos", 0), "manual", state="success", value="run_1", run_id="run_1", notes=notes, known={"run_1"}
    )


def found(result, *runs):
    return " ".join(problems([result], {result.round.mode: list(runs)}))


def test_nothing_is_found_where_nothing_is_wrong(good):
    assert found(good, run()) == ""


def test_a_run_paid_twice_is_found(good):
    assert "2 runs billed, 1 to 1 meant" in found(good, run(), run("run_2"))


def test_a_run_that_was_never_started_is_found(good):
    assert "0 runs billed" in found(good)


def test_a_run_of_another_key_is_found(good):
    assert "with a key that it has never sent" in found(good, run(key="k2"))


def test_the_outputs_of_another_run_are_found(good):
    value = {"run_id": "run_1", "outputs": [{"text": "a rose"}]}
    assert "outputs of another run" in found(
        replace(good, round=replace(good.round, style="deferred"), value=value), run()
    )


def test_a_run_that_nothing_names_is_found(good):
    assert "no error and no XCom names ['run_2']" in found(good, run(), run("run_2", billed=False))


def test_a_run_that_nobody_asked_for_is_found(good):
    assert "nobody asked for: a rose" in found(good, run(), run("run_2", prompt="a rose"))


def test_a_cleared_task_that_took_its_old_run_is_found(good):
    cleared = replace(good, clears=1, before_clear=good)
    assert "run ['run_1'] taken twice" in found(cleared, run(), run("run_2"))


def test_what_was_wrong_before_a_clear_is_found(good):
    cleared = replace(good, clears=1, before_clear=replace(good, state="failed", errors="a bug", run_id=None))
    assert "failed, but not because the outcome is unknown: …a bug" in found(cleared, run())


def test_an_outcome_that_is_unknown_for_no_reason_is_found(good):
    failed = replace(good, state="failed", errors="Nothing was sent again. Fits: run_1", run_id=None)
    assert "although no answer was lost" in found(failed, run())
    assert found(replace(failed, notes=[note("sent"), note("killed", point="POST to answer")]), run()) == ""


def test_a_task_that_was_not_hit_where_it_was_to_be_is_found(good):
    missed = replace(good, round=replace(good.round, kills=("before POST",)))
    assert "never got to where it was to be killed" in found(missed, run())


def test_a_server_that_ignores_keys_excuses_only_answers_that_were_lost(good):
    ignoring = replace(good, round=replace(good.round, mode="none"))
    assert "2 runs billed, 1 to 1 meant" in found(ignoring, run(), run("run_2"))
    lost = replace(ignoring, notes=[*good.notes, note("killed", point="answer to ledger")])
    assert found(lost, run(), run("run_2")) == ""
