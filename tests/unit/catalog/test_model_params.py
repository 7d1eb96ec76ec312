import importlib.resources
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import Model
from flora_provider.catalog.model_params import param_problems, resolve_params
from flora_provider.catalog.reading import read_models
from flora_provider.sandbox.world.catalog import MODELS

SANDBOX = read_models({"models": [model.to_json() for model in MODELS]}).items
URL = "https://media.flora.ai/a.png?sig=secret"
IMAGE = {"output_id": "o1", "type": "imageUrl", "url": URL}
RULES = [
    {"name": "size", "type": "string", "options": [{"label": "Big", "value": "4K"}, {"value": "1K"}]},
    {"name": "steps", "type": "int", "min": 1, "max": 50},
    {"name": "count", "type": "int?", "min": 1},
    {"name": "seed", "type": "seed", "max": 100},
    {"name": "scale", "type": "float", "options": [{"value": "1"}, {"value": "2.5"}, {"value": "auto"}]},
    {"name": "hd", "type": "bool", "options": [{"value": "true"}]},
    {"name": "stop", "type": "string[]", "options": [{"value": "a"}, {"value": "b"}]},
    {"name": "box", "type": "dict", "properties": {"w": {"min": 1, "max": 9, "default": 2}, "odd": 5, "free": {}}},
    {"name": "free", "type": "matrix"},
    {"name": "text", "type": "string"},
]


def model(params=RULES, model_id="t2i-x", **members):
    row = {"model_id": model_id, "name": "X one", "type": "image", "params": params} | members
    return read_models({"models": [row]}).items[0]


def check(params, *rows, name="t2i-x", wanted="image", **options):
    return param_problems(rows or [model()], type=wanted, model=name, params=params, **options)


@pytest.mark.parametrize(
    "params",
    [
        None, {}, {"size": "4K"}, {"steps": 1}, {"steps": 50}, {"count": None}, {"seed": None}, {"seed": 100},
        {"scale": 1}, {"scale": 1.0}, {"scale": 2.5}, {"hd": True}, {"stop": ["a", "b"]}, {"stop": []},
        {"box": {"w": 3, "odd": "x", "free": [1]}}, {"free": object()}, {"free": None}, {"text": ""},
        {"text": "7"},
    ],
)  # fmt: skip
def test_good_params_pass(params):
    assert check(params) == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"sise": "4K"}, "did you mean 'size'?"),
        ({"zzzzzz": 1}, "use one of size, steps"),
        ({"size": "8K"}, "none of its options: use one of 4K, 1K"),
        ({"size": "Big"}, "give '4K', whose label this is"),
        ({"size": 4}, "give the text '4'"),
        ({"steps": 0}, "give 1 to 50"),
        ({"steps": 10**400}, "1 to 50"),
        ({"steps": -(10**400)}, "1 to 50"),
        ({"steps": "7"}, "render_template_as_native_obj=True"),
        ({"steps": True}, "whole number"),
        ({"steps": None}, "whole number"),
        ({"steps": 5.0}, "whole number"),
        ({"count": 0}, "1 or more"),
        ({"seed": 101}, "100 or less"),
        ({"scale": float("nan")}, "finite number"),
        ({"scale": 3}, "use one of 1, 2.5, auto"),
        ({"hd": False}, "none of its options"),
        ({"hd": "true"}, "True or False"),
        ({"stop": "a"}, "list of texts"),
        ({"stop": ["a", 5]}, "stop[1]"),
        ({"stop": ["c"]}, "stop[0]"),
        ({"box": {"h": 1}}, "box.h is unknown: use one of w, odd, free"),
        ({"box": {"w": 10}}, "box.w is 10: give 1 to 9"),
        ({"box": {"w": "2"}}, "finite number"),
        ({"box": 5}, "dict with string keys"),
        ({"text": "None"}, "missing value"),
        ({"text": 10**6000}, "give a text"),
        ({"image_url": URL}, "takes no media"),
        ({1: 2}, "string keys"),
        ([1], "string keys"),
    ],
)
def test_bad_params_are_refused_with_a_remedy(params, words):
    [problem] = check(params)
    assert words in problem
    assert "model_params" in problem


