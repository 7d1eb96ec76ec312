"""A FLORA on a real port, an Airflow connection to it, and a way to run one task without a scheduler."""

import asyncio
import json
import logging
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.server import SandboxServer
from flora_provider.sandbox.settings import Settings

# Airflow 2 has no supervisor, and no event that ends a task in the triggerer.
collect_ignore = [] if AIRFLOW_V_3_3_PLUS else ["test_triggerer_wire.py"]

DONE_AT_ONCE = {"seconds": 0.0, "estimated_seconds": 0}


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
        body = {
            "type": "image",
            "prompt": "a fern",
            "workspace_id": self.sandbox.workspace_id,
            "project_id": self.sandbox.project_id,
            "params": {"sandbox": DONE_AT_ONCE | behavior},
        }
        headers = {"Authorization": f"Bearer {self.sandbox.api_key}"}
        return httpx.post(f"{self.server.base_url}/generate", json=body, headers=headers).json()["run_id"]

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
    from flora_provider.api.http import process

    process._throttles.clear()  # noqa: SLF001 - what earlier tests have learned
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
        if request.url.path.endswith("/generate") and "idempotency-key" in request.headers:
            bodies.append(json.loads(request.content))
        return answer(request)

    monkeypatch.setattr(flora.sandbox, "answer", listen)
    return bodies


@pytest.fixture
def logged(caplog, capfd):
    """What the tasks have logged so far: Airflow 3's own loggers do not lead to the root logger."""
    return lambda: caplog.text + "".join(capfd.readouterr())


@pytest.fixture
def hook(flora_sandbox, monkeypatch):
    """A hook of the connection `flora_default`, which leads to a FLORA on a port of its own."""
    from flora_provider.hooks.flora import FloraHook

    monkeypatch.setenv("AIRFLOW_CONN_FLORA_DEFAULT", flora_sandbox.connection_uri)
    with FloraHook() as hook:
        yield hook


class Store(dict):
    """Airflow's task state store, as far as we use it: JSON values, and no null."""

    def set(self, key, value):
        assert "null" not in json.dumps(value)
        self[key] = json.loads(json.dumps(value))


class TaskInstance:
    """What a running task sees of itself, for tests that need no Airflow around the task."""

    def __init__(
        self, task_id, *, dag_id="dag", run_id="manual__1", map_index=-1, try_number=1, max_tries=2, others=()
    ):
        self.dag_id, self.task_id, self.run_id, self.map_index = dag_id, task_id, run_id, map_index
        self.try_number, self.max_tries = try_number, max_tries
        self.start_date = datetime.now(UTC)
        self.xcoms = {}
        self._others = others

    def xcom_push(self, key, value):
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids, key):
        return [ti.xcoms.get(key) for ti in (self, *self._others) if ti.task_id in task_ids]


class OneTask:
    """One task of one DAG run, over all its tries.

    Args:
        operator: the task; each try and each resumption gets a copy, as in Airflow, where each is a process.
        store: whether this Airflow has a task state store (3.3 and newer).
    """

    def __init__(self, operator, *, store=True, dag_run_started=None, **instance):
        self.operator = operator
        self.store = Store() if store else None
        self.dag_run = SimpleNamespace(start_date=dag_run_started or datetime.now(UTC) - timedelta(seconds=1), conf={})
        self.ti = TaskInstance(operator.task_id, **instance)
        self.deferrals = []
        self.events = []

    @property
    def xcoms(self):
        return self.ti.xcoms

    @property
    def context(self):
        dag = SimpleNamespace(task_ids=[self.operator.task_id])
        context = {"ti": self.ti, "task_instance": self.ti, "dag": dag, "dag_run": self.dag_run}
        context |= {"params": {}, "ds": "2026-01-01", "macros": SimpleNamespace(datetime=datetime)}
        return context if self.store is None else context | {"task_state_store": self.store}

    def execute(self):
        """One try in a worker, up to its deferral, if it defers."""
        task = self.operator.prepare_for_execution()
        task.render_template_fields(self.context)
        return task.execute(self.context)

    def run(self):
        """One try, its time in the triggerer included."""
        from airflow.providers.common.compat.sdk import TaskDeferred

        try:
            return self.execute()
        except TaskDeferred as deferral:
            self.deferrals.append(deferral)
            return self.resume(deferral, self.trigger(deferral))

    def trigger(self, deferral):
        """The trigger that a triggerer makes of what the metadata database kept, and the payload of its event."""
        event = asyncio.run(first_event(revived(deferral.trigger)))
        self.events.append(event)
        return event

    def resume(self, deferral, payload):
        task = self.operator.prepare_for_execution()
        task.render_template_fields(self.context)
        return getattr(task, deferral.method_name)(self.context, event=payload, **(deferral.kwargs or {}))

    def retry(self):
        """The next try: Airflow forgets the XComs of the one before."""
        self.ti.try_number += 1
        self.ti.start_date = datetime.now(UTC)
        self.ti.xcoms.clear()
        return self.run()

    def clear(self):
        """What a user does: `max_tries` moves, the number of the try goes on."""
        self.ti.max_tries = self.ti.try_number + 2
        return self.retry()


def revived(trigger):
    """A trigger as another process sees it."""
    from airflow.serialization.serialized_objects import BaseSerialization

    path, kwargs = trigger.serialize()
    kept = json.loads(json.dumps(BaseSerialization.serialize(kwargs)))
    module, _, name = path.rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name)(**BaseSerialization.deserialize(kept))


async def first_event(trigger):
    async with aclosing(trigger.run()) as events:
        return json.loads(json.dumps((await anext(events)).payload))


@pytest.fixture(scope="session")
def one_task():
    return OneTask


@pytest.fixture
def generate():
    """A task that makes a picture, by default one that is done at once."""
    from flora_provider.operators.flora import FloraGenerateOperator

    def make(*, behavior=None, **kwargs):
        given = {"task_id": "picture", "type": "image", "prompt": "a fern", "poll_interval": 0.05, **kwargs}
        given.setdefault("model_params", {"sandbox": DONE_AT_ONCE | (behavior or {})})
        return FloraGenerateOperator(**given)

    return make


@pytest.fixture
def wait_for():
    """A sensor that waits for a run."""
    from flora_provider.sensors.flora import FloraRunSensor

    def make(run_id, **kwargs):
        return FloraRunSensor(
            **{"task_id": "finished", "run_id": run_id, "poll_interval": 0.05, "poke_interval": 0.05, **kwargs}
        )

    return make


@pytest.fixture(autouse=True)
def _logs_are_heard(caplog):
    caplog.set_level(logging.INFO, logger="flora_provider")
