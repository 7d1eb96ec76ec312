"""Folders: an interrupted upload is dropped, and what had the name stays; a full folder is listed once."""

import errno
import fcntl
import gc
import io
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from flora_provider.api.errors import FloraStorageError
from flora_provider.files.storage import open_folder


class Interrupted(io.BytesIO):
    """A file of 20 MB that cannot be read beyond its first 12."""

    def __init__(self, error):
        super().__init__(bytes(20_000_000))
        self._error = error

    def read(self, size=-1):
        if self.tell() > 12_000_000:
            raise self._error
        return super().read(size)


@pytest.mark.parametrize(
    ("error", "raised"), [(KeyboardInterrupt(), KeyboardInterrupt), (OSError("disk"), FloraStorageError)], ids=str
)
def test_interrupted_upload_publishes_nothing(s3, s3_store, error, raised):
    s3_store.write("a.mp4", b"before")
    folder = open_folder(s3_store.folder)
    with pytest.raises(raised):
        folder.publish(Interrupted(error), "a.mp4")
    gc.collect()
    assert s3_store.read("a.mp4") == b"before"
    assert not s3.list_multipart_uploads(Bucket="shop").get("Uploads")


def test_local_folder_is_listed_once_for_all_files_of_an_owner(tmp_path, monkeypatch):
    scanned, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scanned.append(path) or scandir(path))
    (tmp_path / ".me.0.part").write_bytes(b"of a process that is gone")
    folder = open_folder(tmp_path)
    for number in range(5):
        folder.publish_bytes(b"fern", f"{number}.txt", "me")
    assert len(scanned) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{number}.txt" for number in range(5)]


def test_writers_of_one_owner_at_the_same_time_each_publish(store):
    """None takes another's file for a leftover, or another's size for its own."""
    contents = [bytes([number]) * (1_000 + number) for number in range(200)]

    def write(content):
        folder = open_folder(store.folder)
        folder.make()
        folder.publish_bytes(content, "fern.json", "me")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, contents))
    assert store.names() == {"fern.json"}
    assert store.read("fern.json") in contents


def test_local_folder_without_locks_takes_files(tmp_path, monkeypatch):
    """As some network file systems are."""

    def fail(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    open_folder(tmp_path).publish_bytes(b"fern", "fern.txt", "me")
    assert [path.name for path in tmp_path.iterdir()] == ["fern.txt"]
