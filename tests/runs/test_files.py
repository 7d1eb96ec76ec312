"""What an output's file is called, whatever FLORA, a file's host or a user says."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flora_provider.runs.files import file_name
from tests.texts import texts

hostile = texts(max_size=300) | st.text(alphabet="./\\-_~ \x00aA%:\n", max_size=300)
types = texts(max_size=60) | st.sampled_from(["image/png", "text/html", "../../etc/passwd", "image/png/../x", ""])


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("image/png", "run_1-output_1.png"),
        ("image/jpeg", "run_1-output_1.jpg"),
        ("video/mp4", "run_1-output_1.mp4"),
        ("audio/mpeg", "run_1-output_1.mp3"),
        ("text/plain", "run_1-output_1.txt"),
        ("application/json", "run_1-output_1.json"),
        ("application/x-never-heard-of", "run_1-output_1.bin"),
        ("", "run_1-output_1.bin"),
    ],
)
def test_the_ending_comes_from_the_content_type(content_type, name):
    assert file_name("run_1-output_1", content_type) == name


@pytest.mark.parametrize(
    ("stem", "begins"),
    [
        ("../../etc/passwd", "etc-passwd"),
        (".bashrc", "bashrc"),
        ("C:\\Windows\\system32", "C-Windows-system32"),
        ("https://media.flora.ai/a.png?sig=x", "https-media.flora.ai-a.png-sig-x"),
        ("a\x00b\nc", "a-b-c"),
        ("ein Bild", "ein-Bild"),
    ],
)
def test_what_is_no_plain_name_stays_readable(stem, begins):
    assert file_name(stem, "image/png").startswith(begins)


@given(hostile, types)
@example(".." * 100, "image/png")
@example("", "")
@example("-" * 200, "image/png")
def test_a_name_is_never_a_path_never_hidden_never_empty_and_never_too_long(stem, content_type):
    name = file_name(stem, content_type)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.[a-z0-9]+", name)
    assert len(name) <= 140


@given(hostile, types)
def test_the_same_output_has_the_same_name_again(stem, content_type):
    assert file_name(stem, content_type) == file_name(stem, content_type)


ids = st.text(alphabet="ab19._- /:ä", max_size=10) | st.text(alphabet="ab", min_size=115, max_size=200)


@given(st.lists(ids, min_size=2, max_size=5, unique=True))
@example(["x" * 120 + "1", "x" * 120 + "2"])
@example(["", "output", ".output", "output-"])
@example(["output/1", "output:1", "output-1"])
def test_two_outputs_of_one_run_never_share_a_file(output_ids):
    names = [file_name(output_id, "image/png") for output_id in output_ids]
    assert len(set(names)) == len(output_ids)
