"""Text that Airflow's wire, its XComs or its database cannot hold is replaced, and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.models import Asset, Run, WebhookRun
from flora_provider.api.models.base import parse_json
from flora_provider.api.text import MAX_TEXT, bounded, storable
from tests.support.strategies import json_values, texts
from tests.unit.api.examples import REQUIRED

LOST = st.sampled_from(["\ud83d", "\udc00x", "a\x00", "\x00", "a\udc00b"])  # what cannot be stored


def test_storable_replaces_half_a_surrogate_pair_and_nul():
    assert storable({"a\x00": ["\ud83d!", 1, None]}) == {"a\ufffd": ["\ufffd!", 1, None]}


@given(json_values(st.none() | st.booleans() | st.integers() | texts() | LOST))
def test_storable_text_has_utf8_and_no_nul(value):
    text = json.dumps(storable(value), ensure_ascii=False)
    assert "\\u0000" not in text
    assert json.loads(text.encode()) == storable(value)


@given(texts())
def test_storable_keeps_every_other_text(text):
    assert storable(text) == text.replace("\x00", "\ufffd")


@given(texts(), st.integers(10, 30))
def test_bounded_text_is_whole_or_says_that_it_was_cut(text, longest):
    cut = bounded(text, longest)
    assert cut == text or (len(cut) == longest and cut.endswith("… (cut)"))
    assert bounded(cut, longest) == cut


@pytest.mark.parametrize("length", range(20, 60))
def test_bounded_text_shows_no_part_of_an_address_that_was_cut(length):
    cut = bounded(f"see https://a.b/c then https://ann:secret@s.example/a{'x' * 60}", length)
    assert len(cut) <= length
    assert "sec" not in cut
    assert cut.endswith("… (cut)")


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (rb'{"a": "\ud83d"}', {"a": "\ufffd"}),
        (rb'{"a": "x\uDE00y"}', {"a": "x\ufffdy"}),
        (rb'{"a\u0000": ["\u0000", {"\uD83D": 1}]}', {"a\ufffd": ["\ufffd", {"\ufffd": 1}]}),
        (rb'{"a": "\ud83d\ude00 \\u0000 \\ud83d"}', {"a": "\U0001f600 \\u0000 \\ud83d"}),
        (b'{"a": "\xed\xa0\xbd"}', {"a": "\ufffd"}),
        ('{"a": "\ud83d \U0001f600"}'.encode("utf-16-le", "surrogatepass"), {"a": "\ufffd \U0001f600"}),
        ('{"a": "\U0001f600 é"}'.encode("utf-16"), {"a": "\U0001f600 é"}),
        ('{"a": "\U0001f600 \ufffd"}'.encode(), {"a": "\U0001f600 \ufffd"}),
    ],
)
def test_json_holds_no_text_that_cannot_be_stored(body, read):
    assert parse_json(body) == read


@pytest.mark.parametrize(
    ("number", "read"),
    [
        ("NaN", None),
        ("-Infinity", None),
        ("1e999", None),
        ("-1E+400", None),
        ("9" * 5000, None),
        (f"{'9' * 400}.5", None),
        ("1e30", 1e30),
        ("1" + "0" * 30, 1e30),
        (str(2**63), float(2**63)),
        (str(2**63 - 1), 2**63 - 1),
        (str(-(2**63)), -(2**63)),
        (str(10**18), 10**18),
        ("-0", 0),
        ("1e-999", 0.0),
        ("12345678901234567.25", 12345678901234567.25),
    ],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_json_holds_no_number_that_cannot_be_stored(number, read, encoding):
    value = parse_json(f'{{"outputs": [{{"k": {number}, "id": 7, "share": 0.5}}]}}'.encode(encoding))
    assert value == {"outputs": [{"k": read, "id": 7, "share": 0.5}]}
    assert type(value["outputs"][0]["k"]) is type(read)
    assert type(value["outputs"][0]["id"]) is int


@given(st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False))
def test_json_keeps_every_number_that_can_be_stored(number):
    assert parse_json(json.dumps([number, 10**30]).encode())[0] == number


@given(json_values(texts() | LOST, max_size=None, max_leaves=100))
def test_json_of_any_text_in_any_spelling_can_be_stored(value):
    for body in (
        json.dumps(value).encode(),
        json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"),
        json.dumps(value, ensure_ascii=False).encode("utf-32-be", "surrogatepass"),
    ):
        assert storable(read := parse_json(body)) == read
        if storable(value) == value:
            assert read == value


def test_messages_of_floras_are_bounded_and_texts_are_not():
    long = "x" * 100_000
    for run in (
        Run.read({"run_id": "r", "status": "failed", "error_code": long, "error_message": long}),
        WebhookRun.read(
            {"run_id": "r", "run_type": "g", "status": "failed", "error_code": long, "error_message": long}
        ),
    ):
        assert run.error_message == bounded(long)
        assert len(run.error_code) == MAX_TEXT
        assert run.error_message.endswith("… (cut)")
    assert len(Asset.read(REQUIRED[Asset] | {"failure_message": long}).failure_message) == MAX_TEXT
    output = {"output_id": "o", "type": "text", "url": long}
    run = Run.read({"run_id": "r", "status": "completed", "outputs": [output]})
    assert run.to_dict()["outputs"][0]["text"] == long
