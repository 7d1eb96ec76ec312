"""The operators under test, with an observer at their boundaries that also kills their process there.

Nothing of the provider is changed or replaced. What an operator asks of Airflow and of the network passes through
here, is written to a journal, and goes on to where it was meant for.
"""

import fcntl
import json
import os
import signal
import time
import urllib.request
from pathlib import Path

import httpx

from flora_provider.operators.base import FloraRunOperator
from flora_provider.operators.flora import FloraGenerateOperator, FloraRunActionOperator, FloraRunTechniqueOperator
from tests.e2e.resuming import BusyAfterwards
from tests.e2e.wrong_clock import right_time, shift

JOURNAL = "FLORA_CHAOS_JOURNAL"
_CREATED_WITHIN = 3.0  # seconds: less than the sandbox holds an answer back


class Chaos(FloraRunOperator):
    """An operator, with what befalls it.

    Args:
        kills: it dies at `kills[try - 1]`, a point of `workload.KILLS`.
        together: tasks that are to POST at the same moment.
        edited: its prompt from the second try on, as if its author had edited the DAG; None if nobody does.
        clock: seconds by which the clock of its process steps when FLORA has answered.
    """

    def __init__(self, *, kills=(), together=0, edited=None, clock=0.0, **kwargs):
        super().__init__(**kwargs)
        self.kills = kills
        self.together = together
        self.edited = edited
        self.clock = clock
        self._observer = None

    def _do_render_template_fields(self, parent, template_fields, context, *args, **kwargs):
        if parent is self and self.edited and context["ti"].try_number > 1:
            self.ask(self.edited)  # before anything looks at it, as if it had been written so
        super()._do_render_template_fields(parent, template_fields, context, *args, **kwargs)

    def execute(self, context):
        observer = self._watched(context)
        observer.note("asked", prompt=self.asked())
        if self.together and context["ti"].try_number == 1:
            observer.wait_for_others(self.together)
        result = super().execute(context)
        observer.reached("after its return")
        return result

    def execute_complete(self, context, event):
        observer = self._watched(context)
        observer.reached("deferral to resume")
        result = super().execute_complete(context, event)
        observer.reached("after its return")
        return result

    def defer(self, **kwargs):
        self._observer.reached("before deferral")
        super().defer(**kwargs)

    def _watched(self, context):
        self._observer = Observer(context["ti"], self.kills, self.clock)
        store = context["task_state_store"]
        context["task_state_store"] = WatchedStore(store, self._observer)
        watch_xcom(context["ti"], self._observer)
        watch_wire(self._observer)
        return self._observer


class ChaosGenerate(Chaos, FloraGenerateOperator):
    def asked(self):
        return self.prompt

    def ask(self, prompt):
        self.prompt = prompt


class ChaosTechnique(Chaos, FloraRunTechniqueOperator):
    """Runs a technique of one text."""

    def asked(self):
        [text] = self.inputs.values()
        return text

    def ask(self, prompt):
        self.inputs = dict.fromkeys(self.inputs, prompt)


class ChaosAction(Chaos, FloraRunActionOperator):
    """Runs an action on one text."""

    def asked(self):
        return self.inputs

    def ask(self, prompt):
        self.inputs = prompt


class ResumingGenerate(BusyAfterwards, ChaosGenerate):
    """Needs a worker after its wait, as every task does that has something to do then."""


class ResumingTechnique(BusyAfterwards, ChaosTechnique):
    pass


class ResumingAction(BusyAfterwards, ChaosAction):
    pass


class Observer:
    """Keeps the journal of one try, and kills its process at the point that was drawn for it."""

    def __init__(self, ti, kills, clock):
        tries = ti.try_number - 1
        self.kill = kills[tries] if tries < len(kills) else None
        self._clock = clock
        self._who = {"task": ti.task_id, "index": ti.map_index, "try": ti.try_number, "dag_run": ti.run_id}
        self._path = Path(os.environ[JOURNAL])

    def note(self, event, **more):
        line = json.dumps({**self._who, "event": event, "at": right_time(), **more}) + "\n"
        with self._path.open("ab", buffering=0) as journal:
            fcntl.flock(journal, fcntl.LOCK_EX)
            journal.write(line.encode())

    def answered(self, status, key):
        self.note("answer", status=status, key=key)
        shift(self._clock)

    def reached(self, point):
        if self.kill == point:
            self.note("killed", point=point)
            os.kill(os.getpid(), signal.SIGKILL)

    def wait_for_others(self, number, timeout=120):
        """Wait until so many tasks are at this very point."""
        self.note("ready")
        ready = f'"dag_run": "{self._who["dag_run"]}", "event": "ready"'.encode()
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._path.read_bytes().count(ready) >= number:
                return
            time.sleep(0.5)
        raise TimeoutError(f"fewer than {number} tasks were ready after {timeout} s")


class WatchedStore:
    """Airflow's task state store, watched."""

    def __init__(self, store, observer):
        self._store = store
        self._observer = observer

    def get(self, key, *args, **kwargs):
        self._observer.reached("before the intent")
        return self._store.get(key, *args, **kwargs)

    def set(self, key, value, *args, **kwargs):
        if value.get("run_id"):
            self._observer.reached("answer to ledger")
        self._store.set(key, value, *args, **kwargs)
        if value.get("run_id"):
            self._observer.note("ledger", run_id=value["run_id"])

    def __getattr__(self, name):
        return getattr(self._store, name)


def watch_xcom(ti, observer):
    push = ti.xcom_push

    def observed(key, value):
        if key == "run_id":
            observer.reached("ledger to XCom")
        push(key=key, value=value)
        if key == "run_id":
            observer.reached("after XCom")

    object.__setattr__(ti, "xcom_push", observed)


def watch_wire(observer):
    """Watch every request of this process; the process serves one try and ends with it."""
    real = httpx.AsyncHTTPTransport.handle_async_request
    real = getattr(real, "unwatched", real)

    async def handle_request(self, request):
        if request.method != "POST":
            observer.reached(_purpose(request.url.path))
            return await real(self, request)
        observer.reached("before POST")
        # A technique's own route takes the key in the body.
        key = request.headers.get("idempotency-key") or json.loads(request.content)["idempotency_key"]
        before = created(request.url, key) if observer.kill == "POST to answer" else 0

        async def trace(event, _info):
            if event == "http11.receive_response_headers.started":
                observer.note("sent", key=key)
                if observer.kill == "POST to answer":
                    wait_until_created(request.url, key, before)
                    observer.reached("POST to answer")

        request.extensions["trace"] = trace
        response = await real(self, request)
        observer.answered(response.status_code, key)
        return response

    handle_request.unwatched = real
    httpx.AsyncHTTPTransport.handle_async_request = handle_request


def _purpose(path):
    """The point at which a process is that reads this."""
    if "/runs/" in path:
        return "while waiting"
    return "at the history" if path.endswith(("/generations", "/technique-runs")) else "at the catalog"


def created(url, key):
    """How many runs the sandbox has started with this key."""
    with urllib.request.urlopen(f"{url.scheme}://{url.netloc.decode()}/_sandbox/runs", timeout=10) as answer:  # noqa: S310
        return sum(run["idempotency_key"] == key for run in json.load(answer)["runs"])


def wait_until_created(url, key, before):
    deadline = time.monotonic() + _CREATED_WITHIN
    while time.monotonic() < deadline and created(url, key) == before:
        time.sleep(0.02)
