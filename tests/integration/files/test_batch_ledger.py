"""The ledger of a batch: one writer at a time, and nothing that was added is ever lost."""

import json

import pytest

from flora_provider.api.errors import FloraInputError, FloraStorageError
from flora_provider.batch.ledger import BatchLedger, LedgerTaken
from flora_provider.batch.records import RowRecord
from flora_provider.files.storage import open_folder
from flora_provider.runs.errors import LedgerUnreadable


def record(row, **changes):
    return RowRecord(row=f"{row:032x}", state="started", **changes)


@pytest.fixture
def ledger(tmp_path):
    """Makes a writer's view of the same ledger."""
    folder = open_folder(tmp_path)
    return lambda connection="c http://a": BatchLedger(folder, connection)


def claimed(ledger):
    ledger.claim()
    return ledger


def test_newest_record_of_each_row_counts_over_many_files_and_writers(ledger):
    first = claimed(ledger())
    for number in range(450):
        first.add([record(number)])
    first.add([record(7, run_id="run_7")])
    second = claimed(ledger())
    second.add([record(8, run_id="run_8")])
    found = ledger().read()
    assert len(found) == 450
    assert found[f"{7:032x}"].run_id == "run_7"
    assert found[f"{8:032x}"].run_id == "run_8"
    assert found[f"{9:032x}"].run_id == ""


def test_earlier_writer_finds_the_claim_at_its_next_addition(ledger):
    first = claimed(ledger())
    first.add([record(1)])
    second = claimed(ledger())
    with pytest.raises(LedgerTaken):
        first.add([record(2)])
    with pytest.raises(LedgerTaken):
        first.beat()
    second.add([record(3)])


def test_of_two_that_claim_at_once_one_writes(ledger):
    first, second = ledger(), ledger()
    names = first.folder.names
    first.folder.names = list  # neither sees the other's claim
    first.claim()
    second.claim()
    first.folder.names = names
    taken = []
    for one in (first, second):
        try:
            one.add([record(1)])
        except LedgerTaken:
            taken.append(one)
    assert len(taken) == 1


def test_sign_of_life_of_another_writer_is_seen_until_it_leaves(ledger):
    first, second = claimed(ledger()), ledger()
    seen = second.rival()
    assert seen is not None
    assert second.rival() == seen
    first.beat()
    assert second.rival() != seen
    first.leave()
    assert second.rival() is None
    assert first.rival() is None


def test_ledger_of_another_connection_is_refused_with_both(ledger):
    claimed(ledger("flora_default http://sandbox")).leave()
    with pytest.raises(
        FloraInputError, match=r"flora_default http://sandbox, and it is flora_default https://flora\.ai"
    ):
        ledger("flora_default https://flora.ai").rival()


def test_lease_that_cannot_be_read_stops_everything(ledger, tmp_path):
    claimed(ledger())
    next(tmp_path.glob("lease-*")).write_text("{")
    with pytest.raises(LedgerUnreadable, match="who goes on with this batch"):
        ledger().rival()


def test_torn_file_loses_what_was_never_acted_on_only(ledger, tmp_path):
    claimed(ledger()).add([record(1), record(2)])
    path = next(tmp_path.glob("rows-*"))
    path.write_bytes(path.read_bytes()[:-3])
    assert list(ledger().read()) == [f"{1:032x}"]


def test_folder_that_is_read_only_is_an_error_before_anything_is_sent(ledger, tmp_path, monkeypatch):
    one = claimed(ledger())

    def full(*_):
        raise FloraStorageError("no space is left")

    monkeypatch.setattr(one.folder, "publish", full)
    with pytest.raises(FloraStorageError, match="no space"):
        one.add([record(1)])
    assert not list(tmp_path.glob("rows-*"))


def test_finished_runs_are_read_only_by_who_wants_them(ledger):
    claimed(ledger()).add([record(1, run={"run_id": "run_1", "outputs": []})])
    assert ledger().read()[f"{1:032x}"].run is None
    assert json.loads(ledger().runs()[f"{1:032x}"]) == {"run_id": "run_1", "outputs": []}
