"""What must be true after the demo; each check says what it found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import leaks, media
from demo.batch import FailedRow, Moment, Row
from devstack.airflow_instance import WORKERS


@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    passed: bool
    text: str


def all_succeeded(rows: Sequence[Row], expected: int) -> Check:
    """Every run but the refused one was completed."""
    completed = sum(row.run["status"] == "completed" for row in rows)
    return Check(completed == len(rows) == expected, f"{completed} of {expected} runs completed")


def refused_alone(failed: Sequence[FailedRow], prompt: str) -> Check:
    """The row that FLORA refuses failed, for good, and no other did."""
    others = [f"{row.prompt} ({row.reason})" for row in failed if row.prompt != prompt]
    if others:
        return Check(passed=False, text=f"{len(others)} rows failed that should not: {'; '.join(others)}")
    if not failed:
        return Check(passed=False, text=f"FLORA refuses {prompt!r}, but its row did not fail")
    (row,) = failed
    right = row.states == ("success", "failed", "upstream_failed") and row.tries == 1 and "MODERATED" in row.reason
    text = f"1 row failed alone, at try {row.tries}, after which its tasks are {', '.join(map(str, row.states))}: "
    return Check(right, text + row.reason)


def rows_have_names(rows: Sequence[Row]) -> Check:
    """Airflow's pages show each row's prompt, not its number."""
    named = sum(row.name == row.prompt for row in rows)
    return Check(named == len(rows), f"{named} of {len(rows)} rows are shown with their prompts")


def no_run_twice(rows: Sequence[Row], stats: dict[str, Any]) -> Check:
    """Each row has a run of its own, and no other run was billed: not that of the refused row either."""
    different = len({row.run_id for row in rows})
    billed = stats["runs_billed"]
    same = all(row.run_id == row.run["run_id"] for row in rows)
    text = f"{different} different run ids in XCom, {billed} runs billed, ${stats['usd_billed']:.2f} in all"
    return Check(same and different == billed == len(rows), text)


def sensors_deferred(rows: Sequence[Row]) -> Check:
    """Each sensor was deferred, unless its run was over at its first poll."""
    waits = sorted(row.deferred_seconds for row in rows if row.deferred_seconds is not None)
    if not waits:
        return Check(passed=False, text="no sensor was deferred")
    text = f"{len(waits)} of {len(rows)} sensors were deferred, for {waits[0]:.0f} to {waits[-1]:.0f} s (audit log)"
    immediate = len(rows) - len(waits)
    return Check(passed=True, text=text + (f"; {immediate} found their run finished" if immediate else ""))


def no_slot_held(moments: Sequence[Moment]) -> Check:
    """Sensors that wait take no worker slot.

    Seen from a moment when no slot was taken at all, or when more sensors waited than there are workers; slots that are
    taken then belong to sensors that are yet to be deferred, or go on.
    """
    clearest = max(moments, key=lambda moment: moment.deferred - moment.occupied)
    waiting, taken = clearest.deferred, clearest.occupied
    text = f"at {clearest.at:%H:%M:%S} {waiting} sensors waited, {taken or 'no'} slots of {WORKERS} workers were taken"
    return Check(waiting > WORKERS or (waiting > 0 and not taken), text)


def files_open(rows: Sequence[Row]) -> Check:
    """Every file can be decoded as what it should be."""
    kinds, broken = [], []
    for row in rows:
        try:
            kinds.append(media.describe(row.file, row.type))
        except media.BrokenFileError as error:
            broken.append(str(error))
    text = f"{len(kinds)} of {len(rows)} files open: {', '.join(sorted(set(kinds)))}"
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
