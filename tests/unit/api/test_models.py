"""Answers are read tolerantly: what FLORA adds survives, what it garbles costs no more than itself."""

import json
from decimal import Decimal

import pendulum
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraAnswerError
from flora_provider.api.models import (
    Action,
    ActionSlot,
    AppliedChangeset,
    Asset,
    Canvas,
    Graph,
    GraphNode,
    LibraryItem,
    Model,
    ModelParam,
    Node,
    NodeRun,
    NodeRuns,
    Project,
    Run,
    RunStatus,
    Started,
    Technique,
    TechniqueSlot,
    Upload,
)
from tests.support.strategies import json_values, texts
from tests.unit.api.examples import ALL, REQUIRED

SHAPES = sorted(REQUIRED, key=lambda model: model.__name__)

shapes = st.sampled_from(SHAPES)


def raised(model, data):
    """Why it cannot be read; empty if it can."""
    try:
        model.read(data)
    except FloraAnswerError as error:
        return str(error)
    return ""


@given(shapes, st.dictionaries(texts(), json_values()))
def test_members_that_flora_adds_stay_reachable(model, extra):
    extra = {name: value for name, value in extra.items() if name not in model.model_fields}
    value = model.read(REQUIRED[model] | extra)
    assert {name: value.model_extra[name] for name in extra} == extra or extra != extra  # noqa: PLR0124 - NaN


@given(st.data(), shapes, json_values())
def test_optional_member_of_any_kind_costs_at_most_itself(data, model, odd):
    optional = [name for name, field in model.model_fields.items() if not field.is_required()]
    name = data.draw(st.sampled_from(optional))
    plain = model.read(REQUIRED[model])
    value = model.read(REQUIRED[model] | {name: odd})
    for other in set(model.model_fields) - {name}:
        assert getattr(value, other) == getattr(plain, other)


@given(st.data(), shapes, json_values())
def test_required_member_of_any_kind_is_read_or_refused_by_name(data, model, odd):
    name = data.draw(st.sampled_from(sorted(REQUIRED[model])))
    if problem := raised(model, REQUIRED[model] | {name: odd}):
        assert f"FLORA's answer is no {model.__name__}: {name}" in problem


@given(shapes, json_values())
def test_answer_of_any_kind_is_read_or_refused(model, odd):
    assert len(raised(model, odd)) < 2000


@pytest.mark.parametrize("model", SHAPES)
def test_missing_required_member_is_named(model):
    for name in REQUIRED[model]:
        lacking = {key: value for key, value in REQUIRED[model].items() if key != name}
        with pytest.raises(FloraAnswerError, match=f"no {model.__name__}: {name}: Field required"):
            model.read(lacking)


@pytest.mark.parametrize("model", SHAPES)
def test_optional_members_may_be_missing(model):
    value = model.read(REQUIRED[model])
    for name, field in model.model_fields.items():
        if not field.is_required():
            assert getattr(value, name) == field.get_default(call_default_factory=True, validated_data={})


def test_members_that_flora_mostly_sends_have_defaults():
    assert Started.read(REQUIRED[Started]).poll_url is None
    assert Run.read(REQUIRED[Run]).poll_url is None
    assert ActionSlot.read({"name": "image", "type": "image"}).dynamic is False
    upload = Upload.read({"url": "https://s.example/", "form_fields": {}})
    assert (upload.method, upload.content_type, upload.file_field) == ("POST", "multipart/form-data", "file")


@given(texts())
@example("completed ")
def test_unknown_status_is_kept_and_not_terminal(status):
    run = Run.read({"run_id": "run_1", "status": status})
    assert run.status == status
    assert run.is_terminal == (status in ("completed", "failed"))
    assert isinstance(run.status, RunStatus) == (status in set(RunStatus))


def test_new_kind_of_output_is_a_file_and_an_unreadable_one_does_not_cost_the_others():
    outputs = [
        {"output_id": "a", "type": "splatUrl", "url": "https://media.flora.ai/a"},
        {"output_id": "b", "type": "imageUrl"},
        "https://media.flora.ai/c",
        {"output_id": "d", "type": "text", "url": "words"},
    ]
    run = Run.read({"run_id": "run_1", "status": "completed", "outputs": outputs})
    assert [(output.output_id, output.type) for output in run.outputs] == [("a", "splatUrl"), ("d", "text")]
    assert len(run.raw["outputs"]) == 4
    assert Run.read({"run_id": "run_1", "status": "completed", "outputs": "none"}).outputs == ()


def test_started_node_is_not_lost_to_what_else_its_row_says():
    rows = [{"node_id": "n1", "run_id": "run_1", "status": 5, "charged_cost": "free", "model": []}, {"node_id": "n2"}]
    first, second = NodeRuns.read({"project_id": "prj_1", "runs": rows}).runs
    assert (first.run_id, first.status, first.charged_cost, first.model) == ("run_1", None, None, None)
    assert (second.run_id, second.node_id) == (None, "n2")


def test_values_that_flora_adds_to_a_canvas_are_read():
    node = GraphNode.read(REQUIRED[GraphNode] | {"type": "hologram", "status": "queued", "position": {"x": "left"}})
    assert (node.type, node.status, node.position) == ("hologram", "queued", None)
    changed = AppliedChangeset.read(REQUIRED[AppliedChangeset] | {"applied": {"added": 1, "moved": 2}, "created": [1]})
    assert (changed.applied.added, changed.applied.moved, changed.applied.removed, changed.created) == (1, 2, 0, {})


