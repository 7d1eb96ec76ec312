"""Which parameter of a model is its seed, and which seed another run has."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraError, FloraInputError
from flora_provider.api.models import Model
from flora_provider.catalog.lookup import CACHE
from flora_provider.catalog.seeds import SeedParam, find_seed, seed_of_model
from tests.support.responses import error_response, response

ACCOUNT = ("https://flora.example/api/v1", "hash")
MODEL = {"model_id": "m", "name": "M", "type": "image"}
SEED = {"name": "seed", "type": "seed"}

whole = st.none() | st.integers(-(2**53) + 1, 2**53 - 1) | st.integers(-3, 3)
odd = whole | st.integers() | st.floats()
keys = st.text(min_size=1)


@pytest.fixture(autouse=True)
def _forget_the_catalog():
    CACHE.clear()


def seed_of(*params, model="m"):
    return seed_of_model([Model.model_validate({**MODEL, "params": params})], model)


@pytest.mark.parametrize(
    "param", [SEED, {"name": "random_seed", "type": "seed"}, SEED | {"type": "int"}, SEED | {"type": "int?"}]
)
def test_seed_is_known_by_its_type_or_its_name(param):
    assert seed_of({"name": "steps", "type": "int"}, param).name == param["name"]


@pytest.mark.parametrize(
    "param",
    [
        {"name": "steps", "type": "int"},
        SEED | {"type": "string"},
        SEED | {"type": "int", "options": [{"label": "One", "value": "1"}]},
    ],
)
def test_other_parameters_are_no_seed(param):
    assert seed_of(param) is None


def test_model_that_the_catalog_lacks_has_no_seed():
    assert seed_of(SEED, model="other") is None


@given(whole, whole, keys, st.lists(st.integers(0, 5)))
def test_derived_seed_is_within_the_catalogs_range_and_new_and_always_the_same(low, high, key, used):
    assume(low is None or high is None or low <= high)
    param = seed_of(SEED | {"min": low, "max": high})
    seed = param.derive(key, used)
    assert seed == param.derive(key, used)
    assert seed not in used
    if seed is not None:
        assert low is None or seed >= low
        assert high is None or seed <= high


@given(odd, odd, keys)
def test_any_bounds_have_a_seed(low, high, key):
    assert isinstance(seed_of(SEED | {"min": low, "max": high}).derive(key, []), int)


@given(st.integers(0, 5), keys)
def test_seeds_are_derived_until_all_are_used(count, key):
    param, used = SeedParam("seed", 3, 3 + count), []
    while (seed := param.derive(f"{key}{len(used)}", used)) is not None:
        used.append(seed)
    assert sorted(used) == list(range(3, 3 + count + 1))


def test_seed_is_not_negative_for_that_may_stand_for_a_random_one():
    assert seed_of(SEED | {"min": -1, "max": 10}).low == 0
    assert seed_of(SEED | {"min": -9, "max": -1}).low == -9


@pytest.mark.parametrize(("low", "high"), [(10, 1), (0.2, 0.8)])
def test_range_that_holds_no_seed_rules_nothing_out(low, high):
    assert (seed_of(SEED | {"min": low, "max": high}).low, seed_of(SEED).high) == (0, 2**31 - 1)


def page(*models):
    return response(200, {"models": models})


def test_model_without_a_seed_is_refused_and_others_named(runner, context):
    other = {**MODEL, "model_id": "with", "params": [SEED]}
    seed, [problem] = runner.run(find_seed("m", context, ACCOUNT), page({**MODEL, "params": []}, other))
    assert seed is None
    assert problem == (
        "on_moderated is 'new_seed', but FLORA's catalog shows no seed of model 'm': choose one that has a seed, such "
        "as with, or leave on_moderated out"
    )


def test_default_model_is_refused_for_nobody_knows_its_seed(runner, context):
    seed, [problem] = runner.run(find_seed(None, context, ACCOUNT))
    assert seed is None
    assert "none is named: give model an id" in problem


def test_catalog_that_could_not_be_had_is_left_to_a_retry(runner, context):
    away = error_response(503, "service_unavailable")
    with pytest.raises(FloraError, match="seed of model m, could not be read: nothing was started") as caught:
        runner.run(find_seed("m", context, ACCOUNT), away, away)
    assert not isinstance(caught.value, FloraInputError)
