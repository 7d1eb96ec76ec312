"""What the rows of a batch ask for, what is refused, and which row is which."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import Asset, FileOutput
from flora_provider.batch.rows import FIELDS
from flora_provider.batch.strict_json import strict_json
from tests.support.batches import rows_of

ROW = {"type": "image", "prompt": "a fern"}
SHA = "a" * 64
WHOLE = {
    **ROW,
    "model": "t2i-flux-2-pro",
    "model_params": {"seed": 7},
    "workspace_id": "ws_1",
    "project_id": "prj_1",
    "callback_url": "https://a.example/done",
}
names = st.text("abc", min_size=1, max_size=2)  # none that makes a dict a run, an output or an asset
members = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=3,
)
params = st.dictionaries(names, members, max_size=3)
rows = st.fixed_dictionaries(
    {"type": st.sampled_from(["image", "video"]), "prompt": st.sampled_from(["a fern", "moss"])},
    optional={"model": st.sampled_from(["t2i-a", "t2i-b"]), "model_params": params, "project_id": st.just("prj_1")},
)


def fields(request, **defaults):
    """The fields of the one row of this request."""
    (row,) = rows_of([request], defaults)
    return dict(row.fields)


def identity(request, **defaults):
    (row,) = rows_of([request], defaults)
    return row.identity


def problems(requests, **defaults):
    with pytest.raises(FloraInputError) as caught:
        rows_of(requests, defaults)
    return list(caught.value.problems)


def picture(address, **more):
    return {**ROW, "model_params": {"image_url": {"output_id": "output_1", "type": "imageUrl", "url": address, **more}}}


def test_row_keeps_its_number_and_all_its_fields():
    first, second = rows_of(iter([WHOLE, ROW]), {})
    assert (first.number, dict(first.fields)) == (1, WHOLE)
    assert (second.number, dict(second.fields)) == (2, ROW)
    assert set(WHOLE) == set(FIELDS)


@pytest.mark.parametrize("absent", [{}, {"model": None}, {"model": ""}])
def test_absent_column_takes_its_default(absent):
    assert fields({**ROW, **absent}, model="t2i-a", prompt="moss") == {**ROW, "model": "t2i-a"}


@pytest.mark.parametrize(
    "absent", [{"model": None}, {"model": ""}, {"model_params": {}}, {"model_params": {"a": None}}]
)
def test_absent_column_without_a_default_is_left_out(absent):
    assert fields({**ROW, **absent}) == ROW


def test_model_params_are_merged_by_parameter():
    row = {**ROW, "model_params": {"seed": 7, "size": None, "mood": ""}}
    merged = fields(row, model_params={"seed": 1, "size": "1:1", "mood": "calm", "steps": 4})["model_params"]
    assert merged == {"seed": 7, "size": "1:1", "mood": "", "steps": 4}


def test_dotted_column_sets_a_parameter_in_rows_and_in_defaults():
    row = {**ROW, "model_params.seed": 7, "model_params.size": "", "model_params": {"steps": 4}}
    defaults = {"model_params.size": "1:1", "model_params.seed": 1}
    assert fields(row, **defaults)["model_params"] == {"seed": 7, "steps": 4, "size": "1:1"}


def test_parameter_that_a_row_says_twice_is_refused():
    row = {**ROW, "model_params.seed": 7, "model_params": {"seed": 8}}
    assert problems([row]) == ["row 1: model_params.seed and model_params both say seed: give one"]


def test_model_params_may_be_the_text_of_a_json_object():
    assert fields({**ROW, "model_params": '{"seed": 7, "size": null}'})["model_params"] == {"seed": 7}


@pytest.mark.parametrize(
    "text", ["seed=7", "[7]", "7", '{"seed": NaN}', '{"seed": 1e999}', '{"seed": 1, "seed": 2}', "None", "[" * 10_000]
)
def test_other_text_as_model_params_is_refused(text):
    (problem,) = problems([{**ROW, "model_params": text}])
    assert problem.startswith("row 1: model_params is '")
    assert "JSON object" in problem


@given(st.text(max_size=20) | members.map(json.dumps))
def test_strict_json_raises_value_error_or_reads_what_json_reads(text):
    try:
        value = strict_json(text)
    except ValueError:
        return
    assert value == json.loads(text)
    assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_defaults_alone_may_make_a_row():
    assert fields({}, **ROW) == ROW


def test_rows_share_what_is_theirs_with_nobody_else():
    first, second = rows_of([{"prompt": "a"}, {"prompt": "b", "model_params": {"a": 1}}], {**WHOLE})
    assert first.fields["model_params"] == {"seed": 7}
    assert second.fields["model_params"] == {"seed": 7, "a": 1}


def test_objects_of_the_client_become_plain_json():
    asset = Asset(asset_id="asset_1", status="ready", url="https://a.example/x.png", content_type="image/png")
    output = FileOutput(output_id="output_1", type="imageUrl", url="https://a.example/y.png")
    made = fields({**ROW, "model_params": {"image_url": asset, "image_urls": (output,)}})["model_params"]
    assert json.loads(json.dumps(made)) == made
    assert made["image_url"]["asset_id"] == "asset_1"
    assert made["image_urls"] == [output.to_dict()]
    assert identity({**ROW, "model_params": {"image_url": output}}) == identity(picture(output.url))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"prompt": ""}, "prompt is '': give it in the row, or in defaults"),
        ({"prompt": None}, "prompt is missing: give it in the row, or in defaults"),
        ({"type": None}, "type is missing: give it in the row, or in defaults"),
        ({"prompt": "  "}, "prompt is '  ': give a text that is not empty"),
        ({"prompt": 7}, "prompt is 7: give a text that is not empty"),
        ({"prompt": "None"}, "prompt is 'None' (what a template of a missing value renders to)"),
        ({"type": "t2i"}, "type is 't2i': use one of image, video, audio, text"),
        ({"model": "FLUX 2"}, "model is 'FLUX 2': give an id"),
        ({"model_params": 7}, "model_params is 7: give a dict with string keys"),
        ({"model_params": {7: 7}}, "model_params is {7: 7}: give a dict with string keys"),
        ({"workspace_id": "prj_1"}, "workspace_id is 'prj_1', but such an id starts with 'ws_'"),
        ({"callback_url": "http://a.example"}, "callback_url is http://a.example/…: FLORA calls back only to https"),
        ({"promt": "a"}, "column 'promt' is unknown: did you mean 'prompt'? The columns are type, prompt, model"),
        ({"params": {}}, "column 'params' is unknown: did you mean 'model_params'?"),
        ({"quux": None}, "column 'quux' is unknown: use one of type, prompt, model, model_params"),
        ({"model_params.": 7}, "column 'model_params.' is unknown: did you mean 'model_params'"),
        ({"model_params": {"cfg": math.nan}}, "this cannot be sent as JSON: model_params.cfg is nan"),
        ({"model_params.cfg": math.inf}, "this cannot be sent as JSON: model_params.cfg is inf"),
        ({"model_params": {"when": {1, 2}}}, "this cannot be sent as JSON: model_params.when is {1, 2}"),
        ({"prompt": "half \ud83d"}, "this cannot be sent as JSON: prompt holds half a surrogate pair"),
        ({"model_params": {"image_url": "run_1"}}, "model_params.image_url is 'run_1': it is a run's id"),
        ({"model_params": {"image_url": {"run_id": "run_1"}}}, "model_params.image_url is run 'run_1' without outputs"),
    ],
    ids=str,
)
def test_row_that_cannot_be_sent_is_refused_with_its_number(change, problem):
    (found,) = problems([ROW, {**ROW, **change}])
    assert found.startswith(f"row 2: {problem}")


@pytest.mark.parametrize("request_", ["a fern", None, ["image", "a fern"], {7: "a fern"}], ids=str)
def test_row_that_is_no_dict_is_refused(request_):
    (problem,) = problems([request_])
    assert problem.startswith("row 1: it is ")
    assert "give a dict of type, prompt, model" in problem


@pytest.mark.parametrize("requests", ["a.csv", b"", None, 7, ROW], ids=str)
def test_requests_that_are_no_rows_are_refused(requests):
    (problem,) = problems(requests)
    assert problem.startswith("requests is ")


def test_no_rows_are_refused():
    assert problems([]) == ["requests is empty: give at least one row"]


def test_deep_and_endless_parameters_are_refused():
    endless = {}
    endless["self"] = [endless]
    deep = 7
    for _ in range(5000):
        deep = [deep]
    expected = "model_params is nested too deeply, or holds itself: give plain lists and dicts"
    found = problems([{**ROW, "model_params": {"a": value}} for value in (endless, deep)])
    assert found == [f"rows 1 and 2: {expected}"]


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), st.none() | st.text(max_size=5) | members))
def test_any_row_is_read_or_refused_with_its_number(request_):
    try:
        (row,) = rows_of([request_], {})
    except FloraInputError as error:
        found = error.problems
    else:
        found = ()
        assert set(row.fields) <= set(FIELDS)
        json.dumps(row.fields, allow_nan=False)
    assert all(problem.startswith("row 1: ") for problem in found)


def test_all_problems_of_all_rows_are_in_one_error():
    found = problems([{"type": "image"}, ROW, {"prompt": "", "type": "x", "sed": 1}])
    assert [problem.split(":")[0] for problem in found] == ["row 1", *["row 3"] * 3]


def test_problem_that_rows_share_is_said_once():
    assert problems([{"type": "image"}] * 12) == [
        "rows 1, 2, 3 and 9 more: prompt is missing: give it in the row, or in defaults"
    ]


def test_at_most_fifty_problems_are_said_and_the_rest_is_counted():
    found = problems([{"type": f"t2{number}", "prompt": "a fern"} for number in range(1250)])
    assert len(found) == 51
    assert found[0].startswith("row 1: type is 't20'")
    assert found[-1] == "and 1,200 more"


def test_defaults_are_checked_once():
    found = problems([{"prompt": "a"}, {"prompt": "b"}], type="x", sed=7, model_params={"cfg": math.nan})
    assert [problem.partition(" is ")[0] for problem in found] == [
        "defaults: column 'sed'",
        "defaults: type",
        "defaults: this cannot be sent as JSON: model_params.cfg",
    ]


def test_messages_show_no_signature():
    found = problems(
        [picture("") | {"type": "https://a.example/x?sig=secret"}, {"model_params": "https://a?sig=secret"}]
    )
    assert "secret" not in str(found)


@given(rows, st.sets(st.sampled_from(FIELDS)))
def test_identity_is_the_same_whether_the_row_or_defaults_say_a_field(row, moved):
    defaults = {name: value for name, value in row.items() if name in moved}
    assert identity({name: row[name] for name in row.keys() - moved}, **defaults) == identity(row)


@given(rows)
def test_identity_does_not_depend_on_the_order_of_names_or_how_parameters_are_written(row):
    params = row.get("model_params", {})
    dotted = {f"model_params.{name}": value for name, value in params.items() if value != ""}
    rest = {"model_params": {name: value for name, value in params.items() if value == ""}}
    turned = dict(reversed([*(row | rest | dotted).items()]))
    assert identity(turned) == identity(row)
    assert identity(row | {"model_params": json.dumps(params)}) == identity(row)


@given(st.lists(rows, min_size=1, max_size=6), st.randoms())
def test_identity_depends_neither_on_the_order_nor_on_other_rows(requests, random):
    turned = random.sample(requests, len(requests))
    identities = {row.identity for row in rows_of(requests, {})}
    assert len(identities) == len(requests)
    assert {row.identity for row in rows_of(turned, {})} == identities
    assert {row.identity for row in rows_of(turned[1:], {})} < identities if turned[1:] else True


@given(rows, rows)
def test_different_rows_have_different_identities(first, second):
    same = json.dumps(fields(first), sort_keys=True) == json.dumps(fields(second), sort_keys=True)
    assert (identity(first) == identity(second)) == same


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_counts_for_the_identity(name):
    other = {
        "type": "video",
        "prompt": "moss",
        "model": "t2i-b",
        "model_params": {"seed": 8},
        "workspace_id": "ws_2",
        "project_id": "prj_2",
        "callback_url": "https://b.example/done",
    }
    assert identity({**WHOLE, name: other[name]}) != identity(WHOLE)


def test_identity_is_32_hexadecimal_digits_that_later_releases_keep():
    # A change of this makes every batch that is under way start its rows again, which FLORA bills.
    assert [row.identity for row in rows_of([WHOLE, WHOLE], {})] == [
        "a2715ce28d7388be460b8c7c0c911b4c",
        "bd336e7d11a0e313252b504e162a1f65",
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (picture("https://a.example/x?X-Amz-Signature=1"), picture("https://a.example/x?X-Amz-Signature=2")),
        (picture("https://a.example/x"), {**ROW, "model_params": {"image_url": "https://a.example/x"}}),
        (picture("https://a.example/x", sha256=SHA), picture("https://b.example/x", sha256=SHA)),
        (
            {**ROW, "model_params": {"image_url": {"asset_id": "asset_1", "url": "https://a.example/x"}}},
            {**ROW, "model_params": {"image_url": {"asset_id": "asset_1", "url": "https://b.example/y"}}},
        ),
    ],
)
def test_identity_of_media_is_of_what_they_hold(first, second):
    assert identity(first) == identity(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"asset_id": "asset_1", "seed": 1}, {"asset_id": "asset_1", "seed": 2}),
        ({"type": "text", "text": "a", "voice": "x"}, {"type": "text", "text": "a", "voice": "y"}),
        ({"mood": ""}, {}),
        ({"list": []}, {"dict": {}}),
        ({"image_urls": ["https://a.example/1", "https://a.example/2"]}, {"image_urls": ["https://a.example/1"]}),
        ({"seed": 1}, {"seed": True}),
        ({"seed": 1}, {"seed": "1"}),
    ],
)
def test_identity_tells_parameters_apart(first, second):
    assert identity({**ROW, "model_params": first}) != identity({**ROW, "model_params": second})
