"""A batch: many rows in one task, each paid for once."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from flora_provider.api.errors import FloraInputError
from flora_provider.api.http import throttle
from flora_provider.batch import starter
from flora_provider.budget import FloraBudget
from flora_provider.catalog.lookup import CACHE
from flora_provider.operators.flora import FloraGenerateBatchOperator
from flora_provider.sandbox.world.run_behavior import RunBehavior
from flora_provider.triggers import connection_reader

DEFAULTS = {"type": "image", "model": "t2i-flux-2-pro"}
PRICE = 0.04  # USD, of that model


def rows(number):
    return [{"prompt": f"fern {index}"} for index in range(number)]


@pytest.fixture
def fast(flora):
    flora.sandbox.settings.speed = 1000
    return flora


@pytest.fixture
def batch(tmp_path, one_task):
    """Makes a batch of rows, whose results go into `tmp_path/"out"`."""

    def make(requests, *, retries=2, **kwargs):
        settings = {"defaults": DEFAULTS, "save_outputs_to": str(tmp_path / "out"), "poll_interval": 0.05, **kwargs}
        return one_task(FloraGenerateBatchOperator(task_id="batch", requests=requests, retries=retries, **settings))

    return make


def manifest_of(result):
    return [json.loads(line) for line in Path(result["manifest"]).read_text().splitlines()]


@pytest.mark.parametrize("deferrable", [True, False])
def test_each_row_is_billed_once_and_its_file_is_saved(fast, batch, deferrable):
    task = batch(rows(20), deferrable=deferrable)
    result = task.run()
    assert (result["rows"], result["completed"]) == (20, 20)
    assert fast.billed == 20
    assert len(task.deferrals) == deferrable
    found = manifest_of(result)
    assert [row["prompt"] for row in found] == [f"fern {index}" for index in range(20)]
    assert all(Path(file["path"]).stat().st_size == file["size"] for row in found for file in row["files"])
    assert result["cost_usd"] == pytest.approx(sum(row["charged_cost_usd"] for row in found))
    assert result["cost_usd"] > 0
    assert len(json.dumps(result)) < 1000


@pytest.mark.parametrize("deferrable", [True, False])
def test_late_bills_are_awaited(fast, batch, monkeypatch, deferrable):
    monkeypatch.setattr("flora_provider.runs.poller.BILL_PAUSE", 0.05)
    fast.inject(route="/generate", behavior=RunBehavior(cost_lag=1.0), times=None)
    result = batch(rows(6), deferrable=deferrable, max_in_flight=2).run()
    bills = [row["charged_cost_usd"] for row in manifest_of(result)]
    assert None not in bills
    assert (result["cost_usd"], sum(bills)) == (pytest.approx(fast.sandbox.stats()["usd_billed"]),) * 2


def test_bill_that_never_comes_leaves_the_row_completed(fast, batch, monkeypatch):
    monkeypatch.setattr("flora_provider.runs.poller.BILL_PAUSE", 0.05)
    monkeypatch.setattr("flora_provider.runs.tolerance.BILL_FOR", 0.3)
    fast.inject(route="/generate", behavior=RunBehavior(cost_lag=3600.0), times=None)
    result = batch(rows(3)).run()
    assert [(row["state"], row["charged_cost_usd"]) for row in manifest_of(result)] == [("completed", None)] * 3
    assert result["cost_usd"] == pytest.approx(3 * PRICE)  # by FLORA's quotes


def test_bill_costs_no_finished_batch_its_deadline(flora, batch):
    flora.inject(route="/generate", behavior=RunBehavior(seconds=0, cost_lag=3600.0), times=None)
    result = batch(rows(3), timeout=4).run()
    assert [(row["state"], row["charged_cost_usd"]) for row in manifest_of(result)] == [("completed", None)] * 3


def test_rows_share_one_client_and_one_reading_of_the_connection_though_waits_do_not_overlap(fast, batch, monkeypatch):
    read, reads = connection_reader.read_without_blocking, []

    async def counted(conn_id):
        reads.append(conn_id)
        return await read(conn_id)

    monkeypatch.setattr(connection_reader, "read_without_blocking", counted)
    task = batch(rows(6), max_in_flight=1)
    deferral = task.defers()
    before = fast.sandbox.connections
    event = task.trigger(deferral)
    assert fast.sandbox.connections - before == 2  # one to start runs, one to poll them
    assert reads == ["flora_default"]
    assert task.resume(deferral, event)["completed"] == 6


def test_all_problems_of_all_rows_are_named_before_anything_is_sent(fast, batch):
    wrong = [*rows(3), {"prompt": "", "type": "picture"}, {"prompt": "a fern", "model_params": {"imagesize": 1}}]
    error = str(batch(wrong).fails_for_good())
    assert "row 4: " in error
    assert "row 5: " in error
    assert "imagesize" in error
    assert fast.posts == 0


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_rows_come_from_a_file_and_defaults_fill_them(fast, batch, tmp_path, ending):
    path = tmp_path / f"prompts.{ending}"
    if ending == "csv":
        path.write_text('prompt,model_params.seed\n"a fern, wet",7\na moss,\n')
    else:
        path.write_text('{"prompt": "a fern, wet", "model_params": {"seed": 7}}\n{"prompt": "a moss"}\n')
    found = manifest_of(batch(str(path)).run())
    assert [row["prompt"] for row in found] == ["a fern, wet", "a moss"]
    assert [(row["model_params"] or {}).get("seed") for row in found] == [7, None]


def test_failed_runs_are_retried_by_the_next_try_only_and_the_others_are_kept(fast, batch):
    fast.inject(route="/generate", containing="fern 3", behavior=RunBehavior(error_code="provider_error"), times=1)
    task = batch(rows(6))
    error = str(task.fails_for_now())
    assert "5 of 6 rows completed" in error
    assert "row 4: 'provider_error" in error
    assert fast.started == 6
    result = task.retry()
    assert (result["completed"], fast.started, fast.billed) == (6, 7, 6)
    assert manifest_of(result)[3]["runs"] == 2


@pytest.mark.parametrize("change", ["price", "catalog"])
def test_what_is_said_of_rows_after_they_were_paid_for_does_not_keep_them_from_being_saved(fast, batch, change):
    task = batch(rows(4), max_cost_usd=PRICE * 20)
    deferral = task.defers()
    task.trigger(deferral)  # and the worker is killed before it saves the files
    CACHE.clear()
    if change == "price":
        task.operator.max_cost_usd = PRICE / 2
    else:
        fast.inject(route="/models", edit={"models": [{"model_id": "t2i-other", "type": "image"}]}, times=None)
    assert task.retry()["completed"] == 4
    assert fast.started == 4


def test_folder_may_be_corrected_where_nothing_was_sent(fast, batch, tmp_path):
    task = batch([{"prompt": "a fern", "model": "nope"}])
    task.fails_for_good()
    task.operator.save_outputs_to = str(tmp_path / "elsewhere")
    task.operator.requests = rows(1)
    assert task.retry()["completed"] == 1


def test_moderated_row_fails_for_good_and_no_retry_sends_it(fast, batch):
    fast.inject(route="/generate", containing="fern 3", behavior=RunBehavior(error_code="safety_blocked"), times=None)
    task = batch(rows(6))
    error = str(task.fails_for_good())
    assert "safety_blocked" in error
    assert "No retry can help" in error
    task.retry_fails()
    assert fast.started == 6


@pytest.mark.parametrize(("min_success", "is_enough"), [(5, True), (0.8, True), (0.9, False), (6, False), (1.0, False)])
def test_min_success_is_a_count_or_a_part(fast, batch, min_success, is_enough):
    fast.inject(route="/generate", containing="fern 3", behavior=RunBehavior(error_code="safety_blocked"))
    task = batch(rows(6), min_success=min_success)
    if is_enough:
        assert task.run()["failed"] == 1
    else:
        task.fails_for_good()


def test_refused_row_is_named_and_the_others_go_on(fast, batch):
    fast.inject(route="/generate", containing="fern 3", status=400, code="bad_request", message="no such fern")
    task = batch(rows(6), min_success=5)
    result = task.run()
    assert (result["completed"], result["refused"]) == (5, 1)
    assert "no such fern" in manifest_of(result)[3]["message"]


@pytest.mark.parametrize("mode", ["duplicate_409", "replay", "current_state"])
@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 429, "headers": {"retry-after": "0"}}, {"delivery": "drop"}]
)
def test_starts_that_fail_for_a_moment_are_tried_again_in_the_same_try(fast, batch, mode, fault, monkeypatch):
    monkeypatch.setattr(starter, "_LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(throttle, "_LARGEST_GAP", 0.05)  # to which 429 widens the gap between requests
    fast.sandbox.settings.update({"idempotency": mode})
    fast.inject(route="/generate", times=4, **fault)
    assert batch(rows(6)).run()["completed"] == 6
    assert (fast.started, fast.billed) == (6, 6)


@pytest.mark.parametrize("mode", ["duplicate_409", "replay", "current_state"])
def test_answer_that_is_lost_is_found_and_not_paid_twice(fast, batch, mode, monkeypatch):
    monkeypatch.setattr(starter, "_LONGEST_PAUSE", 0.05)
    monkeypatch.setattr("flora_provider.runs.start.LISTED_WITHIN", 0.0)
    fast.sandbox.settings.update({"idempotency": mode})
    fast.inject(route="/generate", containing="fern 3", delivery="drop", after=True)
    task = batch(rows(6), on_unknown_outcome="adopt", max_in_flight=1)
    assert task.run()["completed"] == 6
    assert (fast.started, fast.billed) == (6, 6)


def test_row_whose_run_is_not_known_is_reported_and_not_sent_again(fast, batch, monkeypatch):
    monkeypatch.setattr(starter, "_LONGEST_PAUSE", 0.05)
    monkeypatch.setattr("flora_provider.runs.start.LISTED_WITHIN", 0.0)
    fast.inject(route="/generate", containing="fern 3", delivery="drop", after=True)
    task = batch(rows(6), min_success=5)
    result = task.run()
    assert (result["completed"], result["unknown"]) == (5, 1)
    assert "already started a run" in manifest_of(result)[3]["message"]
    assert fast.started == 6


def test_list_that_changed_between_tries_starts_only_what_is_new(fast, batch, tmp_path):
    path = tmp_path / "prompts.jsonl"
    fast.inject(route="/generate", containing="fern 2", behavior=RunBehavior(error_code="provider_error"))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(4)))
    task = batch(str(path))
    task.fails_for_now()
    changed = [{"prompt": "moss"}, *reversed(rows(4)), {"prompt": "fern 0"}]  # fern 0 is there twice now
    path.write_text("".join(json.dumps(row) + "\n" for row in changed))
    result = task.retry()
    assert (result["rows"], result["completed"]) == (6, 6)
    assert fast.started == 4 + 1 + 2


def test_row_that_is_gone_after_it_was_paid_for_is_counted_in_the_cost(fast, batch, tmp_path, logged):
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(3)))
    fast.inject(route="/generate", containing="fern 2", behavior=RunBehavior(error_code="provider_error"))
    task = batch(str(path))
    task.fails_for_now()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(1)))
    result = task.retry()
    assert result["rows"] == result["completed"] == 1
    assert result["cost_usd"] > manifest_of(result)[0]["charged_cost_usd"]
    assert "asked for no more" in logged()


def test_limit_of_costs_ends_the_batch_and_what_goes_on_is_saved(fast, batch):
    task = batch(rows(20), max_cost_usd=PRICE * 10.5, max_in_flight=2)
    error = str(task.fails_for_good())
    assert "max_cost_usd" in error
    summary = task.xcoms["summary"]
    assert summary["completed"] == fast.started
    assert summary["not_started"] == 20 - fast.started
    assert PRICE * 8 < summary["cost_usd"] <= PRICE * 10.5  # bills differ a little from quotes


@pytest.mark.parametrize("max_in_flight", [2, 12])
def test_partial_batch_succeeds_under_its_limit_and_makes_use_of_it(fast, batch, max_in_flight):
    task = batch(rows(20), max_cost_usd=PRICE * 12, max_in_flight=max_in_flight, on_budget="partial")
    result = task.run()
    assert 9 <= result["completed"] == fast.started < 20
    assert result["completed"] + result["not_started"] == 20


def test_limit_below_one_row_refuses_all_before_anything_is_sent(fast, batch):
    error = str(batch(rows(2), max_cost_usd=PRICE / 2).fails_for_good())
    assert "model t2i-flux-2-pro costs about" in error
    assert fast.posts == 0


def test_named_budget_counts_each_row_and_ends_the_batch(fast, batch, tmp_path):
    budget = FloraBudget("ferns", limit_usd=PRICE * 6, store=str(tmp_path / "budgets"))
    task = batch(rows(10), budget=budget, max_in_flight=1, on_budget="partial")
    result = task.run()
    assert 0 < result["completed"] <= 6
    assert result["completed"] + result["not_started"] == 10
    assert fast.started == result["completed"]


def test_second_batch_takes_all_rows_from_the_build_cache(fast, batch, tmp_path):
    first = batch(rows(20), reuse_from=str(tmp_path / "cache"), save_outputs_to=str(tmp_path / "one")).run()
    posts = fast.posts
    again = batch(rows(20), reuse_from=str(tmp_path / "cache"), save_outputs_to=str(tmp_path / "two"))
    again.ti.run_id = "manual__2"
    second = again.run()
    assert (second["reused"], second["completed"], second["cost_usd"]) == (20, 0, 0)
    assert fast.posts == posts
    assert not again.deferrals
    hashes = [[file["sha256"] for row in manifest_of(result) for file in row["files"]] for result in (first, second)]
    assert hashes[0] == hashes[1]
    assert all(row["reused_from"] for row in manifest_of(second))


def test_key_that_was_rotated_meanwhile_is_taken_up(fast, batch):
    task = batch(rows(6), max_in_flight=1)
    deferral = task.defers()
    fast.sandbox.settings.update({"api_key": "sk_live_rotated"})
    fast.connect(password="sk_live_rotated")
    assert task.resume(deferral, task.trigger(deferral))["completed"] == 6


def test_key_that_is_refused_ends_the_try_and_the_next_one_goes_on(fast, batch):
    task = batch(rows(6), max_in_flight=1)
    deferral = task.defers()
    key = fast.sandbox.settings.api_key
    fast.sandbox.settings.update({"api_key": "sk_live_rotated"})
    with pytest.raises(AirflowException, match="401") as caught:
        task.resume(deferral, task.trigger(deferral))
    assert not isinstance(caught.value, AirflowFailException)
    assert fast.started == 0
    fast.sandbox.settings.update({"api_key": key})
    fast.connect(password=key)
    assert task.retry()["completed"] == 6


def test_account_without_credits_ends_the_batch_for_good(fast, batch):
    fast.inject(route="/generate", status=402, skip=2, times=None)
    task = batch(rows(20), max_in_flight=1)
    error = str(task.fails_for_good())
    assert "2 of 20 rows completed" in error
    assert "402" in error
    assert fast.posts == 3


def test_other_folder_or_connection_at_a_retry_is_refused(fast, batch, tmp_path):
    fast.inject(route="/generate", containing="fern 2", behavior=RunBehavior(error_code="provider_error"))
    task = batch(rows(3))
    task.fails_for_now()
    task.operator.save_outputs_to = str(tmp_path / "elsewhere")
    error = task.retry_fails(AirflowFailException)
    assert str(tmp_path / "out") in str(error)
    assert str(tmp_path / "elsewhere") in str(error)
    assert fast.started == 3


def test_cleared_batch_starts_all_rows_anew_unless_it_is_to_reuse_them(fast, batch):
    task = batch(rows(3))
    task.run()
    task.clear()
    assert fast.started == 6
    task.operator.on_clear = "reuse"
    result = task.clear()
    assert result["completed"] == 3
    assert fast.started == 6


def test_file_that_cannot_be_saved_leaves_its_row_to_a_retry(fast, batch):
    task = batch(rows(4))
    deferral = task.defers()
    payload = task.trigger(deferral)
    fast.inject(route="/media/{run_id}/{file}", status=500, times=1)
    with pytest.raises(AirflowException, match="3 of 4 rows completed"):
        task.resume(deferral, payload)
    assert task.retry()["completed"] == 4
    assert fast.started == 4
    assert len(task.deferrals) == 0, "nothing was left for the triggerer"


def test_timeout_ends_the_try_and_the_next_one_goes_on_with_its_runs(flora, batch):
    flora.inject(route="/generate", behavior=RunBehavior(seconds=3000), times=None)
    task = batch(rows(3), timeout=2)
    error = str(task.fails_for_now())
    assert "time is over" in error
    assert flora.started == 3
    flora.sandbox.clock.advance(3000)
    task.operator.timeout = None
    assert task.retry()["completed"] == 3
    assert flora.started == 3


def test_execution_timeout_counts_as_well(flora, batch):
    flora.inject(route="/generate", behavior=RunBehavior(seconds=3000), times=None)
    error = str(batch(rows(3), execution_timeout=timedelta(seconds=2)).fails_for_now())
    assert "time is over" in error


def test_batch_that_is_mapped_keeps_a_ledger_for_each_instance(fast, batch):
    for map_index in (0, 1):
        task = batch(rows(2))
        task.ti.map_index = map_index
        assert task.run()["completed"] == 2
    assert fast.started == 4


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"requests": 5}, "requests is 5"),
        ({"max_in_flight": 0}, "max_in_flight is 0"),
        ({"max_in_flight": True}, "max_in_flight is True"),
        ({"min_success": 1.5}, "min_success is 1.5"),
        ({"min_success": -1}, "min_success is -1"),
        ({"on_budget": "stop"}, "on_budget is 'stop'"),
        ({"reuse_max_age": 5}, "reuse_max_age needs reuse_from"),
        ({"defaults": []}, "defaults is"),
        ({"max_cost_usd": -1}, "max_cost_usd is -1"),
    ],
)
def test_bad_argument_is_refused_when_the_dag_is_parsed(arguments, match):
    with pytest.raises(FloraInputError, match=match):
        FloraGenerateBatchOperator(task_id="batch", save_outputs_to="/tmp/x", **{"requests": [], **arguments})


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_problem_of_a_row_names_its_file(flora, batch, tmp_path, name):
    rows = {"rows.csv": "prompt,model\na fern,t2i-flux\n", "rows.jsonl": '{"prompt": "a fern", "model": "t2i-flux"}\n'}
    (tmp_path / name).write_text(rows[name])
    task = batch(str(tmp_path / name), defaults={"type": "image"})
    task.fails_for_good(rf"{tmp_path}/{name}: row 1: model is 't2i-flux'")
    task.operator.defaults = {"type": "picture"}
    message = str(task.retry_fails(AirflowFailException))
    assert "defaults: type is 'picture'" in message
    assert f"{name}: defaults" not in message
    assert flora.started == 0
