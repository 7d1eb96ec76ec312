"""What no database or XCom can hold is replaced where JSON enters, and messages are bounded."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.models import Asset, Run, WebhookRun
from flora_provider.api.models.base import parse_json
from flora_provider.api.text import MAX_TEXT, bounded, storable
from tests.support.strategies import texts
from tests.unit.api.examples import REQUIRED


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


@given(
    st.recursive(
        texts() | st.sampled_from(["\ud83d", "\udc00x", "a\x00"]),
        lambda inner: st.lists(inner) | st.dictionaries(texts(), inner),
    )
)
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
