"""What must be true after the demo; each check says what it found."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import leaks, media
from demo.pipeline import STEPS, FailedRow, Moment, Row
from devstack.airflow_instance import WORKERS
from flora_provider.api.errors import FloraError
from flora_provider.files import SavedFile, read_manifest

_CENT = 0.01


@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    passed: bool
    text: str


def all_succeeded(rows: Sequence[Row], expected: int) -> Check:
    """Every row but the refused one went through all steps."""
    completed = sum(all(run["status"] == "completed" for run in row.runs) for row in rows)
    text = f"{completed} of {expected} rows went through all {len(STEPS)} steps"
    return Check(completed == len(rows) == expected, text)


def refused_alone(failed: Sequence[FailedRow], prompt: str) -> Check:
    """The row that FLORA refuses failed, for good, and no other did."""
    others = [f"{row.prompt} ({row.reason})" for row in failed if row.prompt != prompt]
    if others:
        return Check(passed=False, text=f"{len(others)} rows failed that should not: {'; '.join(others)}")
    if not failed:
        return Check(passed=False, text=f"FLORA refuses {prompt!r}, but its row did not fail")
    (row,) = failed
    right = (
        row.states == ("failed", "upstream_failed", "upstream_failed") and row.tries == 1 and "MODERATED" in row.reason
    )
    text = f"1 row failed alone, at try {row.tries}, after which its tasks are {', '.join(map(str, row.states))}: "
    return Check(right, text + row.reason)


def rows_have_names(rows: Sequence[Row]) -> Check:
    """Airflow's pages show each row's prompt, not its number."""
    named = sum(row.name == row.prompt for row in rows)
    return Check(named == len(rows), f"{named} of {len(rows)} rows are shown with their prompts")


def each_step_billed_once(rows: Sequence[Row], runs: Sequence[dict[str, Any]], stats: dict[str, Any]) -> Check:
    """FLORA has billed the runs that the rows name, in their steps, and no other: not that of the refused row either.

    Args:
        rows: Those that went through.
        runs: All that FLORA has started, with `run_id`, `type` and whether each is `billed`.
        stats: What FLORA has billed.
    """
    kinds = ("generation", "technique", "action")
    steps = zip(kinds, zip(*(row.runs for row in rows), strict=True), strict=True) if rows else ()
    named = sorted((kind, run["run_id"]) for kind, step in steps for run in step)
    billed = sorted((run["type"], run["run_id"]) for run in runs if run["billed"])
    charged = [sum(row.runs[step]["charged_cost"] for row in rows) for step in range(len(kinds))]
    counts = [sum(kind == of for of, _ in billed) for kind in kinds]
    text = ", ".join(f"{count} {kind}s ${usd:.2f}" for kind, count, usd in zip(kinds, counts, charged, strict=True))
    same = (
        named == billed and counts == [len(rows)] * len(kinds) and len({run_id for _, run_id in billed}) == len(billed)
    )
    right = same and charged[-1] == 0 and abs(sum(charged) - stats["usd_billed"]) < _CENT
    strays = len({*named} ^ {*billed})
    text = f"billed: {text}, ${stats['usd_billed']:.2f} in all" + (f"; {strays} runs do not match" if strays else "")
    return Check(right, text)


def waits_deferred(rows: Sequence[Row]) -> Check:
    """Each generation and each technique was awaited in the triggerer; actions take too short for that."""
    waits = sorted(wait for row in rows for wait in row.deferred_seconds[:-1] if wait is not None)
    if not waits:
        return Check(passed=False, text="no wait was deferred")
    expected = (len(STEPS) - 1) * len(rows)
    text = f"{len(waits)} of {expected} waits were deferred, for {waits[0]:.0f} to {waits[-1]:.0f} s (audit log)"
    return Check(len(waits) == expected, text)


def no_slot_held(moments: Sequence[Moment]) -> Check:
    """Tasks that wait take no worker slot.

    Seen from a moment when more tasks waited than there are workers, or when tasks waited and no slot was taken at all;
    slots that are taken then belong to tasks that start a run, or go on.
    """
    clearest = max(moments, key=lambda moment: moment.deferred)
    waiting, taken = clearest.deferred, clearest.occupied
    text = f"at {clearest.at:%H:%M:%S} {waiting} tasks waited at once, with {WORKERS} workers"
    return Check(waiting > WORKERS or (waiting > 0 and not taken), text)


def files_whole(rows: Sequence[Row], folder: Path) -> Check:
    """The folder holds each row's manifest, the files that it names, whole, and nothing else."""
    problems: list[str] = []
    expected: set[Path] = set()
    for row in rows:
        path = Path(row.runs[-1]["manifest"])
        try:
            manifest = read_manifest(path)
        except FloraError as error:
            problems.append(str(error))
            continue
        expected |= {path, *(Path(file.path) for file in manifest.files)}
        problems += [problem for file in manifest.files if (problem := _file_problem(file))]
        if manifest.run_id != row.runs[-1]["run_id"] or [Path(file.path) for file in manifest.files] != row.files:
            problems.append(f"{path.name} is not what the task of {row.prompt!r} has saved")
        if not manifest.files:
            problems.append(f"{path.name} names no file")
    found = set(folder.iterdir()) if folder.is_dir() else set()
    problems += [f"{path.name} does not belong there" for path in sorted(found - expected)]
    text = f"{len(found)} files are there: {len(rows)} manifests and what they name, each as its sha256 says"
    return Check(passed=False, text="; ".join(problems)) if problems else Check(bool(rows), text)


def _file_problem(file: SavedFile) -> str | None:
    try:
        content = Path(file.path).read_bytes()
    except OSError as error:
        return f"{file.name} cannot be read: {error.strerror}"
    if len(content) != file.size or hashlib.sha256(content).hexdigest() != file.sha256:
        return f"{file.name} is not whole: {len(content)} of {file.size} bytes, or another sha256"
    return None


def files_open(rows: Sequence[Row]) -> Check:
    """Every file can be decoded as what it should be."""
    kinds, broken = [], []
    outputs = [pair for row in rows for pair in zip(row.runs[-1]["outputs"], row.files, strict=True)]
    for output, file in outputs:
        try:
            kinds.append(media.describe(file, output["type"].removesuffix("Url")))
        except media.BrokenFileError as error:
            broken.append(str(error))
    text = f"{len(kinds)} of {len(outputs)} files open: {', '.join(sorted(set(kinds)))}"
    return Check(not broken, "; ".join([text, *broken]))


def key_stays_secret(api_key: str, folder: Path, database: Path) -> Check:
    """The API key stands in clear in no file of the demo and in no row of the metadata database."""
    found = [str(file.relative_to(folder)) for file in leaks.files_with(api_key, folder)]
    found += leaks.columns_with(api_key, database)
    text = f"the API key is in {', '.join(found)}" if found else "the API key is in no file, log or database row"
    return Check(not found, text)


def no_discovery_errors(logs: Path) -> Check:
    """Airflow looks for the example DAGs of every provider, and its logs show a traceback where it cannot."""
    found = [str(file.relative_to(logs)) for file in leaks.files_with("Could not load provider module", logs)]
    text = (
        f"Airflow cannot load a provider's module, says {found[0]}"
        if found
        else "Airflow finds every provider's module"
    )
    return Check(not found, text)


def nothing_runs(still_running: Sequence[str]) -> Check:
    """Everything that was started has ended."""
    text = f"still running: {', '.join(still_running)}" if still_running else "nothing is left running"
    return Check(not still_running, text)
