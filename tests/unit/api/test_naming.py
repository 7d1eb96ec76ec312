"""What an output's file is called, whatever FLORA, a file's host or a user says."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraInputError
from flora_provider.api.files.naming import file_name
from tests.support.strategies import texts

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
def test_extension_comes_from_the_content_type(content_type, name):
    assert file_name("run_1-output_1", content_type) == name


@pytest.mark.parametrize(
    ("content_type", "address", "ending"),
    [
        ("image/jpg", "https://media.flora.ai/a.jpg", ".jpg"),
        ("image/jpg", "", ".jpg"),
        (" Image/JPG ; charset=binary", "", ".jpg"),
        ("image/jpeg,image/jpeg", "", ".jpg"),
        ("audio/mp3", "", ".mp3"),
        ("audio/x-wav", "", ".wav"),
        ("audio/wave", "", ".wav"),
        ("audio/vnd.wave", "", ".wav"),
        ("audio/x-m4a", "", ".m4a"),
        ("video/x-m4v", "", ".m4v"),
        ("application/mp4", "", ".mp4"),
        ("application/octet-stream", "https://media.flora.ai/a/b.PNG?sig=x.gif#y.mp3", ".png"),
        ("binary/octet-stream", "https://media.flora.ai/a%2Ejpeg", ".jpg"),
        ("", "https://media.flora.ai/clip.mov", ".mov"),
        ("*/*", "clip.webm", ".webm"),
        ("application/x-download", "https://h/a.wav", ".wav"),
        ("application/x-never-heard-of", "https://h/a.mp3", ".mp3"),
        ("application/octet-stream", "https://h/a.exe", ".bin"),
        ("application/octet-stream", "https://h/a?name=b.png", ".bin"),
        ("application/octet-stream", "https://h/a.png/", ".png"),
        ("application/octet-stream", "https://[h/a.png", ".bin"),
        ("application/octet-stream", "https://h/.png", ".bin"),
        ("image/png", "https://h/a.jpg", ".png"),
        ("text/plain", "https://h/a.jpg", ".txt"),
    ],
)
def test_extension_of_the_url_counts_where_the_content_type_is_generic(content_type, address, ending):
    assert file_name("run_1-output_1", content_type, address) == f"run_1-output_1{ending}"


@pytest.mark.parametrize("stem", ["run_abc-output_1", "run_0a1b2c3d4e-full-1", "a.b", "_x", "fern_2026-01-01"])
def test_plain_name_of_small_letters_is_kept(stem):
    assert file_name(stem, "image/png") == f"{stem}.png"


DEVICES = ["con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³")]


@pytest.mark.parametrize("device", [*DEVICES, "CON", "Nul", "con.a", "CON.png", "aux.b.c", "nul.", " con", "con "])
def test_name_is_never_a_device_of_windows(device):
    name = file_name(device, "image/png")
    assert name.partition(".")[0].lower() not in DEVICES
    assert not re.match(r"(?i)(con|prn|aux|nul|com.|lpt.)\.", name)
    assert re.search(r"-[0-9a-f]{8}\.png$", name)


@pytest.mark.parametrize("odd", [None, 5, b"run_1", ["a"]])
def test_name_that_is_no_text_is_refused(odd):
    with pytest.raises(FloraInputError, match="a file's name is of type"):
        file_name(odd, "image/png")


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
def test_invalid_characters_are_replaced_and_the_name_stays_readable(stem, begins):
    assert file_name(stem, "image/png").startswith(begins)


@given(hostile, types)
@example(".." * 100, "image/png")
@example("", "")
@example("-" * 200, "image/png")
def test_name_is_never_a_path_never_hidden_never_empty_and_never_too_long(stem, content_type):
    name = file_name(stem, content_type)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.[a-z0-9]+", name)
    assert len(name.encode()) <= 145
    assert name.isascii()
    assert not re.match(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])\.", name)


@given(hostile, types)
def test_name_is_the_same_for_the_same_output(stem, content_type):
    assert file_name(stem, content_type) == file_name(stem, content_type)


# Capitals, what folds to a letter (the Kelvin sign, the long s), names of machines, and what looks like a hash.
ids = (
    st.text(alphabet="abAB19._- /:äKk\u212a\u017f", max_size=10)
    | st.text(alphabet="abA", min_size=115, max_size=200)
    | st.sampled_from(["con", "CON", "con.a", "Full", "full", "FULL", "a-0123abcd", "a-0123ABCD", "output"])
)


@given(st.lists(ids, min_size=2, max_size=6, unique=True), st.sampled_from(["image/png", "", "image/jpg"]))
@example(["x" * 120 + "1", "x" * 120 + "2"], "image/png")
@example(["", "output", ".output", "output-"], "image/png")
@example(["output/1", "output:1", "output-1"], "image/png")
@example(["Full", "full", "fUll"], "image/png")
def test_names_of_two_outputs_differ_whatever_the_case(output_ids, content_type):
    names = [file_name(output_id, content_type).casefold() for output_id in output_ids]
    assert len(set(names)) == len(output_ids)


@given(ids, st.sampled_from(["image/png", "text/plain"]))
def test_name_is_never_shared_with_a_similar_stem(stem, content_type):
    name = file_name(stem, content_type)
    for likeness in (name, name.rpartition(".")[0], name.upper(), stem.upper(), stem.lower()):
        if likeness != stem:
            assert file_name(likeness, content_type).casefold() != name.casefold()
