"""The entries of a budget in an S3."""

from concurrent.futures import ThreadPoolExecutor

from flora_provider.budget.account import AddEntry, ListEntries
from flora_provider.budget.entries import Entry, newest, owner_of
from flora_provider.budget.storage import open_store

FOLDER = "campaign/2026-11"


def test_entries_that_many_add_at_once_are_all_listed(s3):
    store = open_store("s3://aws_files@shop/budgets")
    assert store.names(ListEntries(FOLDER)) == []
    added = [Entry(owner_of(str(number)), 1, number, is_settled=False) for number in range(20)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda entry: store.add(AddEntry(FOLDER, entry.name)), added))
    other = open_store("s3://aws_files@shop/budgets")
    assert newest(other.names(ListEntries(FOLDER))) == {entry.owner: entry for entry in added}
    assert {item["Key"] for item in s3.list_objects_v2(Bucket="shop")["Contents"]} == {
        f"budgets/{FOLDER}/{entry.name}" for entry in added
    }


def test_entry_that_another_process_has_added_since_is_listed(s3):
    first, second = (open_store("s3://aws_files@shop/budgets") for _ in range(2))
    first.add(AddEntry(FOLDER, Entry(owner_of("a"), 1, 5).name))
    assert len(second.names(ListEntries(FOLDER))) == 1
    first.add(AddEntry(FOLDER, Entry(owner_of("b"), 1, 5).name))
    assert len(second.names(ListEntries(FOLDER))) == 2
