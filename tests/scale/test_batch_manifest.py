"""The manifest of a batch takes little memory, however many rows it has."""

import json
import tracemalloc

import pytest

from flora_provider.batch.manifest import write_manifest
from flora_provider.batch.outcome import RowOutcome, SavedRun
from flora_provider.batch.plan import PlannedRow
from flora_provider.batch.records import RowRecord
from flora_provider.files.local import LocalFolder
from flora_provider.files.manifest import RunManifest, SavedFile

ROWS = 2_500


def outcome(number):
    file = SavedFile(
        output_id="output_1",
        type="imageUrl",
        path=f"/out/{number}.png",
        size=1,
        media_type="image/png",
        sha256="0" * 64,
    )
    run = RunManifest(run_id=f"run_{number}", prompt="a fern" * 20, charged_cost_usd=0.04, complete=True, files=(file,))
    request = {"type": "image", "prompt": f"fern {number}", "params": {"seed": number}}
    record = RowRecord(row=str(number), state="completed", run_id=run.run_id)
    return RowOutcome(row=PlannedRow(number=number, row=str(number), request=request), record=record,
                      saved=SavedRun.of(run))  # fmt: skip


@pytest.fixture(scope="module")
def outcomes():
    return [outcome(number) for number in range(1, ROWS + 1)]


def test_manifest_is_written_in_bounded_memory(outcomes, tmp_path):
    write_manifest(LocalFolder(tmp_path), outcomes[:1])
    tracemalloc.start()
    try:
        write_manifest(LocalFolder(tmp_path), outcomes)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000  # all rows at once take 8.6 MB


def test_parquet_has_every_line_in_order(outcomes, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_manifest(LocalFolder(tmp_path), outcomes)
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    table = parquet.read_table(tmp_path / "manifest.parquet").to_pylist()
    assert [row["row"] for row in table] == [line["row"] for line in lines] == list(range(1, ROWS + 1))
    for row, line in zip(table, lines, strict=True):
        as_json = {name: json.loads(row[name]) for name in ("files", "model_params")}
        assert {**row, **as_json} == line


def test_what_is_kept_of_a_saved_run_says_the_same_as_its_manifest(outcomes):
    line = outcomes[6].to_dict()
    assert (line["run_id"], line["charged_cost_usd"]) == ("run_7", 0.04)
    assert [(file["path"], file["size"]) for file in line["files"]] == [("/out/7.png", 1)]
