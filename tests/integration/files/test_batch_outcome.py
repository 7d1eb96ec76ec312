"""What a batch says of its rows: its manifest, its summary, and whether it has succeeded."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from flora_provider.batch.manifest import write_manifest
from flora_provider.batch.outcome import RowOutcome, SavedRun, raise_unless_enough, required, summary_of
from flora_provider.batch.plan import PlannedRow
from flora_provider.batch.records import RowRecord
from flora_provider.batch.rules import BatchEnd
from flora_provider.files.manifest import RunManifest, SavedFile
from flora_provider.files.storage import open_folder
from flora_provider.runs.errors import BatchFailed

DONE, CUT = BatchEnd(reason="done"), BatchEnd(reason="budget", detail="max_cost_usd is 1")


def planned(number, **changes):
    request = {"type": "image", "prompt": f"fern {number}", "workspace_id": "ws_1", "project_id": "prj_1"}
    return PlannedRow(number=number, row=f"{number:032x}", request=request, **changes)


def completed(number, cost=0.05, **changes):
    file = SavedFile(
        output_id="o", type="imageUrl", path=f"/f/{number}.png", size=1, media_type="image/png", sha256="0" * 64
    )
    saved = RunManifest(run_id=f"run_{number}", charged_cost_usd=cost, complete=True, files=(file,))
    record = RowRecord(row="", state="completed", run_id=f"run_{number}", quoted_cost=0.04)
    return RowOutcome(row=planned(number, **changes), record=record, saved=SavedRun.of(saved))


def failed(number, state="failed", **changes):
    record = RowRecord(
        row="", state=state, run_id=f"run_{number}", code="safety_blocked", message="no ferns", **changes
    )
    return RowOutcome(row=planned(number), record=record)


def not_started(number):
    return RowOutcome(row=planned(number))


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_part_is_rounded_up_and_never_more_than_all(rows, part):
    assert part * rows - 1e-6 <= required(part, rows) <= rows
    assert required(1.0, rows) == rows


def judged(outcomes, end=DONE, *, min_success=1.0, on_budget="fail"):
    raise_unless_enough(outcomes, end, min_success=min_success, on_budget=on_budget, manifest="m.jsonl")


def test_all_rows_are_enough():
    judged([completed(1), completed(2)])


def test_more_than_there_are_cannot_be_asked_for():
    judged([completed(1)], min_success=5)


def test_message_names_rows_by_their_reason_and_the_manifest():
    outcomes = [completed(1), *(failed(number) for number in range(2, 30)), failed(30, "refused")]
    with pytest.raises(BatchFailed) as caught:
        judged(outcomes)
    said = str(caught.value)
    assert "1 of 30 rows completed" in said
    assert "rows 2, 3, 4, 5, 6 and 24 more: 'safety_blocked: no ferns'" in said
    assert "No retry can help" in said
    assert said.endswith("m.jsonl")
    assert not caught.value.may_retry


def test_retry_helps_if_it_may_complete_a_row():
    with pytest.raises(BatchFailed, match="A retry tries 2 of them again") as caught:
        judged([completed(1), failed(2, may_retry=True), failed(3), not_started(4)])
    assert caught.value.may_retry


def test_batch_that_a_limit_has_cut_fails_for_good_or_counts_what_was_started():
    outcomes = [completed(1), not_started(2)]
    with pytest.raises(BatchFailed, match="It was ended early: max_cost_usd is 1") as caught:
        judged(outcomes, CUT, min_success=0.1)
    assert not caught.value.may_retry
    judged(outcomes, CUT, on_budget="partial")
    with pytest.raises(BatchFailed):
        judged([*outcomes, failed(3)], CUT, on_budget="partial")


def test_summary_counts_each_row_once_and_all_that_was_spent():
    gone = [RowRecord(row="", state="completed", charged_cost=0.5)]
    reused = completed(3, reused_from="/cache/ab.json")
    summary = summary_of([completed(1), failed(2), reused, not_started(4), failed(5, "started")], gone, "m.jsonl")
    names = ("completed", "reused", "failed", "refused", "unknown", "open", "not_started")
    assert sum(summary[name] for name in names) == summary["rows"] == 5
    assert summary["cost_usd"] == pytest.approx(0.05 + 0.5)


def test_manifest_has_a_line_for_each_row_and_no_signature_and_parquet_says_the_same(tmp_path):
    outcomes = [completed(1), failed(2), not_started(3)]
    outcomes[2].row.request["params"] = {"image_url": "https://a.example/b.png?sig=secret"}
    path = write_manifest(open_folder(tmp_path), outcomes)
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    assert [line["state"] for line in lines] == ["completed", "failed", "not_started"]
    assert lines[0]["files"][0]["path"] == "/f/1.png"
    assert lines[1]["code"] == "safety_blocked"
    assert "secret" not in json.dumps(lines)
    table = parquet.read_table(tmp_path / "manifest.parquet").to_pylist()
    assert [
        {**row, "files": json.loads(row["files"]), "model_params": json.loads(row["model_params"])} for row in table
    ] == lines