READABLE = {
    (Graph, "nodes"): {"id": "n1", "node_id": "node_1", "type": "image"},
    (NodeRuns, "runs"): {"node_id": "n1", "status": "started", "run_id": "run_1"},
    (Model, "params"): {"name": "seed", "type": "int"},
    (Model, "capabilities"): "t2i",
    (Action, "inputs"): {"name": "image", "type": "image"},
    (Action, "params"): {"key": "fps", "type": "enum"},
    (Technique, "inputs"): {"id": "a", "name": "A", "type": "text"},
    (ModelParam, "options"): {"label": "square", "value": "1:1"},
    (Run, "outputs"): {"output_id": "a", "type": "splatUrl", "url": "https://media.flora.ai/a"},
}


@given(
    st.sampled_from(sorted(READABLE, key=str)), st.lists(json_values(), max_size=3), st.lists(json_values(), max_size=3)
)
def test_rows_that_cannot_be_read_do_not_cost_the_others(where, before, after):
    model, name = where
    good = READABLE[where]
    (row,) = getattr(model.read(ALL[model] | {name: [good]}), name)
    assert row in getattr(model.read(ALL[model] | {name: [*before, good, *after]}), name)
    assert getattr(model.read(ALL[model] | {name: [good, 5.5, good]}), name) == (row, row)


def test_charged_cost_is_exact():
    assert Started.read({"run_id": "run_1", "charged_cost": 0.1}).charged_cost == Decimal("0.1")
    assert Started.read({"run_id": "run_1", "charged_cost": "0.30"}).charged_cost == Decimal("0.30")
    assert sum(Started.read({"run_id": "r", "charged_cost": 0.1}).charged_cost for _ in range(3)) == Decimal("0.3")


def test_invalid_charged_cost_is_read_as_none():
    for odd in (-1, True, "free", float("inf"), float("nan"), 10**400, 10**5000, [], {}):
        assert Started.read({"run_id": "run_1", "charged_cost": odd}).charged_cost is None


@given(st.decimals(min_value=0, max_value=10**6, places=6))
def test_every_price_survives_its_way_through_json(price):
    sent = json.loads(json.dumps(float(price)))
    assert Started.read({"run_id": "run_1", "charged_cost": sent}).charged_cost == Decimal(repr(float(price)))


def created(value):
    return Project.read(REQUIRED[Project] | {"last_modified": value}).last_modified


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (1750000000000, "2025-06-15T15:06:40+00:00"),
        (1750000000, "2025-06-15T15:06:40+00:00"),
        (1750000000123.5, "2025-06-15T15:06:40.123500+00:00"),
        ("2025-06-15T15:06:40.000Z", "2025-06-15T15:06:40+00:00"),
        ("2025-06-15T17:06:40+02:00", "2025-06-15T15:06:40+00:00"),
        ("2025-06-15T15:06:40", "2025-06-15T15:06:40+00:00"),
    ],
)
def test_times_are_aware_whatever_their_unit(said, meant):
    value = created(said)
    assert isinstance(value, pendulum.DateTime)
    assert value.isoformat() == meant


@given(json_values())
@example("0001-01-01T00:00:00+14:00")
@example("now")
@example(float("inf"))
@example(10**400)
@example(-(10**11))
def test_time_of_any_kind_is_utc_or_absent(odd):
    value = created(odd)
    assert value is None or (value.utcoffset().total_seconds() == 0 and value.isoformat())


def test_answers_are_frozen_and_compare_by_value():
    run = Run.read(REQUIRED[Run])
    assert run == Run.read(REQUIRED[Run])
    with pytest.raises(ValueError, match="frozen"):
        run.status = "completed"


def test_repr_of_an_answer_shows_no_signed_url():
    signed = "https://storage.example.com/a?signature=secret"
    representation = repr(
        [
            Run.read(REQUIRED[Run] | {"outputs": [{"output_id": "a", "type": "imageUrl", "url": signed}]}),
            Asset.read(REQUIRED[Asset] | {"url": signed, "upload_url": signed, "canvas": signed}),
            Upload.read({"url": signed, "form_fields": {"policy": "secret"}}),
            Node.read(REQUIRED[Node] | {"url": signed}),
            Canvas.read(ALL[Canvas] | {"canvas_url": signed, "diagram": f"graph LR\n a[{signed}]"}),
            GraphNode.read(REQUIRED[GraphNode] | {"output_url": signed, "params": {"image_url": signed}}),
            NodeRun.read(REQUIRED[NodeRun] | {"poll_url": signed, "message": f"no {signed}"}),
            LibraryItem.read(REQUIRED[LibraryItem] | {"url": signed}),
            Started.read(REQUIRED[Started] | {"model": {"model_id": "m", "preview": signed}}),
            Run.read({"run_id": "run_2", "status": "failed", "error_message": f"could not load {signed}."}),
            TechniqueSlot.read({"id": "a", "name": "b", "type": "text"}),
        ]
    )
    assert "run_1" in representation
    assert "could not load https://storage.example.com/a?…." in representation
    assert "secret" not in representation
