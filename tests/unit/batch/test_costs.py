"""A batch never starts what might pass its limit."""

import random

from hypothesis import given
from hypothesis import strategies as st

from flora_provider.batch.costs import Costs


def test_started_quotes_never_pass_the_limit_though_each_is_off_by_up_to_three():
    for seed in range(1000):
        history_within_the_limit(seed)


def history_within_the_limit(seed):
    dice = random.Random(seed)  # noqa: S311 - the same dice for the same history
    prices = {kind: dice.uniform(0.01, 0.5) for kind in "abc"}
    costs = Costs(limit := dice.uniform(0.1, 10.0))
    under_way, quoted = [], {}
    for number in range(100):
        kind = dice.choice("abc")
        if costs.reserve(str(number), kind, prices[kind]):
            under_way.append((str(number), kind))
        while under_way and (len(under_way) > 6 or dice.random() < 0.5):
            row, kind = under_way.pop(dice.randrange(len(under_way)))
            quoted[row] = prices[kind] * dice.uniform(1 / 3, 3)
            costs.settle(row, kind, quoted[row])
            assert sum(quoted.values()) <= limit + 1e-6
            if dice.random() < 0.1:
                costs.charge(row, 0.0)  # it failed
                del quoted[row]


@given(st.integers(6, 60))
def test_limit_of_just_what_all_rows_cost_is_enough_where_quotes_are_steady(rows):
    costs, started = Costs(rows * 0.04), 0
    for number in range(rows):
        if not costs.reserve(str(number), "a", 0.04):
            break
        costs.settle(str(number), "a", 0.04)
        started += 1
    assert started == rows


def test_no_limit_allows_everything():
    costs = Costs()
    assert costs.reserve("1", "a", None)
    costs.settle("1", "a", 0.5)
    assert costs.known == 0.5


def test_row_that_an_earlier_request_may_have_started_counts_although_it_passes_the_limit():
    costs = Costs(1.0)
    assert costs.reserve("1", "a", 1.0, even_beyond=True)
    assert not costs.reserve("2", "a", 0.01)
    costs.settle("1", "a", 0.5)
    assert costs.reserve("2", "b", 0.1)


def test_what_rows_cost_that_are_asked_for_no_more_counts():
    costs = Costs(1.0)
    costs.add_before(0.9)
    assert not costs.reserve("1", "a", 0.04)
    assert costs.known == 0.9