def test_all_problems_are_found():
    assert len(check({"steps": 0, "sise": 1, "size": 5}, wanted="video")) == 4


def test_allowed_names_are_not_checked():
    assert check({"steps": 0, "new": 1, "image_url": 5}, allowed=["steps", "new", "image_url"]) == []


def test_unknown_model_has_its_nearest_named():
    assert "did you mean 't2i-x'?" in check({}, name="t2i-xx")[0]
    assert "its id is 't2i-x'" in check({}, name="X ONE")[0]
    assert "list_models()" in check({}, name=7)[0]


def test_model_of_another_type_is_refused():
    other = model(model_id="t2v-y", type="video")
    [problem] = check({}, model(), other, wanted="video")
    assert "makes image" in problem
    assert "t2v-y" in problem
    assert len(check({}, wanted="audio")) == 1
    assert check({}, model(type="hologram"), wanted="video") == []


def test_nothing_known_refuses_nothing():
    assert param_problems([], type="image", model="x", params={"a": 1}) == []
    assert check({"a": 1}, Model(model_id="t2i-x", name="X", type="image")) == []


def test_param_beside_no_model_is_refused_if_no_model_of_the_type_takes_it():
    assert check({"steps": 1}, model([{"name": "steps", "type": "int"}], "t2i-y"), name=None) == []
    assert check({"image_url": URL}, model([]), name=None) == []
    assert check({"stepz": 1}, model([]), name=None, allowed=["stepz"]) == []
    [problem] = check({"stepz": 1}, model([{"name": "steps", "type": "int"}]), name=None)
    assert "model_params.stepz is unknown to all image models" in problem
    assert "did you mean 'steps'?" in problem
    assert check({"stepz": 1}, Model(model_id="t2i-x", name="X", type="image"), name=None) == []


@pytest.mark.parametrize(
    ("name", "source"), [("i2v-x", "image_url"), ("is2i-x", "image_urls"), ("v2t-x", "video_urls")]
)
def test_model_without_the_media_that_it_works_on_is_refused(name, source):
    assert check({}, model([], name), name=name) == [f"model_params.{source} is missing: {name} works on it; give it"]
    assert check({}, model([], name), name=name, allowed=[source]) == []


def test_missing_required_is_refused():
    rows = [model([{"name": "voice", "type": "string", "required": True, "default": "Ada"}])]
    assert "such as its default 'Ada'" in check({}, *rows)[0]
    assert check({}, *rows, allowed=["voice"]) == check({"voice": "Ben"}, *rows) == []
    assert "requires it; give it" in check({}, model([{"name": "voice", "type": "string", "required": True}]))[0]


@pytest.mark.parametrize(
    "rule",
    [
        {"min": 9, "max": 1},
        {"default": 500, "max": 5},
        {"options": []},
        {"options": [{"label": "no value"}, {"value": "5"}]},
        {"options": [500]},
        {"options": "500"},
        {"min": "x", "max": None},
        {"type": None},
        {"type": "matrix"},
    ],
)
def test_broken_rows_refuse_nothing(rule):
    assert check({"p": 500}, model([{"name": "p", "type": "int"} | rule])) == []


def test_bound_beyond_all_floats_is_none():
    rule = {"name": "p", "type": "dict", "properties": {"w": {"min": 10**400}}}
    assert check({"p": {"w": 1}}, model([rule])) == []


def test_names_are_shown_short_and_without_secrets():
    [problem] = check({"https://me:secret@a.com/x?sig=secret\n" + "y" * 500: 1})
    assert "secret" not in problem
    assert len(problem) < 300


def test_type_that_is_none_is_not_judged():
    assert check({}, wanted="t2i") == check({}, wanted=["image"]) == []


def test_one_of_several_rows_suffices():
    rules = [{"name": "p", "type": "int"}, {"name": "p", "type": "string", "required": True}]
    assert check({"p": "a"}, model(rules)) == check({"p": 1}, model(rules)) == check({}, model(rules)) == []
    assert check({"p": 1}, model([]), model(rules)) == []


