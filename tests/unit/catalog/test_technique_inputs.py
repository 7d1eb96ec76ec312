import pytest

from flora_provider.catalog.reading import read_technique
from flora_provider.catalog.technique_inputs import nested_rows, technique_inputs
from flora_provider.sandbox.world.catalog import TECHNIQUES

URL = "https://media.flora.ai/a.png?sig=secret"
IMAGE = {"output_id": "o1", "type": "imageUrl", "url": URL}
TEXT = {"output_id": "o2", "type": "text", "text": "a cat"}


def technique(*slots):
    row = {"technique_id": "tech_1", "name": "T", "run_cost": 1, "inputs": list(slots), "outputs": []}
    return read_technique(row)


def slot(slot_id, kind="imageUrl", **members):
    return {"id": slot_id, "name": slot_id.title(), "type": kind} | members


IMAGE_AND_NOTE = technique(slot("photo", name="Photo in"), slot("note", "text", optional=True))


@pytest.mark.parametrize(
    ("inputs", "values"),
    [
        ({"photo": URL}, {"photo": URL}),
        ({"Photo in": IMAGE, "note": TEXT}, {"photo": URL, "note": "a cat"}),
        ({" photo IN ": URL, "note": "hi"}, {"photo": URL, "note": "hi"}),
        ({"photo": URL, "note": ""}, {"photo": URL}),
        ({"photo": URL, "note": None}, {"photo": URL}),
        ({"photo": {"run_id": "run_1", "outputs": [IMAGE, TEXT]}}, {"photo": URL}),
    ],
)
def test_values_are_found_by_id_and_name(inputs, values):
    assert technique_inputs(IMAGE_AND_NOTE, inputs) == (values, [])


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"photo": URL, "nota": "x"}, "did you mean 'note'"),
        ({"photo": URL, "Photo in": URL}, "same slot"),
        ({"note": "x"}, "inputs.photo is missing: give an image ('Photo in')"),
        (None, "inputs.photo is missing"),
        ({"photo": TEXT}, "is text, but the slot takes image"),
        ({"photo": URL, "note": IMAGE}, "is image, but the slot takes text: give a text"),
        ({"photo": "run_1"}, "a run's id, not its output"),
        ({"photo": "a.png"}, "no address"),
        ({"photo": ""}, "is empty"),
        ({"photo": "None"}, "missing value"),
        ({"photo": [URL]}, "takes one value: give one of them"),
        ({"photo": 7}, "no input"),
        ([URL], "dict with string keys"),
        ({1: URL}, "dict with string keys"),
    ],
)
def test_wrong_inputs_are_refused_with_a_remedy(inputs, words):
    _, [problem] = technique_inputs(IMAGE_AND_NOTE, inputs)
    assert words in problem
    assert "secret" not in problem


def test_all_problems_are_found():
    assert len(technique_inputs(IMAGE_AND_NOTE, {"a": 1, "note": 5})[1]) == 3


def test_list_for_several_values_is_refused():
    for definition in (technique(slot("photos", allow_multiple=True)), None):
        assert "map the task" in technique_inputs(definition, {"photos": [URL, URL]})[1][0]


def test_element_id_is_taken_where_the_slot_accepts_one():
    definition = technique(slot("person", accepts_element=True))
    assert technique_inputs(definition, {"person": "elem1"}) == ({"person": "elem1"}, [])
    assert technique_inputs(definition, {"person": URL}) == ({"person": URL}, [])
    assert "address" in technique_inputs(definition, {"person": "not one"})[1][0]
    assert "http" in technique_inputs(definition, {"person": "http://a.com/x"})[1][0]


def test_without_a_definition_values_are_only_read():
    assert technique_inputs(None, {"a": IMAGE, "b": "x"}) == ({"a": URL, "b": "x"}, [])
    assert "or leave it out" in technique_inputs(None, {"a": ""})[1][0]


def test_broken_definitions_refuse_nothing():
    definition = technique(slot("a", None), {"id": "b"}, slot("c", "newUrl"), "odd", {"name": "no id"})
    assert technique_inputs(definition, {"a": IMAGE, "b": "text", "c": URL})[1] == []
    twice = technique(slot("a"), slot("a", "text"))
    assert len(technique_inputs(twice, {})[1]) == 1
    assert "a value" in technique_inputs(definition, {})[1][0]


def test_name_of_several_slots_is_refused():
    definition = technique(slot("a", name="Photo"), slot("b", name="Photo"))
    assert "give the id of one, a, b" in technique_inputs(definition, {"Photo": URL})[1][0]


def test_technique_without_inputs_says_so():
    assert "it takes no inputs" in technique_inputs(technique(), {"x": "y"})[1][0]


def test_nested_rows_have_the_types_of_the_slots():
    definition = technique(slot("photo"), slot("note", "text"), slot("clip", "VIDEO_URL"), slot("x", "new"))
    values = {"photo": "elem1", "note": URL, "clip": URL, "x": "hi"}
    rows, problems = nested_rows(definition, values)
    assert [(row["id"], row["type"]) for row in rows] == [
        ("photo", "imageUrl"), ("note", "text"), ("clip", "videoUrl"), ("x", "text"),
    ]  # fmt: skip
    assert not problems


def test_nested_rows_refuse_what_their_route_cannot_send():
    rows, problems = nested_rows(technique(slot("voice", "audioUrl")), {"voice": URL})
    assert rows == []
    assert "name the technique by its tech_" in problems[0]


def test_nested_rows_without_a_definition_are_typed_by_their_values():
    clip = "https://a.com/x.mp4"
    rows, problems = nested_rows(None, {"a": IMAGE, "b": clip, "c": "hi", "d": "https://a.com/x", "e": 7})
    assert [row["type"] for row in rows] == ["imageUrl", "videoUrl", "text", "imageUrl"]
    assert "inputs.e" in problems[0]


@pytest.mark.parametrize("row", TECHNIQUES, ids=lambda row: row.slug)
def test_sandbox_techniques_accept_good_inputs(row):
    definition = read_technique(row.to_json())
    inputs = {it.id: "a text" if it.type == "text" else "https://media.flora.ai/a/b" for it in definition.inputs}
    assert technique_inputs(definition, inputs) == (inputs, [])
