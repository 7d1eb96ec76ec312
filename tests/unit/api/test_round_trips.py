"""What is dumped is read again as what it was."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api import calls
from flora_provider.api.errors import FloraAnswerError
from flora_provider.api.models import FileOutput, FloraModel, Generation, Page, Run, TechniqueRun, TextOutput
from tests.support.strategies import json_values, scalars, texts
from tests.unit.api.examples import ALL, ROWS
from tests.unit.api.lists import LISTS

FINISHED = {
    "run_id": "run_1",
    "status": "completed",
    "created_at": 1750000000123,
    "charged_cost": 0.1,
    "outputs": [ROWS[FileOutput] | {"new": [1]}, ROWS[TextOutput] | {"text": "words"}],
    "poll_url": None,
    "raw": {"of": "FLORA"},
}
storable_json = json_values(scalars(st.floats(allow_nan=False, allow_infinity=False)))


def answer_models(kind=FloraModel):
    for model in kind.__subclasses__():
        yield from (model, *answer_models(model))


def ways_round(value):
    kind = type(value)
    yield kind.model_validate(value.model_dump())
    yield kind(**value.model_dump())
    yield kind.model_validate(value.model_dump(by_alias=True))
    yield kind.model_validate(value.model_dump(mode="json"))
    yield kind.model_validate(json.loads(json.dumps(value.model_dump(mode="json", by_alias=True))))
    yield kind.model_validate_json(value.model_dump_json())
    yield kind.model_validate_json(value.model_dump_json(by_alias=True))
    yield pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


def test_every_model_has_an_example():
    assert set(ALL) == {model for model in answer_models() if "[" not in model.__name__} - {Page}


@given(
    st.data(), st.sampled_from(sorted(ALL, key=lambda model: model.__name__)), st.dictionaries(texts(), storable_json)
)
def test_answers_of_every_kind_survive_being_dumped_and_read_again(data, model, extra):
    members = [*model.model_fields, "url", "raw", "meta", "model_config", "to_dict", "items"]
    odd = data.draw(st.dictionaries(st.sampled_from(members), storable_json, max_size=2))
    try:
        value = model.read(ALL[model] | extra | odd)
    except FloraAnswerError:
        return
    for again in ways_round(value):
        assert again == value
        assert again.model_extra == value.model_extra
        assert [type(getattr(again, name)) for name in model.model_fields] == [
            type(getattr(value, name)) for name in model.model_fields
        ]


@pytest.mark.parametrize("model", [Run, Generation, TechniqueRun])
def test_finished_run_survives_with_its_outputs_and_what_flora_said(model):
    data = ALL[model] | FINISHED
    run = model.read(data)
    assert [type(output) for output in run.outputs] == [FileOutput, TextOutput]
    for again in ways_round(run):
        assert again == run
        assert again.outputs == run.outputs
        assert again.raw == data
        assert again.to_dict() == run.to_dict()


def test_page_survives_with_its_rows():
    row = ALL[Generation] | FINISHED
    page = calls.list_generations().read(
        {"generations": [row], "meta": {"next_cursor": "c", "total_estimate": 7}, "x": 1}
    )
    assert isinstance(page, Page)
    for again in ways_round(page):
        assert again == page
        assert type(again.items[0]) is Generation
        assert again.items[0].outputs == page.items[0].outputs
        assert (again.next_cursor, again.total_estimate, again.model_extra["x"]) == ("c", 7, 1)


@pytest.mark.parametrize("name", LISTS)
def test_pages_of_every_kind_survive(name):
    call, model, _ = LISTS[name]
    page = call.read({name: [ALL[model]]})
    for again in ways_round(page):
        assert again == page
        assert [type(item) for item in again.items] == [model]