def test_model_without_params_names_none():
    assert "it has none" in check({"p": 1}, model([]))[0]
    assert "did you mean 'image_url'" in check({"image_ur": 1}, model([], "i2i-x"), name="i2i-x")[0]


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("i2i-x", {"image_urls": [URL]}, "takes image_url (one address)"),
        ("i2v-x", {"image_url": [URL]}, "is a list, but i2v-x takes one address"),
        ("i2i-x", {"image_url": "a.png"}, "no address"),
        ("is2i-x", {"image_url": URL}, "takes image_urls (a list of addresses)"),
        ("is2i-x", {"image_urls": URL}, "takes a list"),
        ("is2i-x", {"image_urls": []}, "takes a list"),
        ("i2t-x", {"image_urls": [URL, 5]}, "image_urls[1]"),
        ("v2t-x", {"video_url": URL}, "takes video_urls"),
        ("v2v-x", {"video_url": URL}, "no parameter for its source"),
        ("t2s-x", {"audio_url": URL}, "takes no media"),
    ],
)
def test_media_in_the_wrong_form_is_refused(name, params, words):
    [problem] = check(params, model([], name), name=name)
    assert words in problem
    assert "secret" not in problem


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("i2i-x", {"image_url": URL}),
        ("is2i-x", {"image_urls": [URL, URL]}),
        ("v2t-x", {"video_urls": [URL]}),
        ("a2v-x", {"audio_url": URL}),
    ],
)
def test_media_in_the_right_form_passes(name, params):
    assert check(params, model([], name), name=name) == []


def test_media_that_the_catalog_declares_follow_it():
    assert check({"image_url": "x"}, model([{"name": "image_url", "type": "string"}])) == []


SOURCES = {
    "i2i": {"image_url": URL},
    "i2v": {"image_url": URL},
    "is2i": {"image_urls": [URL]},
    "i2t": {"image_urls": [URL]},
}
SOURCES["v2t"] = {"video_urls": [URL]}


@pytest.mark.parametrize("row", SANDBOX, ids=lambda row: row.model_id)
def test_sandbox_models_accept_their_defaults(row):
    params = {param.name: param.default for param in row.params if param.default is not None}
    params |= SOURCES.get(row.model_id.partition("-")[0], {})
    assert param_problems(SANDBOX, type=row.type, model=row.model_id, params=params) == []


def test_sandbox_catalog_is_the_file():
    rows = json.loads(importlib.resources.files("flora_provider.sandbox.world").joinpath("models.json").read_bytes())
    assert {row["id"] for row in rows} == {row.model_id for row in SANDBOX}


def test_resolve_params_replaces_results_at_the_top_and_in_lists():
    run = {"run_id": "run_1", "status": "completed", "outputs": [IMAGE]}
    params = {"image_url": run, "image_urls": [IMAGE, [run], URL], "box": {"w": 1}, "n": None, "free": "run_1"}
    assert resolve_params(params) == {
        "image_url": URL, "image_urls": [URL, [URL], URL], "box": {"w": 1}, "n": None, "free": "run_1",
    }  # fmt: skip
    assert resolve_params(None) == {}


def test_resolve_params_refuses_another_kind():
    with pytest.raises(FloraInputError, match="is video, but it takes image"):
        resolve_params({"image_url": IMAGE | {"type": "videoUrl"}})


def test_resolve_params_collects_problems():
    endless = []
    endless.append(endless)
    with pytest.raises(FloraInputError) as raised:
        resolve_params({"image_url": "run_1", "a": {"run_id": "run_2"}, "b": endless})
    assert len(raised.value.problems) == 3
    assert "nested too deeply" in str(raised.value)
    with pytest.raises(FloraInputError, match="string keys"):
        resolve_params({1: 2})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([rule["name"] for rule in RULES]), anything))
def test_any_value_is_judged(params):
    assert all(isinstance(problem, str) and problem for problem in check(params))
