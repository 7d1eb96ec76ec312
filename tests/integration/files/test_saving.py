"""Save the files of a run, on this machine and in an S3."""

import hashlib
import json

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from flora_provider.api.errors import FloraDownloadError, FloraInputError, FloraStorageError
from flora_provider.files import read_manifest, save_run
from tests.support.airflow_features import OBJECT_STORES
from tests.support.media import finished, png


def test_outputs_are_saved_with_a_manifest(flora, media, store):
    picture = png(64, 48)
    run = finished(media.serve("/a.png", picture) + "?sig=secret", {"text": "thé", "type": "text"})
    request = {
        "kind": "generation",
        "type": "image",
        "prompt": "a fern",
        "model": "t2i-flux",
        "model_params": {"seed": 7, "image_url": "https://media.flora.ai/a.png?sig=secret"},
    }
    at = {"dag_id": "d", "task_id": "t", "dag_run_id": "r", "map_index": -1}
    manifest = save_run(flora, run, store.folder, request=request, at=at)
    assert store.names() == {"run_1-out_0.png", "run_1-out_1.txt", "run_1.json"}
    assert (store.read("run_1-out_0.png"), store.read("run_1-out_1.txt")) == (picture, "thé".encode())
    saved = json.loads(store.read("run_1.json"))
    assert saved == manifest.to_dict()
    assert "secret" not in json.dumps(saved)
    assert saved["files"][0] == {
        "output_id": "out_0",
        "type": "imageUrl",
        "path": f"{store.path}/run_1-out_0.png",
        "size": len(picture),
        "media_type": "image/png",
        "sha256": hashlib.sha256(picture).hexdigest(),
        "width": 64,
        "height": 48,
        "duration": None,
    }
    assert (saved["seed"], saved["dag_id"], saved["charged_cost_usd"], saved["complete"]) == (7, "d", 0.04, True)


def test_manifest_is_read_back(flora, media, store):
    manifest = save_run(flora, finished(media.serve("/a.png")), store.folder)
    assert read_manifest(f"{store.folder}/run_1.json") == manifest


def test_second_try_fetches_nothing_that_is_there(flora, media, store):
    run = finished(media.serve("/a.png"), media.serve("/b.png"))
    first = save_run(flora, run, store.folder)
    assert save_run(flora, run, store.folder) == first
    assert sorted(media.requests) == ["/a.png", "/b.png"]


def test_file_of_another_size_than_the_manifest_says_is_fetched_again(flora, media, store):
    run = finished(media.serve("/a.png", b"whole"))
    save_run(flora, run, store.folder)
    store.write("run_1-out_0.png", b"half")
    save_run(flora, run, store.folder)
    assert store.read("run_1-out_0.png") == b"whole"


def test_always_fetches_again(flora, media, store):
    run = finished(media.serve("/a.png", b"one"))
    save_run(flora, run, store.folder)
    media.serve("/a.png", b"two")
    save_run(flora, run, store.folder, overwrite="always")
    assert store.read("run_1-out_0.png") == b"two"


@pytest.mark.parametrize("there", [b"another", b"whole"])
def test_never_keeps_what_is_not_known_to_be_the_output(flora, media, store, there):
    store.write("run_1-out_0.png", there)
    with pytest.raises(FloraInputError, match="is there already"):
        save_run(flora, finished(media.serve("/a.png", b"whole")), store.folder, overwrite="never")
    assert store.read("run_1-out_0.png") == there


def test_never_accepts_what_an_earlier_try_has_saved(flora, media, store):
    run = finished(media.serve("/a.png"))
    first = save_run(flora, run, store.folder, overwrite="never")
    assert save_run(flora, run, store.folder, overwrite="never") == first


@pytest.mark.parametrize("there", [b"another", b"wrong"])
def test_another_file_of_that_name_is_replaced(flora, media, store, there):
    store.write("run_1-out_0.png", there)
    save_run(flora, finished(media.serve("/a.png", b"whole")), store.folder)
    assert store.read("run_1-out_0.png") == b"whole"


def test_file_that_failed_keeps_no_other_from_being_saved(flora, media, store):
    run = finished(media.url + "/missing.png?sig=secret", *(media.serve(f"/{index}.png") for index in range(6)))
    with pytest.raises(FloraDownloadError, match="404") as caught:
        save_run(flora, run, store.folder)
    assert "secret" not in str(caught.value)
    saved = store.names()
    assert "run_1-out_0.png" not in saved
    with pytest.raises(FloraInputError, match="not all saved"):
        read_manifest(f"{store.folder}/run_1.json")
    media.requests.clear()
    media.serve("/missing.png")
    assert len(save_run(flora, run, store.folder).files) == 7
    assert len(media.requests) == 7 - len([name for name in saved if name.endswith(".png")])


def test_folder_of_another_file_system_is_written_through_another_name(flora, media):
    OBJECT_STORES.attach("memory", fs=MemoryFileSystem())
    folder = ObjectStoragePath("memory://box/out")
    manifest = save_run(flora, finished(media.serve("/a.png", b"whole")), folder)
    assert (folder / "run_1-out_0.png").read_bytes() == b"whole"
    assert {path.name for path in folder.iterdir()} == {"run_1-out_0.png", "run_1.json"}
    assert read_manifest(folder / "run_1.json") == manifest


def test_bucket_that_does_not_exist_is_named(flora, media, s3):
    with pytest.raises(FloraStorageError, match=r"s3://nowhere/x.*bucket, does not exist"):
        save_run(flora, finished(media.serve("/a.png")), "s3://aws_files@nowhere/x")
