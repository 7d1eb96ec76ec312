"""The checker finds what it is there to find: each of these rounds has one thing wrong."""

from dataclasses import replace

import pytest

from tests.e2e.chaos.checker import problems
from tests.e2e.chaos.runner import Result
from tests.e2e.chaos.workload import Round


def run(run_id="run_1", *, key="k1", prompt="a fern", billed=True):
    return {"run_id": run_id, "prompt": prompt, "idempotency_key": key, "billed": billed}


def note(event, **more):
    return {"event": event, "try": 1, "key": "k1", "at": 10.0, **more}


@pytest.fixture
def good():
    """A task that was not hit, and returned the id of its run."""
    drawn = Round(
        0,
        "a fern",
        "generation",
        "text",
        "duplicate_409",
        "no wait",
        kills=(),
        delivery=None,
        on_unknown="fail",
        seconds=1.0,
    )
    notes = [note("asked", prompt="a fern"), note("sent"), note("answer", status=201), note("ledger", run_id="run_1")]
    return Result(
        drawn, ("generation", 0), "manual", state="success", value="run_1", run_id="run_1", notes=notes, known={"run_1"}
    )


def found(result, *runs):
    return " ".join(problems([result], {result.round.mode: list(runs)}))


def test_checker_finds_nothing_wrong_with_a_good_task(good):
    assert found(good, run()) == ""


def test_a_run_paid_twice_is_found(good):
    assert "2 runs billed, 1 to 1 meant" in found(good, run(), run("run_2"))


def test_second_run_of_a_task_that_vanished_in_a_worker_beside_a_clear_is_the_known_limit(good):
    value = {"run_id": "run_1", "outputs": [{"text": "a fern"}]}
    notes = [*good.notes, note("killed", point="while waiting")]
    vanished = replace(good, value=value, notes=notes, known={"run_1", "run_2"}, disasters={"tasks cleared"})
    in_workers = replace(good.round, style="in worker", kills=("while waiting",))
    assert "2 runs billed" in found(replace(vanished, round=replace(in_workers, style="deferred")), run(), run("run_2"))
    assert "runs billed" not in found(replace(vanished, round=in_workers), run(), run("run_2"))
    unheard = replace(vanished, notes=good.notes, round=in_workers)
    assert "2 runs billed" in found(unheard, run(), run("run_2"))
    away = replace(unheard, disasters={"tasks cleared", "api-server away"})
    assert "runs billed" not in found(away, run(), run("run_2"))


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
    cleared = replace(good, clears=1)
    assert "no error and no XCom names ['run_2']" in found(cleared, run(), run("run_2"))


def test_a_run_that_nobody_asked_for_is_found(good):
    assert "nobody asked for: a rose" in found(good, run(), run("run_2", prompt="a rose"))


def test_a_cleared_task_that_took_its_old_run_is_found(good):
    cleared = replace(good, clears=1, before_clear=good)
    assert "run ['run_1'] taken twice" in found(cleared, run(), run("run_2"))


def test_problem_before_a_clear_is_found(good):
    cleared = replace(good, clears=1, before_clear=replace(good, state="failed", errors="a bug", run_id=None))
    assert "failed, but not because the outcome is unknown: …a bug" in found(cleared, run())


def test_an_outcome_that_is_unknown_for_no_reason_is_found(good):
    failed = replace(good, state="failed", errors="Nothing was sent again. Fits: run_1", run_id=None)
    assert "although no answer was lost" in found(failed, run())
    assert found(replace(failed, notes=[note("sent"), note("killed", point="POST to answer")]), run()) == ""
    ignoring = replace(failed, round=replace(good.round, mode="none"))
    assert "not because the outcome is unknown" in found(ignoring, run())


def test_a_task_that_was_not_hit_where_it_was_to_be_is_found(good):
    not_hit = replace(good, round=replace(good.round, kills=("before POST",)))
    assert "never got to where it was to be killed" in found(not_hit, run())


def test_a_server_that_ignores_keys_excuses_only_answers_that_were_lost(good):
    ignoring = replace(good, round=replace(good.round, mode="none"))
    assert "2 runs billed, 1 to 1 meant" in found(ignoring, run(), run("run_2"))
    lost = replace(ignoring, notes=[*good.notes, note("killed", point="answer to ledger")])
    assert found(lost, run(), run("run_2")) == ""


def test_a_late_note_of_a_try_that_was_taken_for_dead_excuses_what_the_next_one_paid(good):
    ignoring = replace(good, round=replace(good.round, mode="none"))
    twice = [*good.notes[:-1], note("sent", **{"try": 2, "at": 20.0}), note("ledger", run_id="run_1", at=21.0)]
    second = note("ledger", run_id="run_2", at=22.0, **{"try": 2})
    assert found(replace(ignoring, notes=[*twice, second], known={"run_1", "run_2"}), run(), run("run_2")) == ""
    in_time = [*good.notes, note("sent", **{"try": 2, "at": 20.0}), second]
    assert "2 runs billed" in found(replace(ignoring, notes=in_time), run(), run("run_2"))


