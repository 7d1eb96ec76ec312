"""What the catalog says of prices, and what a limit makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraError, FloraInputError
from flora_provider.api.models import Model
from flora_provider.catalog.prices import price_of_model, price_problems, require


def model(model_id, estimate):
    return Model(model_id=model_id, name=model_id, type="image", estimated_credits=estimate)


def test_price_of_a_model_is_in_usd():
    assert price_of_model([model("a", 40), model("b", 250)], "b") == 0.25


@pytest.mark.parametrize("estimate", [0, None])
def test_model_that_the_catalog_calls_free_has_no_price_for_flora_bills_such_models(estimate):
    assert price_of_model([model("a", estimate)], "a") is None


def test_unknown_model_has_no_price():
    assert price_of_model([model("a", 40)], "b") is None


@given(
    price=st.floats(0, 1e6, allow_nan=False),
    limit=st.floats(0, 1e6, allow_nan=False),
)
def test_price_is_refused_if_and_only_if_it_passes_the_limit(price, limit):
    assert bool(price_problems(price, limit, subject="model a")) == (price > limit)


def test_refusal_names_price_limit_and_remedy():
    [problem] = price_problems(0.25, 0.1, subject="model b")
    assert problem == (
        "max_cost_usd is 0.1, but model b costs about 0.25 USD by FLORA's catalog: nothing was started. Raise "
        "max_cost_usd, or choose another"
    )


def test_price_that_is_not_known_might_pass_any_limit():
    [problem] = price_problems(None, 1000.0, subject="model b")
    assert "FLORA's catalog has no price for model b" in problem


def test_catalog_that_could_not_be_had_is_left_to_a_retry():
    assert require(0, "model b") == 0
    with pytest.raises(FloraError, match="price of model b, could not be read: nothing was started") as caught:
        require(None, "model b")
    assert not isinstance(caught.value, FloraInputError)
