"""The manifest of a run."""

import json

import pytest

from flora_provider.api.errors import FloraInputError
from flora_provider.files.manifest import RunManifest, SavedFile, manifest_name, read_manifest, request_fields

FILE = SavedFile(output_id="o", type="imageUrl", path="/x/a.png", size=1, media_type="image/png", sha256="0" * 64)
MANIFEST = RunManifest(run_id="run_1", complete=True, files=(FILE,), prompt="thé", model_params={"seed": 7})


def test_manifest_is_read_as_it_was_written(tmp_path):
    path = tmp_path / manifest_name("run_1")
    path.write_bytes(MANIFEST.to_json())
    assert path.name == "run_1.json"
    assert read_manifest(path) == read_manifest(str(path)) == MANIFEST
    assert json.loads(path.read_text(encoding="utf-8")) == MANIFEST.to_dict()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"no json",
        b"\xff",
        b'{"run_id": "run_1"}',
        MANIFEST.to_json().replace(b'version": 1', b'version": 9'),
    ],
    ids=lambda content: content[:20],
)
def test_file_that_is_no_manifest_is_refused(tmp_path, content):
    path = tmp_path / "run_1.json"
    path.write_bytes(content)
    with pytest.raises(FloraInputError, match=r"run_1\.json is no manifest of a run: give the path"):
        read_manifest(path)


def test_manifest_of_a_broken_off_try_is_refused(tmp_path):
    path = tmp_path / "run_1.json"
    path.write_bytes(MANIFEST.model_copy(update={"complete": False}).to_json())
    with pytest.raises(FloraInputError, match=r"run_1 were not all saved .*try the task again"):
        read_manifest(path)


def test_missing_manifest_is_named(tmp_path):
    with pytest.raises(FloraInputError, match=r"there is no manifest .*nothing\.json"):
        read_manifest(tmp_path / "nothing.json")


@pytest.mark.parametrize("path", [None, 5, "", "a\0b", "nosuch://bucket/a.json", "None"])
def test_path_that_cannot_be_right_is_refused(path):
    with pytest.raises(FloraInputError, match=r"path|manifest"):
        read_manifest(path)


def test_request_is_kept_without_signatures():
    signed = "https://media.flora.ai/a.png?sig=secret"
    fields = request_fields(
        {
            "run_id": "run_1",
            "prompt": f"like {signed}",
            "model_params": {"seed": 7, "image_urls": [signed], "deep": {"url": signed}},
            "inputs": [{"url": signed}],
            "model": None,
            "technique_route": "x",
        }
    )
    assert "secret" not in json.dumps(fields)
    assert fields["seed"] == 7
    assert fields.keys() == {"prompt", "model_params", "inputs", "seed"}
    assert request_fields(None) == {}
