"""A host of files that a test describes, and runs whose outputs are there."""

import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from tests.support.servers import http_server


class MediaHost:
    """What a host answers, by path.

    Attributes:
        url: of the host.
        requests: the paths that were asked for.
    """

    def __init__(self):
        self.url = ""
        self.requests = []
        self._answers = {}

    def serve(self, path, body=b"x", *, content_type="image/png", status=200, length=None, **headers):
        """Answer so from now on; returns the address. `length` is what is announced, if not the truth."""
        headers = {"Content-Type": content_type, "Content-Length": str(len(body) if length is None else length)} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        self._answers[path] = (status, headers, body)
        return self.url + path

    def answer(self, handler):
        path = handler.path.partition("?")[0]
        self.requests.append(path)
        status, headers, body = self._answers.get(path, (404, {"Content-Length": "0"}, b""))
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


@contextmanager
def media_host():
    host = MediaHost()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            host.answer(self)

    with http_server(Handler) as url:
        host.url = url
        yield host


def finished(*outputs, run_id="run_1", **members):
    """A completed run; an output is an address or a dict."""
    rows = [{"url": output} if isinstance(output, str) else output for output in outputs]
    return {
        "run_id": run_id,
        "status": "completed",
        "outputs": [
            {"run_id": run_id, "output_id": f"out_{index}", "type": "imageUrl", **row} for index, row in enumerate(rows)
        ],
        "charged_cost": 0.04,
        "created_at": None,
        "started_at": None,
        "completed_at": "2026-11-26T12:00:00+00:00",
        **members,
    }


def png(width, height):
    """A picture's first bytes, which is what its width and height are read from."""
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    head = b"IHDR" + size + b"\x08\x02\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\x0d" + head + zlib.crc32(head).to_bytes(4, "big") + b"\x00" * 100
