"""A server that OpenLineage's events are sent to, on a free port."""

import gzip
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from tests.support.servers import http_server


class LineageServer:
    """Receives events.

    Attributes:
        url: of the server.
        bodies: of the requests so far, decompressed.
    """

    def __init__(self):
        self.url = ""
        self.bodies = []

    @property
    def events(self):
        """All so far."""
        return [json.loads(body) for body in self.bodies]

    @property
    def environment(self):
        """Airflow's settings for it."""
        transport = {"type": "http", "url": self.url, "endpoint": "api/v1/lineage"}
        return {"AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)}

    def last_of_tasks(self, dag_id):
        """The last event of each task, by its id."""
        found = {}
        for event in self.events:
            dag, _, task = event["job"]["name"].partition(".")
            if dag == dag_id and task:
                found[task] = event
        return found


@contextmanager
def lineage_server():
    """The server, while the `with` statement goes on."""
    lineage = LineageServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            lineage.bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] else body)
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with http_server(Handler) as url:
        lineage.url = url
        yield lineage
