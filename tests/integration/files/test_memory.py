"""A file of 1 GB is saved in bounded memory."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.support.servers import http_server

ROOT = Path(__file__).parents[3]
SIZE = 1024**3
GROWTH = 32 * 1024  # kB
SAVE = """
import resource, sys
from flora_provider.api.client import FloraClient
from flora_provider.files import save_run
from tests.support.media import finished
url, folder = sys.argv[1:]
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with FloraClient(api_key="k", base_url="http://127.0.0.1:9/api/v1", max_retries=0) as client:
    save_run(client, finished(url + "/small", run_id="run_0"), folder)  # what a save loads is loaded
    before = peak()
    manifest = save_run(client, finished(url + "/large"), folder)
    print(manifest.files[0].size, peak() - before)
"""


class Host(BaseHTTPRequestHandler):
    def do_GET(self):
        size = SIZE if self.path == "/large" else 10_000
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(size))
        self.end_headers()
        chunk = bytes(1024**2)
        for start in range(0, size, len(chunk)):
            self.wfile.write(chunk[: size - start])


class Sink(BaseHTTPRequestHandler):
    """An S3 that counts what it is sent and keeps nothing: 1 GB in the memory of the tests would be in the way."""

    protocol_version = "HTTP/1.1"
    sizes = {}  # noqa: RUF012 - one for all requests
    body = b""

    def _answer(self, body=b"", **headers):
        self.send_response(200)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def _received(self):
        left = size = int(self.headers.get("Content-Length") or 0)
        while left:
            left -= len(self.rfile.read(min(left, 65_536)))
        return size

    def do_PUT(self):
        key = self.path.partition("?")[0]
        more = "partNumber" in self.path
        self.sizes[key] = (self.sizes.get(key, 0) if more else 0) + self._received()
        self._answer(ETag='"e"')

    def do_POST(self):
        self._received()
        if "uploads" in self.path:
            self.sizes.pop(self.path.partition("?")[0], None)
            self._answer(
                b"<InitiateMultipartUploadResult><Bucket>shop</Bucket><Key>k</Key><UploadId>u</UploadId>"
                b"</InitiateMultipartUploadResult>"
            )
        else:
            self._answer(b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")

    def do_HEAD(self):
        size = self.sizes.get(self.path.partition("?")[0])
        if size is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.send_header("ETag", '"e"')
            self.send_header("Last-Modified", "Thu, 26 Nov 2026 12:00:00 GMT")
            self.end_headers()

    def do_GET(self):
        self._answer(b"<ListBucketResult><Name>shop</Name><KeyCount>0</KeyCount></ListBucketResult>")


def grown(url, folder):
    done = subprocess.run(
        [sys.executable, "-c", SAVE, url, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    size, growth = map(int, done.stdout.split()[-2:])
    assert size == SIZE
    return growth


def test_local_file(tmp_path):
    with http_server(Host) as url:
        assert grown(url, tmp_path) < GROWTH
    (tmp_path / "run_1-out_0.mp4").unlink()


def test_s3_object(monkeypatch):
    pytest.importorskip("airflow.providers.amazon.aws.fs.s3")
    import json

    with http_server(Host) as url, http_server(Sink) as sink:
        extra = {"endpoint_url": sink, "region_name": "us-east-1"}
        connection = {"conn_type": "aws", "login": "testing", "password": "testing", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_FILES", json.dumps(connection))
        assert grown(url, "s3://aws_files@shop/out") < GROWTH
    assert Sink.sizes["/shop/out/run_1-out_0.mp4"] == SIZE
