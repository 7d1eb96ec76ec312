import hashlib
from dataclasses import replace

import pytest

from demo import checks
from demo.pipeline import FailedRow, Row
from flora_provider.files import RunManifest

ALONE = FailedRow("a banknote", ("failed", "upstream_failed", "upstream_failed"), 1, "GENERATION_PROMPT_MODERATED")


@pytest.mark.parametrize(
    ("failed", "passed"),
    [
        ([ALONE], True),
        ([], False),
        ([ALONE, FailedRow("a fern", ALONE.states, 1, ALONE.reason)], False),
        ([FailedRow("a banknote", ALONE.states, 3, ALONE.reason)], False),
        ([FailedRow("a banknote", ("failed", "upstream_failed", "upstream_failed"), 1, "no connection")], False),
    ],
    ids=["alone", "none", "another too", "tried three times", "for another reason"],
)
def test_refused_alone_passes_only_if_the_refused_row_alone_failed_at_once(failed, passed):
    assert checks.refused_alone(failed, "a banknote").passed is passed


KINDS = ("generation", "technique", "action")
COSTS = (0.5, 0.25, 0.0)


@pytest.fixture
def row(tmp_path):
    """A row that went through all steps; its file and its manifest are in the folder."""
    runs = [
        {"run_id": f"run_{kind}", "status": "completed", "charged_cost": cost, "outputs": []}
        for kind, cost in zip(KINDS, COSTS, strict=True)
    ]
    content, file, manifest = b"A fern", tmp_path / "fern.txt", tmp_path / "run_action.json"
    file.write_bytes(content)
    saved = {"path": str(file), "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    saved |= {"output_id": "output_1", "type": "text", "media_type": "text/plain"}
    manifest.write_bytes(RunManifest(run_id="run_action", complete=True, files=(saved,)).to_json())
    runs[-1] |= {"files": [saved], "manifest": str(manifest)}
    return Row("a fern", "a fern", tuple(runs), (20.0, 20.0, None))


STARTED = [{"run_id": f"run_{kind}", "type": kind, "billed": True} for kind in KINDS]
REFUSED = {"run_id": "run_refused", "type": "generation", "billed": False}
STRAY = {"run_id": "run_stray", "type": "technique", "billed": True}


@pytest.mark.parametrize(
    ("started", "usd", "passed"),
    [
        ([*STARTED, REFUSED], 0.75, True),
        ([*STARTED, STRAY], 0.75, False),
        (STARTED[:2], 0.75, False),
        (STARTED, 1.0, False),
    ],
    ids=["once", "a technique twice", "an action never", "another sum"],
)
def test_each_step_billed_once_passes_only_if_flora_billed_what_the_rows_name(row, started, usd, passed):
    assert checks.each_step_billed_once([row], started, {"usd_billed": usd}).passed is passed


def test_files_whole_passes_if_the_folder_holds_what_the_manifests_name(row, tmp_path):
    assert checks.files_whole([row], tmp_path).passed


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda folder: (folder / "fern.txt").write_bytes(b"A fer"), "is not whole"),
        (lambda folder: (folder / "fern.txt").write_bytes(b"A fErn"), "is not whole"),
        (lambda folder: (folder / "fern.txt").unlink(), "cannot be read"),
        (lambda folder: (folder / "run_action.json").unlink(), "no manifest"),
        (lambda folder: (folder / "fern.txt.part").write_bytes(b""), "does not belong there"),
    ],
    ids=["cut off", "altered", "missing", "no manifest", "left over"],
)
def test_files_whole_fails_if_a_file_is_not_as_its_manifest_says(row, tmp_path, harm, reason):
    harm(tmp_path)
    check = checks.files_whole([row], tmp_path)
    assert not check.passed
    assert reason in check.text


@pytest.mark.parametrize(("waits", "passed"), [((20.0, 20.0, None), True), ((20.0, None, None), False)])
def test_waits_deferred_passes_only_if_generation_and_technique_were_deferred(row, waits, passed):
    assert checks.waits_deferred([replace(row, deferred_seconds=waits)]).passed is passed
