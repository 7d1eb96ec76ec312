"""A process that saves a run is killed: the retry makes the files whole, and none was ever seen half."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from flora_provider.files import read_manifest
from tests.support.servers import http_server

ROOT = Path(__file__).parents[3]
CHUNK = os.urandom(1_000_000)
SIZE = 20 * len(CHUNK)
SAVE = """
import sys
from flora_provider.api.client import FloraClient
from flora_provider.files import save_run
from tests.support.media import finished
folder, *urls = sys.argv[1:]
with FloraClient(api_key="k", base_url="http://127.0.0.1:9/api/v1", max_retries=0) as client:
    save_run(client, finished(*urls), folder)
"""


class Host:
    """A host of two files of 20 MB; of the second one, the rest is not sent while it is held back."""

    def __init__(self):
        self.url, self.requests, self.half_sent, self.released = "", [], threading.Event(), threading.Event()

    def send(self, handler):
        self.requests.append(handler.path)
        handler.send_response(200)
        handler.send_header("Content-Type", "video/mp4")
        handler.send_header("Content-Length", str(SIZE))
        handler.end_headers()
        for number in range(20):
            if number == 10 and handler.path == "/held":
                self.half_sent.set()
                self.released.wait(60)
            handler.wfile.write(CHUNK)


@pytest.fixture
def host():
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            try:
                host.send(self)
            except OSError:  # who asked is gone
                self.close_connection = True

    with http_server(Handler) as url:
        host.url = url
        yield host
        host.released.set()


class Watch(threading.Thread):
    """Looks all the time for a file under its final name that is not whole."""

    def __init__(self, store):
        super().__init__(daemon=True)
        self._store, self._over, self.partial, self.checks = store, threading.Event(), [], 0

    def run(self):
        while not self._over.wait(0.005):
            self.checks += 1
            sizes = self._store.sizes()
            self.partial += [(name, size) for name, size in sizes.items() if name.endswith(".mp4") and size != SIZE]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join()


def start(store, *urls):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", SAVE, str(store.folder), *urls], env=environment)


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def assert_whole(store, number):
    manifest = read_manifest(f"{store.folder}/run_1.json")
    assert [file.sha256 for file in manifest.files] == [hashlib.sha256(CHUNK * 20).hexdigest()] * number
    assert all(hashlib.sha256(store.read(file.name)).hexdigest() == file.sha256 for file in manifest.files)
    assert store.names() == {"run_1.json", *(file.name for file in manifest.files)}


def test_kill_half_way_through_a_download(host, store):
    with Watch(store) as watch:
        process = start(store, f"{host.url}/free", f"{host.url}/held")
        assert host.half_sent.wait(60)
        until(lambda: store.sizes().get("run_1-out_0.mp4") == SIZE)
        kill(process)
        assert "run_1-out_1.mp4" not in store.sizes()
        host.released.set()
        assert start(store, f"{host.url}/free", f"{host.url}/held").wait() == 0
    assert (watch.partial, watch.checks > 10) == ([], True)
    assert_whole(store, 2)
    assert host.requests.count("/held") == 2
    assert host.requests.count("/free") == 1  # it was there whole


def test_kill_half_way_through_an_upload(host, s3, s3_store):
    with Watch(s3_store) as watch:
        process = start(s3_store, f"{host.url}/free")
        until(lambda: s3.list_multipart_uploads(Bucket="shop").get("Uploads"))
        kill(process)
        assert "run_1-out_0.mp4" not in s3_store.sizes()
        assert start(s3_store, f"{host.url}/free").wait() == 0
    assert watch.partial == []
    assert_whole(s3_store, 1)


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2])
def test_kill_at_any_moment(host, store, delay):
    with Watch(store) as watch:
        process = start(store, f"{host.url}/free", f"{host.url}/free")
        until(lambda: host.requests)
        time.sleep(delay)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert start(store, f"{host.url}/free", f"{host.url}/free").wait() == 0
    assert watch.partial == []
    assert_whole(store, 2)
