"""A FLORA on a real port, an Airflow connection to it, and tasks of ours."""

import json
import logging
from importlib.util import find_spec

import pytest

from flora_provider.api.http import process
from flora_provider.catalog.lookup import CACHE
from flora_provider.hooks.flora import FloraHook
from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.server import SandboxServer
from flora_provider.sandbox.settings import Settings
from flora_provider.sensors.flora import FloraRunSensor
from tests.support.airflow_features import TRIGGERER_ENDS_TASKS
from tests.support.airflow_tasks import INSTANT, OneTask, start_run
from tests.support.statsd import StatsdServer, read_settings

# OpenLineage is installed beside the newest Airflow only.
LINEAGE = ["test_lineage.py", "test_openlineage.py"]
# Airflow 2 has no supervisor, and no event that ends a task in the triggerer.
IN_TRIGGERER = ["test_triggerer_wire.py", "test_metrics_in_triggerer.py", "test_spans_in_triggerer.py"]
collect_ignore = ([] if TRIGGERER_ENDS_TASKS else IN_TRIGGERER) + ([] if find_spec("openlineage") else LINEAGE)


class Flora:
    """A sandbox, the connection to it, and what it saw."""

    def __init__(self, server, monkeypatch):
        self.server = server
        self.sandbox = server.sandbox
        self._monkeypatch = monkeypatch

    def connect(self, conn_id="flora_default", *, extra=None, **changes):
        """Make the connection; what is given here replaces what leads to the sandbox."""
        connection = json.loads(self.server.connection_uri) | changes
        if not isinstance(extra, str):
            # Retries of a request wait half a second and more: tests that are about them ask for them.
            extra = {**connection["extra"], "max_retries": 0, **(extra or {})}
        connection["extra"] = extra
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        return conn_id

    def inject(self, *faults, **fault):
        self.sandbox.faults.add(*faults, *([Fault(**fault)] if fault else []))

    def start(self, **behavior):
        """Start a run as somebody else would; by default it is done at once."""
        return start_run(self.server, **behavior)

    @property
    def requests(self):
        return sum(self.sandbox.stats()["requests"].values())

    @property
    def polls(self):
        return self.sandbox.stats()["requests"].get("GET /runs/{run_id}", 0)

    @property
    def posts(self):
        return self.sandbox.stats()["requests"].get("POST /generate", 0)

    @property
    def started(self):
        return self.sandbox.stats()["runs_started"]

    @property
    def billed(self):
        return self.sandbox.stats()["runs_billed"]

    @property
    def runs(self):
        return list(self.sandbox.state.runs.values())


@pytest.fixture(scope="session")
def port():
    """One port for all tests: opening and closing it takes longer than most of them."""
    with SandboxServer() as server:
        yield server


@pytest.fixture
def flora(port, monkeypatch):
    """A fresh FLORA, reached by the connection `flora_default`; what it asked of earlier clients is forgotten."""
    process._throttles.clear()  # noqa: SLF001 - what earlier tests have learned
    CACHE.clear()
    port.sandbox = Sandbox(Settings(speed=20))
    flora = Flora(port, monkeypatch)
    flora.connect()
    return flora


@pytest.fixture
def bodies(flora, monkeypatch):
    """The body of every `POST /generate` that an operator sends, in their order."""
    bodies = []
    answer = flora.sandbox.answer

    def listen(request):
        if request.path.endswith("/generate") and "idempotency-key" in request.headers:
            bodies.append(json.loads(request.content))
        return answer(request)

    monkeypatch.setattr(flora.sandbox, "answer", listen)
    return bodies


@pytest.fixture
def wide_terminal(monkeypatch):
    """Airflow 3.0 wraps the errors that it prints at the width of the terminal."""
    monkeypatch.setenv("COLUMNS", "2000")


@pytest.fixture
def logged(caplog, capfd, wide_terminal):
    """What the tasks have logged so far: Airflow 3's own loggers do not lead to the root logger."""
    return lambda: caplog.text + "".join(capfd.readouterr())


@pytest.fixture
def hook(flora_sandbox, monkeypatch):
    """A hook of the connection `flora_default`, to a FLORA on a port of its own; it gives the key to no other host."""
    monkeypatch.setenv("AIRFLOW_CONN_FLORA_DEFAULT", flora_sandbox.connection_uri)
    with FloraHook() as hook:
        yield hook
    assert flora_sandbox.sandbox.stats()["keys_leaked"] == {"media": 0, "storage": 0}


@pytest.fixture(scope="session")
def one_task():
    return OneTask


@pytest.fixture
def generate():
    """A task that makes a picture, by default one that is done at once."""

    def make(*, behavior=None, **kwargs):
        arguments = {"task_id": "picture", "type": "image", "prompt": "a fern", "poll_interval": 0.05, **kwargs}
        arguments.setdefault("model_params", {"sandbox": INSTANT | (behavior or {})})
        return FloraGenerateOperator(**arguments)

    return make


@pytest.fixture
def wait_for():
    """A sensor that waits for a run."""

    def make(run_id, **kwargs):
        return FloraRunSensor(
            **{"task_id": "finished", "run_id": run_id, "poll_interval": 0.05, "poke_interval": 0.05, **kwargs}
        )

    return make


@pytest.fixture
def short_tolerance(monkeypatch):
    """A wait gives up after half a second what it otherwise bears for minutes."""
    monkeypatch.setattr("flora_provider.runs.tolerance.REFUSED_FOR", 0.5)
    monkeypatch.setattr("flora_provider.triggers.connection_reader.RETRIES_FOR", 0.3)
    monkeypatch.setattr("flora_provider.triggers.connection_reader.FIRST_PAUSE", 0.05)


@pytest.fixture(autouse=True)
def _runs_are_listed_at_once(monkeypatch):
    """As the sandbox does; a search for a lost run waits a minute for FLORA, and seconds for other tasks."""
    monkeypatch.setattr("flora_provider.runs.start.LISTED_WITHIN", 0.0)
    monkeypatch.setattr("flora_provider.runs.listing.CLAIMED_WITHIN", 0.0)


@pytest.fixture(autouse=True)
def _logs_are_heard(caplog):
    caplog.set_level(logging.INFO, logger="flora_provider")


@pytest.fixture(scope="session")
def statsd_server():
    with StatsdServer() as server:
        yield server


@pytest.fixture
def metrics_settings(monkeypatch):
    """Gives this process' Airflow settings for metrics, until the end of the test."""
    with monkeypatch.context() as settings:

        def apply(**environment):
            for name, value in environment.items():
                settings.setenv(name, value)
            read_settings()

        yield apply
    read_settings()


@pytest.fixture
def statsd(statsd_server, metrics_settings):
    """A StatsD server, to which this process' Airflow sends."""
    metrics_settings(**statsd_server.environment)
    statsd_server.forget()
    return statsd_server


@pytest.fixture(scope="session")
def collector_server():
    from tests.support.otlp import Collector

    with Collector() as collector:
        yield collector


@pytest.fixture
def collector(collector_server):
    """An OpenTelemetry collector, which has received nothing yet."""
    collector_server.received.clear()
    return collector_server


@pytest.fixture
def provider(collector, monkeypatch):
    """This process' tracer provider, which sends each span to the collector at once."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(collector.url)))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield provider
    provider.shutdown()
