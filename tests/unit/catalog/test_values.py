import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import Asset, FileOutput, Run, TextOutput
from flora_provider.catalog.values import (
    InputValue,
    address_problem,
    as_input,
    is_result,
    kind_of,
    kind_of_media_type,
)

URL = "https://media.flora.ai/a.png?sig=secret"
IMAGE = {"output_id": "o1", "type": "imageUrl", "url": URL}
TEXT = {"output_id": "o2", "type": "text", "text": "a cat"}


def run(*outputs, **members):
    return {"run_id": "run_1", "status": "completed", "outputs": list(outputs)} | members


def problem(value, **options):
    with pytest.raises(FloraInputError) as raised:
        as_input(value, **options)
    return str(raised.value)


class BadRepr:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a cat", InputValue(None, "a cat")),
        (IMAGE, InputValue("image", URL)),
        (TEXT, InputValue("text", "a cat")),
        ({"type": "text", "url": "a cat"}, InputValue("text", "a cat")),
        ({"text": "a cat"}, InputValue("text", "a cat")),
        ({"type": "newerUrl", "url": URL}, InputValue(None, URL)),
        ({"type": "video", "url": URL}, InputValue("video", URL)),
        (FileOutput(output_id="o", type="audioUrl", url=URL), InputValue("audio", URL)),
        (TextOutput(output_id="o", type="text", text="a"), InputValue("text", "a")),
        (run(IMAGE), InputValue("image", URL)),
        (run(IMAGE, None), InputValue("image", URL)),
        (Run.read({"run_id": "run_1", "status": "completed", "outputs": [IMAGE]}), InputValue("image", URL)),
        ({"asset_id": "asset_1", "url": URL, "content_type": "image/png"}, InputValue("image", URL)),
        ({"asset_id": "asset_1", "url": URL, "type": "video"}, InputValue("video", URL)),
        (
            Asset(asset_id="asset_1", status="ready", url=URL, content_type="application/pdf"),
            InputValue("document", URL),
        ),
    ],
)
def test_as_input_reads_whatever_holds_one_value(value, expected):
    assert as_input(value) == expected
    assert "secret" not in repr(as_input(value))


def test_as_input_takes_the_one_output_of_the_wanted_kind():
    assert as_input(run(IMAGE, TEXT), kind="text").value == "a cat"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (run(IMAGE, TEXT), "2 outputs (image, text)"),
        (run(IMAGE, IMAGE), "2 outputs"),
        (run(), "no output"),
        (run(IMAGE, status="failed"), "give another"),
        (run(IMAGE, status="running"), "wait for the run"),
        (run(IMAGE, IMAGE, run_id=5), "a run, which has 2"),
        ({"run_id": "run_1"}, "without outputs: wait"),
        ({"run_id": "run_1", "files": []}, "manifest"),
        ({"asset_id": "asset_1", "status": "pending_upload", "url": URL}, "'pending_upload'"),
        ({"asset_id": "asset_1", "url": None}, "without an address"),
        ({"type": "imageUrl", "url": ""}, "dict of"),
        ({}, "dict of nothing"),
        ({1: 2}, "dict of 1"),
        (run(7), "no output"),
        ([IMAGE, IMAGE], "several values"),
        (7, "no input"),
        (None, "no input"),
        (BadRepr(), "BadRepr"),
        ("None", "missing value"),
    ],
)
def test_as_input_says_why_it_refuses(value, words):
    said = problem(value, name="inputs.image", kind="image" if value == run(IMAGE, IMAGE) else None)
    assert words in said
    assert said.startswith("inputs.image")
    assert "secret" not in said


def test_run_id_is_refused_where_media_is_wanted():
    assert "it is a run's id, not its output: wait for the run" in problem("run_abc", kind="image")
    assert as_input("run_abc", kind="text").value == "run_abc"


@pytest.mark.parametrize(
    "value",
    [
        {"outputs": []},
        {"run_id": "run_1"},
        IMAGE,
        TEXT,
        {"asset_id": "a", "url": URL},
        TextOutput(output_id="o", type="text", text="a"),
    ],
)
def test_is_result_knows_results(value):
    assert is_result(value)


@pytest.mark.parametrize(
    "value", [{"width": 5}, {"type": "solid", "text": "a"}, {"text": "a"}, {"url": URL}, {1: 2}, "run_1", None, [IMAGE]]
)
def test_is_result_leaves_other_values(value):
    assert not is_result(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("ftp://a.com/x", "ftp://a.com/…"),
        ("http://a.com/x?sig=secret", "https://"),
        ("https://me:secret@a.com/x", "https://a.com/…"),
        ("://x", "no address"),
        ("https://a.com/a b", "spaces"),
        ("picture.png", "upload a local file"),
        ("{'url': 1}", "render_template_as_native_obj"),
        (7, "is 7"),
    ],
)
def test_address_problem_names_the_remedy(value, words):
    said = address_problem("it", value)
    assert words in said
    assert "secret" not in said


def test_address_problem_accepts_https_and_this_machine():
    assert address_problem("it", URL) is None
    assert address_problem("it", "http://127.0.0.1:80/media/a") is None


def test_kinds_by_type_and_media_type():
    assert [kind_of(it) for it in ("imageUrl", "IMAGE_URL", "video_url", "text", "x", None)] == [
        "image", "image", "video", "text", None, None,
    ]  # fmt: skip
    assert [kind_of_media_type(it) for it in ("audio/mpeg", "application/zip", None)] == ["audio", None, None]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["outputs", "url", "text", "type", "asset_id", "run_id", "files", "status"])
            | st.integers(),
            inner,
        )
    ),
)


@given(anything)
def test_as_input_reads_or_refuses_anything(value):
    with contextlib.suppress(FloraInputError):
        assert isinstance(as_input(value).value, str)
