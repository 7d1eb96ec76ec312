import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import Action
from flora_provider.catalog.action_inputs import action_inputs, action_problems, action_rows
from flora_provider.catalog.reading import read_action
from flora_provider.sandbox.world.actions import ACTIONS

PNG, MP4, PLAIN = "https://media.flora.ai/a.png?sig=secret", "https://media.flora.ai/a.mp4", "https://media.flora.ai/a"
IMAGE = {"run_id": "run_1", "output_id": "o1", "type": "imageUrl", "url": PNG}
TEXT = {"output_id": "o2", "type": "text", "text": "a cat"}
PARAMS = [
    {"key": "zoom", "type": "number", "min_number_value": 0, "max_number_value": 2.5, "default_value": 1},
    {"key": "count", "type": "integer"},
    {"key": "keep", "type": "boolean"},
    {"key": "color", "type": "color", "default_value": "#fff"},
    {"key": "fps", "type": "enum", "available_values": [{"label": "24 fps", "value": "24"}, {"value": "30"}]},
    {"key": "center", "type": "vector", "default_value": {"x": 0, "y": 0}},
    {"key": "span", "type": "range"},
    {"key": "odd", "type": "newer"},
]


def action(*slots, params=PARAMS):
    return read_action({"action_id": "act", "name": "Act", "inputs": list(slots), "params": params})


def slot(name, kind="image", **members):
    return {"name": name, "type": kind} | members


BOTH = action(slot("image"), slot("caption", "text", optional=True))
SEVERAL = action(slot("images", multiple={"min": 2, "max": 3}))


@pytest.mark.parametrize(
    ("inputs", "rows"),
    [
        (None, []),
        (IMAGE, [{"type": "image", "url": PNG}]),
        ([IMAGE, "hi"], [{"type": "image", "url": PNG}, {"type": "text", "text": "hi"}]),
        (PNG, [{"type": "image", "url": PNG}]),
        ("hi", [{"type": "text", "text": "hi"}]),
        ({"a": IMAGE, "b": [PNG, TEXT]}, [
            {"type": "image", "url": PNG, "name": "a"}, {"type": "image", "url": PNG, "name": "b"},
            {"type": "text", "text": "a cat", "name": "b"},
        ]),
        ({"text": "hi"}, [{"type": "text", "text": "hi", "name": "text"}]),
        ([{"type": "image", "url": PLAIN, "name": "base"}], [{"type": "image", "url": PLAIN, "name": "base"}]),
        ({"type": "text", "text": "run_1"}, [{"type": "text", "text": "run_1"}]),
    ],
)  # fmt: skip
def test_rows_without_a_definition(inputs, rows):
    assert action_rows(inputs) == rows


@pytest.mark.parametrize(
    ("definition", "inputs", "kinds"),
    [
        (BOTH, {"image": PLAIN, "caption": PLAIN}, ["image", "text"]),
        (BOTH, PLAIN, ["image"]),
        (BOTH, "hi", ["text"]),
        (action(slot("a"), slot("v", "video")), [MP4, PNG], ["video", "image"]),
        (SEVERAL, [PLAIN, PLAIN], ["image", "image"]),
        (action(slot("x", "newer")), PNG, ["image"]),
    ],
)
def test_rows_have_the_kind_of_their_slot(definition, inputs, kinds):
    rows = action_rows(inputs, definition)
    assert [row["type"] for row in rows] == kinds


@pytest.mark.parametrize(
    ("definition", "inputs", "words"),
    [
        (None, PLAIN, "does not tell what it is"),
        (action(slot("a"), slot("v", "video")), PLAIN, "does not tell what it is"),
        (action(slot("a"), slot("v", "video")), "a.png", "no address"),
        (None, "run_1", "a run's id"),
        (BOTH, {"image": "run_1"}, "a run's id"),
        (None, "https://a.com/a.pdf", "document, which actions do not take"),
        (None, {"a": [IMAGE, 7]}, "inputs.a[1]"),
        (BOTH, {"image": "x y"}, "no address"),
        (None, {"type": "image", "url": "http://a.com/x"}, "https://"),
        (None, {1: PNG}, "string keys"),
        (action(slot("a"), slot("v", "video")), {"run_id": "run_1", "outputs": [IMAGE, IMAGE]}, "2 outputs"),
        (action(slot("a"), slot("v", "video")), "run_1", "a run's id"),
        (None, 7, "no input"),
    ],
)
def test_rows_refuse_what_is_no_input(definition, inputs, words):
    with pytest.raises(FloraInputError) as raised:
        action_rows(inputs, definition)
    assert words in str(raised.value)
    assert "secret" not in str(raised.value)