@pytest.fixture
def edit(good):
    """A task whose author edited its prompt after its first try; say what it was to do then."""

    def edited(on_changed, **outcome):
        drawn = replace(good.round, edited="a rose", on_changed=on_changed)
        notes = [*good.notes, note("asked", prompt="a rose", **{"try": 2})]
        return replace(good, round=drawn, notes=notes, **outcome)

    return edited


NEW = run("run_2", key="k2", prompt="a rose")
SAID = "Run run_1 was started for another request; see on_changed_request."


def test_a_changed_request_that_fails_and_names_the_old_run_is_well(edit):
    assert found(edit("fail", state="failed", errors=SAID), run()) == ""
    assert found(replace(edit("fail", state="failed", errors=SAID), notes=[]), run(billed=False)) == ""


def test_a_changed_request_that_takes_the_old_run_silently_is_found(edit):
    assert "asked for 'a fern' and not ['a rose']" in found(edit("fail"), run())


def test_a_changed_request_that_pays_again_silently_is_found(edit):
    again = edit("fail", value="run_2", run_id="run_2", known={"run_1", "run_2"})
    assert "2 runs billed, 1 to 1 meant" in found(again, run(), NEW)


def test_adopting_takes_the_old_run_and_pays_for_no_other(edit):
    assert found(edit("adopt"), run()) == ""
    assert "2 runs billed" in found(edit("adopt", known={"run_1", "run_2"}), run(), NEW)


def test_submitting_again_takes_the_new_run_and_only_that(edit):
    again = edit("submit_again", value="run_2", run_id="run_2", known={"run_1", "run_2"})
    again.notes.append(note("sent", key="k2"))
    assert found(again, run(), NEW) == ""
    assert "asked for 'a fern'" in found(edit("submit_again", known={"run_1", "run_2"}), run(), NEW)


def test_each_change_may_be_paid_for_once_where_it_was_to_be_submitted_again(edit):
    again = edit("submit_again", value="run_2", run_id="run_2", known={"run_1", "run_2", "run_3"})
    again.notes.append(note("sent", key="k2"))
    third = run("run_3", key="k3", prompt="a rose")
    assert "3 runs billed, 1 to 2 meant" in found(again, run(), NEW, third)
    assert found(replace(again, disasters={"connection moved"}), run(), NEW, third) == ""


def test_the_outputs_of_the_old_request_are_found(edit):
    value = {"run_id": "run_2", "outputs": [{"text": "answer to: a fern"}]}
    again = edit("submit_again", value=value, run_id="run_2", known={"run_1", "run_2"})
    again.notes.append(note("sent", key="k2"))
    deferred = replace(again, round=replace(again.round, style="deferred"))
    assert "outputs of another run: answer to: a fern" in found(deferred, run(), NEW)


def test_a_failure_for_a_change_that_nobody_made_or_that_was_allowed_is_found(good, edit):
    assert "although nobody has changed it" in found(replace(good, state="failed", errors=SAID), run())
    assert "although it was to adopt" in found(edit("adopt", state="failed", errors=SAID), run())


def test_a_moved_connection_is_a_changed_request(good):
    moved = replace(good, state="failed", errors=SAID, disasters={"connection moved"})
    assert found(moved, run()) == ""


def test_a_start_that_is_refused_for_its_key_is_well_only_if_that_was_rotated_and_nothing_was_sent_before(good):
    refused = replace(
        good,
        state="failed",
        errors="401 invalid_api_key",
        notes=[note("sent"), note("answer", status=401)],
        disasters={"key rotated"},
        known=set(),
    )
    assert found(refused) == ""
    assert "never rotated" in found(replace(refused, disasters=set()))
    again = replace(refused, notes=[note("sent"), note("sent", **{"try": 2}), note("answer", status=401, **{"try": 2})])
    assert "although it may have paid" in found(replace(again, known={"run_1"}), run())


def test_a_task_cleared_before_its_end_that_took_its_old_run_is_found(good):
    cleared = replace(good, cleared_at=[11.0])
    assert "although it was cleared after that was written down" in found(cleared, run())
    running = replace(cleared, was_running=True)
    assert found(running, run()) == "", "it may count as retried"
    value = {"run_id": "run_1", "outputs": [{"text": "a fern"}]}
    in_workers = replace(running, round=replace(good.round, style="in worker"), value=value)
    assert "although it was cleared" in found(in_workers, run())
    before = replace(good, cleared_at=[9.0])
    assert found(before, run()) == ""
    again = replace(cleared, value="run_2", run_id="run_2", known={"run_1", "run_2"})
    again.notes.append(note("ledger", run_id="run_2", at=12.0))
    assert found(again, run(), run("run_2")) == ""


def test_a_run_that_failed_for_free_need_not_be_named(good):
    assert found(good, run(), run("run_2", billed=False)) == ""
