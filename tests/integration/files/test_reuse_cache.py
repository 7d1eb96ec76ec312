"""The build cache's folder, and copies out of it, on this machine and in an S3."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from flora_provider.api.errors import FloraStorageError
from flora_provider.files import read_manifest, save_run
from flora_provider.files.copying import copy_run
from flora_provider.reuse.cache import BuildCache
from tests.support.media import finished

KEY = "ab" + "0" * 62


@pytest.fixture
def cache(store):
    return BuildCache(store.folder)


@pytest.fixture
def keep(flora, media, cache):
    """Save a run in the cache, and keep it under the key."""

    def kept(content=b"a fern", run_id="run_1"):
        run = finished(media.serve(f"/{run_id}.png", content) + "?sig=secret", run_id=run_id)
        cache.put(KEY, run, save_run(flora, run, cache.part(KEY)))

    return kept


def test_kept_run_is_found_with_its_files(keep, cache, store):
    assert cache.find(KEY) is None
    keep()
    entry = cache.find(KEY)
    assert entry.run["run_id"] == entry.manifest.run_id == "run_1"
    [file] = entry.manifest.files
    assert store.read(file.path.removeprefix(f"{store.path}/")) == b"a fern"
    assert entry.run["outputs"][0]["url"].endswith("?sig=secret"), "the next run may take it as an input"
    assert cache.path(KEY) == f"{store.path}/ab/{KEY}.json"


def test_other_keys_are_not_found(keep, cache):
    keep()
    assert cache.find("ab" + "1" * 62) is None
    assert cache.find("cd" + "0" * 62) is None


def test_age_is_counted_from_the_end_of_the_run(keep, cache):
    keep()
    assert cache.find(KEY, max_age=timedelta.max) is not None
    assert cache.find(KEY, max_age=timedelta(microseconds=1)) is None


def test_runs_that_are_kept_at_the_same_time_are_whole_and_one_of_them_is_found(keep, cache, store):
    contents = {f"run_{number}": bytes([number]) * 50_000 for number in range(8)}
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda run_id: keep(contents[run_id], run_id), contents))
    entry = cache.find(KEY)
    [file] = entry.manifest.files
    assert store.read(file.path.removeprefix(f"{store.path}/")) == contents[entry.manifest.run_id]


def test_files_are_copied_with_their_manifest(keep, cache, store):
    keep()
    target = f"{store.folder}/copies"
    manifest = copy_run(cache.find(KEY).manifest, cache.part(KEY), target)
    assert read_manifest(f"{target}/run_1.json") == manifest
    [file] = manifest.files
    assert file.path == f"{store.path}/copies/{file.name}"
    assert store.read(f"copies/{file.name}") == b"a fern"


def test_second_copy_replaces_only_what_is_not_whole(keep, cache, store, tmp_path):
    keep()
    manifest = cache.find(KEY).manifest
    [file] = copy_run(manifest, cache.part(KEY), tmp_path / "copies").files
    path = tmp_path / "copies" / file.name
    before = path.stat().st_ino
    copy_run(manifest, cache.part(KEY), tmp_path / "copies")
    assert path.stat().st_ino == before
    path.write_bytes(b"a fe")
    copy_run(manifest, cache.part(KEY), tmp_path / "copies")
    assert path.read_bytes() == b"a fern"


def test_file_that_was_changed_is_not_copied(keep, cache, store, tmp_path):
    keep()
    manifest = cache.find(KEY).manifest
    store.write(f"ab/{manifest.files[0].name}", b"a rose")
    with pytest.raises(FloraStorageError, match="is not the file that was saved there: remove it"):
        copy_run(manifest, cache.part(KEY), tmp_path / "copies")
    assert list((tmp_path / "copies").iterdir()) == []
