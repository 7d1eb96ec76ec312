"""An OpenTelemetry collector on a free port: what spans it was sent, over OTLP."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Collector:
    """Receives spans, in a thread. Use it in a `with` statement.

    Attributes:
        received: all spans so far, each with `name`, `kind`, `trace_id`, `span_id`, `parent_id` (hexadecimal; empty for
            none), `start` and `end` (nanoseconds), `attributes` (a dict), `status` and `message`.
        bodies: of the requests that brought them, decompressed.
    """

    def __init__(self):
        self.received = []
        self.bodies = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.bodies.append(body)
                collector.received += spans_of(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    @property
    def environment(self):
        """Airflow's settings for it, from 3.2 on."""
        return {
            "AIRFLOW__TRACES__OTEL_ON": "True",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": self.url,
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }

    @property
    def runs(self):
        """The spans of ours."""
        return [span for span in self.received if span.name == "flora.run"]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def spans_of(request):
    return [
        SimpleNamespace(
            name=span.name,
            kind=span.kind,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            start=span.start_time_unix_nano,
            end=span.end_time_unix_nano,
            attributes={one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes},
            status={0: "UNSET", 1: "OK", 2: "ERROR"}[span.status.code],
            message=span.status.message,
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
