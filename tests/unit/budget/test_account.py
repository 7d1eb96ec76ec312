"""A budget is never passed by what is reserved or quoted, in whatever order its tasks do it."""

import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flora_provider.api.errors import FloraError, FloraInputError, FloraStorageError
from flora_provider.api.http.flow import FlowContext, Sleep
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.budget import FloraBudget
from flora_provider.budget.account import HEADROOM, Account, AddEntry, ListEntries
from flora_provider.budget.entries import Entry, newest, owner_of

CONTEXT = FlowContext(RetryPolicy(max_retries=0), lambda: 0.0, lambda: 0.5, lambda: 0.0)


def account(limit, price):
    def priced(_context):
        return "model fern", price
        yield

    return Account(FloraBudget("test", limit, store="/unused"), priced)


class Store:
    def __init__(self):
        self.names, self.slept, self.is_away = set(), 0.0, False

    def execute(self, effect):
        if self.is_away:
            raise FloraStorageError("the store is away")
        if isinstance(effect, ListEntries):
            return set(self.names)
        if isinstance(effect, AddEntry):
            self.names.add(effect.name)
        if isinstance(effect, Sleep):
            self.slept += effect.seconds
        return None

    def run(self, flow):
        step, value = flow.send, None
        while True:
            try:
                effect = step(value)
            except StopIteration as end:
                return end.value
            try:
                step, value = flow.send, self.execute(effect)
            except FloraError as error:
                step, value = flow.throw, error

    @property
    def usd(self):
        return sum(entry.micro_usd for entry in newest(self.names).values()) / 1e6


@pytest.fixture
def store():
    return Store()


def reserve(one, key):
    return one.reserve(CONTEXT, key, 0.0)


def test_reservation_takes_headroom_until_it_is_settled(store):
    one = account(10, 1.0)
    store.run(reserve(one, "a"))
    assert store.usd == HEADROOM
    store.run(one.settle("a", 0.0, 1.25))
    assert store.usd == 1.25


def test_reservation_of_the_same_key_counts_once(store):
    for _ in range(3):
        store.run(reserve(account(3, 1.0), "a"))
    assert store.usd == HEADROOM


def test_settlement_that_is_known_adds_nothing(store):
    one = account(3, 1.0)
    store.run(reserve(one, "a"))
    for _ in range(3):
        store.run(one.settle("a", 0.0, 1.0))
    assert len(store.names) == 2


def test_reservation_that_spent_money_forbids_is_refused_for_good(store):
    one = account(3, 1.0)
    store.run(reserve(one, "a"))
    store.run(one.settle("a", 0.0, 1.0))
    with pytest.raises(FloraInputError, match="nothing was started") as caught:
        store.run(reserve(one, "b"))
    assert caught.value.started_nothing
    assert store.usd == 1.0


def test_reservation_that_others_reservations_forbid_waits_and_is_left_to_a_retry(store):
    one = account(5, 1.0)
    store.run(reserve(one, "a"))
    with pytest.raises(FloraError, match="nothing was started") as caught:
        store.run(reserve(one, "b"))
    assert not isinstance(caught.value, FloraInputError)
    assert 0 < store.slept < 30
    store.run(one.settle("a", 0.0, 1.0))
    store.run(reserve(one, "b"))


def test_release_gives_everything_back(store):
    one = account(3, 1.0)
    store.run(reserve(one, "a"))
    store.run(one.settle("a", 0.0, 0.0))
    store.run(reserve(one, "b"))


def test_unknown_price_is_refused(store):
    with pytest.raises(FloraInputError, match="FLORA's catalog has none for model fern"):
        store.run(reserve(account(3, None), "a"))


def test_store_that_is_away_stops_a_reservation_and_no_settlement(store):
    one = account(3, 1.0)
    store.run(reserve(one, "a"))
    store.is_away = True
    store.run(one.settle("a", 0.0, 1.0))
    with pytest.raises(FloraStorageError):
        store.run(reserve(one, "b"))


@pytest.mark.parametrize(
    ("period", "folder"), [("day", "1970-01-01"), ("week", "1970-W01"), ("month", "1970-01"), ("total", "total")]
)
def test_period_has_a_folder(period, folder):
    assert FloraBudget("test", 1, period, "/unused").folder(0.0) == f"test/{folder}"


@given(st.integers(0), st.integers(0), st.booleans(), st.text())
def test_entry_is_read_from_its_name(version, micro_usd, is_settled, key):
    entry = Entry(owner_of(key), version, micro_usd, is_settled)
    assert newest([entry.name, "README", f".{entry.name}"]) == {entry.owner: entry}


@settings(max_examples=10 * settings().max_examples)  # a thousand histories by default
@given(st.integers(0, 2**32), st.floats(0.5, 30), st.integers(1, 12))
def test_started_quotes_never_pass_the_limit_in_any_interleaving(seed, limit, tasks):
    """Tasks take turns after every single effect; quotes are up to three times the price, or a third of it."""
    dice, store, quotes = random.Random(seed), Store(), []  # noqa: S311 - the same dice for the same case

    def task(key):
        price = dice.uniform(0.01, 1.0)
        one = account(limit, price)
        yield from reserve(one, key)
        if dice.random() < 0.1:
            return  # killed
        if dice.random() < 0.1:
            yield from one.settle(key, 0.0, 0.0)  # refused by FLORA
            return
        quotes.append(price * dice.uniform(1 / 3, 3))
        if dice.random() < 0.9:
            yield from one.settle(key, 0.0, quotes[-1])

    waiting = {number: (task(f"key {number}"), None) for number in range(tasks)}
    while waiting:
        number = dice.choice(list(waiting))
        flow, value = waiting.pop(number)
        with suppress(StopIteration, FloraError):
            waiting[number] = (flow, store.execute(flow.send(value)))
        assert sum(quotes) <= limit