def problems(definition, inputs, params=None):
    return action_problems(definition, action_rows(inputs), params)


@pytest.mark.parametrize(
    ("definition", "inputs"),
    [
        (None, {"zzz": PNG}),
        (BOTH, PNG),
        (BOTH, {"image": PNG, "caption": "hi"}),
        (SEVERAL, [PNG, PNG, PNG]),
        (action(slot("t", "text", multiple=True)), ["a", "b"]),
        (action(slot("t", "text", dynamic=True)), ["a", "b"]),
        (action(slot("t", "text", multiple={"min": 0})), []),
        (action(slot("t", "newer")), PNG),
        (action(slot("t", multiple={"min": 9, "max": 1})), [PNG, PNG]),
        (action(slot("t", multiple={"min": "x", "max": None})), [PNG]),
        (action(slot("t"), slot("t", "text", optional=True)), {"t": PNG}),
        (Action(action_id="a", name="A"), {"zzz": PNG}),
    ],
)
def test_good_inputs_pass(definition, inputs):
    assert problems(definition, inputs) == []


@pytest.mark.parametrize(
    ("definition", "inputs", "words"),
    [
        (BOTH, {"image": PNG, "captian": "x"}, "did you mean 'caption'"),
        (BOTH, {"image": PNG, "caption": PNG}, "is image, but the action takes caption (text)"),
        (BOTH, [PNG, PNG], "at most 1"),
        (BOTH, [], "inputs.image has 0 values of type image"),
        (SEVERAL, [PNG], "2 or more"),
        (SEVERAL, [PNG] * 5, "at most 3"),
        (action(), PNG, "takes no inputs"),
        (action(), {"x": PNG}, "takes no inputs"),
        (action(slot("a"), slot("a", "image")), [], "inputs.a"),
    ],
)
def test_wrong_inputs_are_refused(definition, inputs, words):
    [problem] = problems(definition, inputs)
    assert words in problem


@pytest.mark.parametrize(
    "params",
    [
        None, {"zoom": 2.5, "count": 3, "keep": False}, {"color": "#fff"}, {"fps": "24"},
        {"center": {"x": 1, "y": 0.5}}, {"span": {"min": 0, "max": 5}}, {"odd": [1]},
    ],
)  # fmt: skip
def test_good_params_pass(params):
    assert problems(BOTH, PNG, params) == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"zom": 1}, "did you mean 'zoom'"),
        ({"zoom": 3}, "give 0 to 2.5"),
        ({"zoom": "1"}, "render_template_as_native_obj"),
        ({"count": 1.5}, "whole number"),
        ({"keep": "yes"}, "True or False"),
        ({"color": 5}, "give the text '5'"),
        ({"fps": 24}, "give '24'"),
        ({"fps": "24 fps"}, "whose label this is"),
        ({"fps": "60"}, "none of its options"),
        ({"center": {"x": 1, "z": 1}}, "center.z is unknown"),
        ({"center": {"x": "1"}}, "finite number"),
        ({"center": 5}, "dict"),
        ([1], "string keys"),
    ],
)
def test_wrong_params_are_refused(params, words):
    [problem] = problems(BOTH, PNG, params)
    assert words in problem
    assert "action_params" in problem


def test_action_without_params_names_none():
    assert "it has none" in problems(action(slot("a"), params=[]), PNG, {"x": 1})[0]
    assert problems(action(slot("a"), params="broken"), PNG, {"x": 1}) == []


def test_action_inputs_are_the_rows_and_all_problems():
    assert action_inputs(BOTH, PNG, {"zom": 1})[0] == action_rows(PNG)
    assert len(action_inputs(BOTH, PNG, {"zom": 1})[1]) == 1
    assert len(action_inputs(BOTH, [7, 8], {"zom": 1})[1]) == 3
    assert len(action_inputs(None, [7, 8], {"zom": 1})[1]) == 2


@pytest.mark.parametrize("row", ACTIONS.values(), ids=lambda row: row.id)
def test_sandbox_actions_accept_their_defaults(row):
    definition = read_action(row.to_json())
    params = {it.key: it.default_value for it in definition.params if it.default_value is not None}
    values = {"text": "hi"}
    inputs = {it.name: [values.get(it.type, PLAIN)] * (2 if it.multiple else 1) for it in definition.inputs}
    assert action_problems(definition, action_rows(inputs, definition), params) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda it: st.lists(it) | st.dictionaries(st.text() | st.integers(), it),
    )
)
def test_any_value_is_judged(value):
    assert isinstance(action_problems(BOTH, [], {"center": value, "zoom": value, "fps": value}), list)
    try:
        rows = action_rows(value)
    except FloraInputError:
        return
    assert isinstance(action_problems(BOTH, rows, None), list)
