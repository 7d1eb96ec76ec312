"""One task of Airflow without a scheduler, and what is read of a DAG run."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred
from airflow.serialization.serialized_objects import BaseSerialization

from tests.support.triggers import first_event

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 2
    from airflow.exceptions import AirflowRescheduleException

INSTANT = {"seconds": 0.0, "estimated_seconds": 0}  # how a run of the sandbox behaves that is done when it is started
ENDLESS = {"never_ends": True, "no_estimate": True, "estimated_seconds": None}


def raised_by(function, error=AirflowException, match=None):
    with pytest.raises(error, match=match) as caught:
        function()
    return caught.value


def start_run(server, prompt="a fern", **behavior):
    """Start a run in a sandbox as somebody else would; by default it is done at once."""
    sandbox = server.sandbox
    body = {
        "type": "image",
        "prompt": prompt,
        "workspace_id": sandbox.workspace_id,
        "project_id": sandbox.project_id,
        "params": {"sandbox": INSTANT | behavior},
    }
    headers = {"Authorization": f"Bearer {sandbox.api_key}"}
    return httpx.post(f"{server.base_url}/generate", json=body, headers=headers).json()["run_id"]


def state_of(run):
    """The state of a DAG run or of a task instance, as a string in every Airflow."""
    return str(getattr(run.state, "value", run.state))


def states(dag_run):
    """The state of each task that is not mapped."""
    return {ti.task_id: state_of(ti) for ti in dag_run.get_task_instances()}


def tries(dag_run):
    """The state and the number of the last try of each task instance, by task id and map index."""
    return {(ti.task_id, ti.map_index): (state_of(ti), ti.try_number) for ti in dag_run.get_task_instances()}


def mapped_tries(dag_run, task_id):
    """The same of the mapped instances of one task, in their order."""
    found = tries(dag_run)
    return [found[key] for key in sorted(found) if key[0] == task_id]


def succeeded(dag_run):
    """Whether every task of it succeeded."""
    return {state for state, _ in tries(dag_run).values()} == {"success"}


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

    def xcom_pull(self, task_ids, key, map_indexes=None):
        return [
            ti.xcoms.get(key)
            for ti in (self, *self._others)
            if ti.task_id in task_ids and (map_indexes is None or ti.map_index in map_indexes)
        ]


class OneTask:
    """One task of one DAG run, over all its tries.

    Args:
        operator: the task; each try and each resumption gets a `copy`, as in Airflow, where each is a process.
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
        self.copy = task = self.operator.prepare_for_execution()
        task.render_template_fields(self.context)
        return task.execute(self.context)

    def run(self):
        """One try, its times in the triggerer and its reschedules included."""
        step = self.execute
        while True:
            try:
                return step()
            except AirflowRescheduleException:
                pass
            except TaskDeferred as deferral:
                self.deferrals.append(deferral)
                step = partial(self.resume, deferral, self.trigger(deferral))

    def fails(self, error=AirflowException, match=None):
        """One try that fails; returns the error."""
        return raised_by(self.run, error, match)

    def fails_for_good(self, match=None):
        """One try after which Airflow makes no other; returns the error."""
        return self.fails(AirflowFailException, match)

    def fails_for_now(self, match=None):
        """One try that fails and is left to the task's retries; returns the error."""
        error = self.fails(match=match)
        assert not isinstance(error, AirflowFailException)
        return error

    def retry_fails(self, error=AirflowException, match=None):
        return raised_by(self.retry, error, match)

    def defers(self):
        """One try in a worker, up to its deferral, which is returned."""
        return raised_by(self.execute, TaskDeferred)

    def trigger(self, deferral):
        """The trigger that a triggerer makes of what the metadata database kept, and the payload of its event."""
        event = json.loads(json.dumps(asyncio.run(first_event(revived(deferral.trigger))).payload))
        self.events.append(event)
        return event

    def resume(self, deferral, payload):
        self.copy = task = self.operator.prepare_for_execution()
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
    path, kwargs = trigger.serialize()
    kept = json.loads(json.dumps(BaseSerialization.serialize(kwargs)))
    module, _, name = path.rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name)(**BaseSerialization.deserialize(kept))
