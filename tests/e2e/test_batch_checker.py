"""The checker of batches finds what it is there to find: each of these has one thing wrong."""

import json
from collections import Counter

import pytest

from tests.e2e.batch.checker import Result, doubles, problems
from tests.e2e.batch.runner import cut_off
from tests.e2e.batch.workload import RETRIES, Row, Workload


def run(run_id="run_1", *, prompt="a fern", status="completed"):
    return {"run_id": run_id, "prompt": prompt, "status": status, "billed": status == "completed"}


def line(**changes):
    """A row of a manifest that is right."""
    file = {"path": "/out/run_1.txt", "size": 6, "sha256": "5f"}
    row = {"row": 1, "state": "completed", "run_id": "run_1", "type": "text", "prompt": "a fern", "runs": 1}
    return {**row, "charged_cost_usd": 0.5, "code": None, "message": "", "files": [file], **changes}


def batch(mode="replay", *, rows=None, manifest=None, runs=None, **changes):
    """A batch of one row that is right."""
    drawn = rows or (Row("a fern", "text", 1.0),)
    workload = Workload(
        seed=0,
        mode=mode,
        rows=drawn,
        min_success=0.9,
        on_unknown="fail",
        max_in_flight=6,
        form="list",
        bursts=(),
        kills=(),
    )
    manifest = [line()] if manifest is None else manifest
    states = Counter(row["state"] for row in manifest)
    counts = {name: states[name] for name in ("completed", "failed", "refused", "unknown")}
    costs = sum(row["charged_cost_usd"] or 0.0 for row in manifest)
    result = Result(
        workload=workload,
        state="success",
        tries=1,
        summary={"rows": len(manifest), **counts, "cost_usd": costs},
        manifest=manifest,
        files={"/out/run_1.txt": (6, "5f")},
        runs=[run()] if runs is None else runs,
        books={"run_1": {"charged_cost": 0.5, "sha256": "5f"}},
        usd_billed=costs,
    )
    result.xcoms = {"return_value": json.dumps(result.summary)}
    for name, value in changes.items():
        setattr(result, name, value)
    return result


def found(*args, **kwargs):
    return " ".join(problems(batch(*args, **kwargs)))


def test_checker_finds_nothing_wrong_with_a_good_batch():
    assert found() == ""


def test_checker_finds_a_row_paid_twice():
    assert "paid for 1 times too often (run_2)" in found(runs=[run(), run("run_2")])
    assert "had 2 runs" in found(runs=[run(), run("run_2")])


def test_second_run_is_known_where_keys_are_ignored_and_an_answer_was_lost_or_cut_off():
    twice = [run(), run("run_2")]
    assert "too often" in found("none", runs=twice)
    assert found("none", runs=twice, cut_off=Counter({"a fern": 1})) == ""
    assert found("none", runs=twice, rows=(Row("a fern", "text", 1.0, lost="dropped"),)) == ""
    assert "2 times too often" in found("none", runs=[*twice, run("run_3")], cut_off=Counter({"a fern": 1}))
    assert "too often" in found("replay", runs=twice, cut_off=Counter({"a fern": 1}))
    assert doubles(batch(runs=twice)) == {"a fern": ["run_2"]}


def test_run_of_a_row_whose_id_was_lost_is_no_second_one():
    nothing = {"run_id": None, "files": [], "charged_cost_usd": None}
    unknown = line(state="unknown", **nothing)
    assert doubles(batch(manifest=[unknown], runs=[run()])) == {}
    assert doubles(batch(manifest=[unknown], runs=[run(), run("run_2")])) == {"a fern": ["run_2"]}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"manifest": []}, "0 rows instead of 1"),
        ({"manifest": [line(prompt="a moss")]}, "is not the row that was asked for"),
        ({"manifest": [line(charged_cost_usd=0.4)]}, "costs 0.4 by the manifest and 0.5 by FLORA"),
        ({"manifest": [line(runs=2)]}, "had 1 runs, and its rows tell of [2]"),
        ({"manifest": [line(files=[])]}, "is completed and has 0 files"),
        ({"runs": [run(prompt="a moss")]}, "has the run of a moss"),
        ({"runs": [run(status="failed")]}, "has a run that is"),
        ({"runs": [run(), run("run_2", prompt="a moss")]}, "run_2 is of no row"),
        ({"files": {}}, "is None instead of 6 bytes"),
        ({"files": {"/out/run_1.txt": (6, "60")}}, "is (6, '60') instead of"),
        ({"books": {"run_1": {"charged_cost": 0.5, "sha256": "60"}}}, "is not what FLORA shows"),
        ({"state": "failed"}, "1 of 1 rows completed, 1 were needed, and the task is failed"),
        ({"usd_billed": 1.0}, "FLORA has billed 1.0 USD"),
        ({"summary": {}}, "the summary says"),
        ({"xcoms": {"return_value": "null"}}, "it returned null"),
        ({"xcoms": {"progress": "x" * 10_001}}, "XCom progress has 10001 bytes"),
        ({"rows": (Row("a fern", "text", 1.0, is_refused=True),)}, "drawn was"),
    ],
)
def test_checker_finds_what_is_wrong(changes, problem):
    assert problem in found(**changes)


def test_checker_finds_twins_that_name_one_run():
    twins = (Row("a fern", "text", 1.0),) * 2
    assert "run_1 is of 2 rows" in found(rows=twins, manifest=[line(), line(row=2)])


def test_checker_finds_a_task_that_gives_up_too_early():
    failed = {"state": "failed", "code": "SERVER_ERROR", "files": [], "charged_cost_usd": None}
    given_up = {"manifest": [line(**failed)], "runs": [run(status="failed")], "state": "failed"}
    assert "gave up after 1 tries" in found(**given_up)
    assert "gave up" not in found(**given_up, tries=RETRIES + 1)


def test_starts_whose_process_ended_before_the_answer_are_counted_by_writer(tmp_path):
    folder = tmp_path / "batch-1"
    folder.mkdir()
    records = {
        "rows-000001-aaaaaaaaaaaa-000000.jsonl": [("a", "intended"), ("b", "intended"), ("b", "started")],
        "rows-000002-bbbbbbbbbbbb-000000.jsonl": [("a", "intended")],
        "rows-000003-cccccccccccc-000000.jsonl": [("a", "intended"), ("a", "started")],
    }
    plan = [{"row": row, "request": {"prompt": f"prompt {row}"}} for row in "ab"]
    (folder / "plan-1.jsonl").write_text("\n".join(map(json.dumps, plan)))
    for name, lines in records.items():
        text = "\n".join(json.dumps({"row": row, "state": state}) for row, state in lines)
        (folder / name).write_text(text)
    assert cut_off(tmp_path) == {"prompt a": 2}
